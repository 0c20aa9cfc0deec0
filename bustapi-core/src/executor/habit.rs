//! What is learned of an endpoint's calls: whether they are quick enough for the IO thread. It is
//! for choosing where the next call runs, and for nothing else.
//!
//! # Theory of operation
//!
//! The first [`TRIAL_CALLS`] calls of an endpoint go to the pool. Once that many have been quick
//! (below [`QUICK`]), further calls run on the IO thread. A single slow call there is a strike: it
//! sends the endpoint back to the pool until a number of consecutive quick calls, which grows
//! fourfold with each strike, has been seen. (A decaying mean would return too soon: an endpoint
//! that is slow once in a hundred calls has a fine mean.)
//!
//! The pool's threads share one interpreter, so that a call there may be slow for no other
//! reason than the others beside it. A slow call among others proves nothing: it neither fails
//! the trial nor passes for a quick one, but [`CROWDED_CALLS`] of them do. The IO thread then
//! shows what they were, at the price of a strike.
//!
//! A strike after a long quick time is the first one again. A call that was slow because the
//! system ran another process meanwhile is no strike: the thread has then neither waited nor
//! computed for so long. Nor is one that computed for long after [`ISOLATED`] quick calls: the
//! interpreter's garbage collector does so at times, and a virtual machine's host takes its
//! processors away without telling.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::executor::thread_usage::Spent;

/// Calls that take longer than this hold up the other connections noticeably.
pub const QUICK: Duration = Duration::from_millis(1);
/// Quick calls in a row on the pool before an endpoint's calls move to the IO thread.
pub const TRIAL_CALLS: u32 = 8;
/// An endpoint that was quick on the IO thread for so many times the calls of its last trial is
/// forgiven its strikes; so one that is slow more often than once in 512 calls never is.
const FORGIVEN_AFTER: u32 = 64;
/// Slow calls among others that count as one quick call.
pub const CROWDED_CALLS: u32 = 4;
/// One call that computes for long among so many quick ones says nothing about the endpoint.
pub const ISOLATED: u32 = 128;
/// Strikes after which the required number of quick calls no longer grows (8 << 16).
const MAX_STRIKES: u32 = 8;

/// What is remembered of one endpoint's calls.
#[derive(Debug)]
pub struct Habit {
    /// What is left of the trial on the pool, in crowded calls, of which a quick one counts for
    /// several; 0 means that calls run on the IO thread.
    trial: AtomicU32,
    strikes: AtomicU32,
    /// Quick calls on the IO thread since the last strike.
    clean: AtomicU32,
}

impl Default for Habit {
    fn default() -> Self {
        Self {
            trial: AtomicU32::new(TRIAL_CALLS * CROWDED_CALLS),
            strikes: AtomicU32::new(0),
            clean: AtomicU32::new(0),
        }
    }
}

impl Habit {
    /// Whether the next call runs on the IO thread.
    #[must_use]
    pub fn is_quick(&self) -> bool {
        self.trial.load(Ordering::Relaxed) == 0
    }

    fn required(&self) -> u32 {
        let strikes = self.strikes.load(Ordering::Relaxed).min(MAX_STRIKES);
        (TRIAL_CALLS * CROWDED_CALLS) << (2 * strikes)
    }

    /// Notes a call that ran on the IO thread, and what it spent its time with if it was slow.
    pub fn ran_inline(&self, took: Duration, spent: Spent) {
        let clean = self.clean.load(Ordering::Relaxed);
        if took < QUICK || spent == Spent::Nothing {
            self.clean.store(clean.saturating_add(1), Ordering::Relaxed);
            return;
        }
        if spent == Spent::Computing && clean >= ISOLATED {
            self.clean.store(0, Ordering::Relaxed);
            return;
        }
        let calls = self.required() / CROWDED_CALLS;
        if clean >= calls.saturating_mul(FORGIVEN_AFTER) {
            self.strikes.store(0, Ordering::Relaxed);
        }
        self.clean.store(0, Ordering::Relaxed);
        self.strikes.fetch_add(1, Ordering::Relaxed);
        self.trial.store(self.required(), Ordering::Relaxed);
    }

    /// Notes a call that ran on the pool; `crowded` where others ran there meanwhile.
    pub fn ran_on_pool(&self, took: Duration, crowded: bool) {
        let passed = match (took < QUICK, crowded) {
            (true, _) => CROWDED_CALLS,
            (false, true) => 1,
            (false, false) => {
                self.trial.store(self.required(), Ordering::Relaxed);
                return;
            }
        };
        // Calls that were on the pool when the last trial call ended must not wrap below 0.
        let left = self.trial.load(Ordering::Relaxed);
        self.trial
            .store(left.saturating_sub(passed), Ordering::Relaxed);
    }
}
