//! What an executor runs, and where.

use std::sync::Arc;
use std::time::Duration;

pub(super) use crate::executor::habit::Habit;

/// How long one batch may keep the IO thread from its sockets, or a pool thread inside.
pub(crate) const BATCH_TIME: Duration = Duration::from_millis(2);

/// What an executor runs.
pub trait Work: Send + Sync + 'static {
    /// One call.
    type Job: Send + 'static;

    /// Runs on each pool thread around everything it does: `body` returns when the thread ends.
    fn on_thread(&self, body: &mut dyn FnMut());

    /// Runs jobs until `next` has no more. Entered once for a whole batch; what has to be waited
    /// for before any job can run is waited for before `next` is first called.
    fn run(&self, next: &mut dyn FnMut() -> Option<Self::Job>);

    /// Whether [`Work::answer_outside`] is worth trying; asked on the thread that drives the
    /// runtime, so it waits for nothing.
    fn is_answerable_outside(&self, _job: &Self::Job) -> bool {
        false
    }

    /// Runs a job without entering, while nobody gets in; gives it back where that cannot be done,
    /// and says no of it when it is asked again.
    fn answer_outside(&self, job: Self::Job) -> Option<Self::Job> {
        Some(job)
    }
}

/// Where one call may run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Where the endpoint's habit says.
    Learned,
    /// On the pool in any case, as it is known to block.
    Pool,
}

/// A job, and the habit of its endpoint.
pub(crate) type Entry<W> = (Arc<Habit>, <W as Work>::Job);
