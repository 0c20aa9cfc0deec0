//! Jobs that wait for the pool and could be answered without entering.
//!
//! Entering may take as long as a C function keeps Python's interpreter. Some jobs, such as static
//! files, could be answered without it. They enter all the same, as the application may have hooks
//! that see the answer. When no thread has got in for [`PATIENCE`], they are answered by what was
//! true at the endpoint's last call: nothing runs that could have changed it.

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
    /// Whether no thread looks after such jobs; the caller then has to begin, and counts as doing
    /// so.
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
                    // The push cannot fail: a job is overdue only while a thread is entering.
                    drop(pool.push((habit, job)));
                }
            }
            if !pool.has(is_answerable) {
                self.is_watching.store(false, Ordering::SeqCst);
                // A job that came just before the flag was cleared has started no other thread.
                if !pool.has(is_answerable) || !self.begins() {
                    return;
                }
            }
            thread::sleep(PATIENCE);
        }
    }
}
