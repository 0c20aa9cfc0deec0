//! Batches: a thread with the IO role runs queued calls, and looks at no socket meanwhile.
//!
//! All requests that a batch answers had arrived before it began. So what is learned of the outside
//! world during a batch, such as the state of a file, is new enough for all of them.

use std::cell::Cell;
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

thread_local! {
    static CURRENT: Cell<Option<NonZeroU64>> = const { Cell::new(None) };
}

/// The number of the last batch, among those of all threads.
static LAST: AtomicU64 = AtomicU64::new(0);

/// A batch of this thread, which ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Batch(NonZeroU64);

impl Batch {
    /// Begins a batch.
    pub(crate) fn begin() -> Self {
        let number = LAST.fetch_add(1, Relaxed).saturating_add(1);
        let batch = Self(NonZeroU64::new(number).unwrap_or(NonZeroU64::MIN));
        CURRENT.set(Some(batch.0));
        batch
    }

    /// The number of this batch.
    pub(crate) fn number(&self) -> u64 {
        self.0.get()
    }

    /// The number of this thread's batch, never used again; `None` outside of one.
    pub(crate) fn current() -> Option<NonZeroU64> {
        CURRENT.get()
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        CURRENT.set(None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_told_from_others_and_ends() {
        assert_eq!(Batch::current(), None);
        let batch = Batch::begin();
        let first = Batch::current();
        assert!(first.is_some());
        assert_eq!(std::thread::spawn(Batch::current).join().unwrap(), None);
        drop(batch);
        assert_eq!(Batch::current(), None);
        let _batch = Batch::begin();
        assert_ne!(Batch::current(), first);
    }
}
