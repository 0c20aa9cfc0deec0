//! Jobs that wait for the pool and could be answered without entering.
//!
//! Entering may take as long as a C function keeps Python's interpreter. Some jobs, such as static
//! files, need not enter. They do all the same, as others have a say in each answer; but when
//! nobody has got in for [`PATIENCE`], what was true at their last call is taken to be true still:
//! nothing that could change it runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::executor::pool::Pool;
use crate::executor::work::Work;

/// How long a thread may take to enter before jobs are answered without it.
const PATIENCE: Duration = Duration::from_millis(3);

/// Looks after such jobs while there are any.
#[derive(Default)]
pub(crate) struct Overdue {
    is_watching: AtomicBool,
}

impl Overdue {
    /// Whether somebody has to begin to watch: the caller, if so.
    pub(crate) fn begins(&self) -> bool {
        !self.is_watching.swap(true, Ordering::SeqCst)
    }

    /// Answers the jobs that are overdue, until there are none that could become so. On a thread
    /// that may wait.
    pub(crate) fn watch<W: Work>(&self, work: &W, pool: &Arc<Pool<W>>) {
        let is_answerable = |job: &W::Job| work.is_answerable_outside(job);
        loop {
            for (habit, job) in pool.take_overdue(PATIENCE, is_answerable) {
                if let Some(job) = work.answer_outside(job) {
                    // There is a thread, or it would not be waited for.
                    drop(pool.push((habit, job)));
                }
            }
            if !pool.has(is_answerable) {
                self.is_watching.store(false, Ordering::SeqCst);
                // One that came meanwhile has found somebody watching.
                if !pool.has(is_answerable) || !self.begins() {
                    return;
                }
            }
            thread::sleep(PATIENCE);
        }
    }
}
