//! Waiting for a server that runs on threads of its own.

use std::io;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use crate::error::ServerError;
use crate::lock::lock;
use crate::log::flush_log;

/// How long the last lines of the log may take to be written when a server ends.
pub(crate) const FLUSH_TIME: Duration = Duration::from_secs(1);

/// What becomes of a server that runs on threads of its own.
#[derive(Default)]
struct Course {
    state: Mutex<CourseState>,
    changed: Condvar,
}

#[derive(Default)]
struct CourseState {
    result: Option<Result<(), ServerError>>,
    has_ended: bool,
    is_interrupted: bool,
}

impl Course {
    fn change(&self, change: impl FnOnce(&mut CourseState)) {
        change(&mut lock(&self.state));
        self.changed.notify_all();
    }
}

/// The three handles on a server's course: one waits for its end, one interrupts the waiting, and
/// one notes the end.
pub(crate) fn course() -> (Running, Interrupter, Ending) {
    let course = Arc::new(Course::default());
    (
        Running(Arc::clone(&course)),
        Interrupter(Arc::clone(&course)),
        Ending(course),
    )
}

/// Notes the end, also where a panic or the runtime's end is the reason.
pub(crate) struct Ending(Arc<Course>);

impl Ending {
    /// Ends the course with `result`.
    pub(crate) fn end(self, result: Result<(), ServerError>) {
        self.0.change(|state| state.result = Some(result));
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.change(|state| state.has_ended = true);
    }
}

/// A server on threads of its own, see [`Server::start`](crate::Server::start).
pub struct Running(Arc<Course>);

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running").finish_non_exhaustive()
    }
}

impl Running {
    /// Waits until the server has ended, and gives what it ended with; `None` when
    /// [`Interrupter::interrupt`] was called before.
    #[must_use]
    pub fn wait(&self) -> Option<Result<(), ServerError>> {
        let state = lock(&self.0.state);
        let mut state = self
            .0
            .changed
            .wait_while(state, |state| !state.has_ended && !state.is_interrupted)
            .unwrap_or_else(PoisonError::into_inner);
        if std::mem::take(&mut state.is_interrupted) {
            return None;
        }
        let result = state.result.take();
        drop(state);
        flush_log(FLUSH_TIME);
        let broken = || Err(ServerError::Runtime(io::Error::other("it broke down")));
        Some(result.unwrap_or_else(broken))
    }
}

/// Lets a thread that is in [`Running::wait`] do something else.
#[derive(Clone)]
pub struct Interrupter(Arc<Course>);

impl std::fmt::Debug for Interrupter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Interrupter").finish_non_exhaustive()
    }
}

impl Interrupter {
    /// Makes the present [`Running::wait`], or the next one, return `None`.
    pub fn interrupt(&self) {
        self.0.change(|state| state.is_interrupted = true);
    }
}
