//! What the system did for a thread: how long it computed, and how often it waited.

use std::time::Duration;

/// What a call spent its time with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spent {
    /// It slept, read, or waited for a lock.
    Waiting,
    /// It used the processor, or the machine that this one is a guest of did.
    Computing,
    /// Other processes ran.
    Nothing,
}

/// What a thread has used of the machine since it began.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ThreadUsage {
    computed: Duration,
    /// How often it gave the processor up of its own accord: to sleep, read or lock.
    waits: i64,
}

impl ThreadUsage {
    /// This thread's usage; `None` where the system does not tell.
    #[cfg(target_os = "linux")]
    pub(crate) fn now() -> Option<Self> {
        use nix::sys::resource::{UsageWho, getrusage};

        let usage = getrusage(UsageWho::RUSAGE_THREAD).ok()?;
        let (user, system) = (usage.user_time(), usage.system_time());
        let micros = |seconds: i64, micros: i64| {
            u64::try_from(seconds * 1_000_000 + micros)
                .map_or(Duration::ZERO, Duration::from_micros)
        };
        Some(Self {
            computed: micros(user.tv_sec(), user.tv_usec())
                + micros(system.tv_sec(), system.tv_usec()),
            waits: usage.voluntary_context_switches(),
        })
    }

    /// This thread's usage; `None` where the system does not tell.
    #[cfg(not(target_os = "linux"))]
    pub(crate) fn now() -> Option<Self> {
        None
    }

    /// What a call that has just ended on this thread spent its time with: waiting, if the thread
    /// has waited since `self` was taken; computing, if it has computed for `limit` or more beside
    /// the time `before` that passed before the call; or else nothing, as others ran meanwhile.
    pub(crate) fn spent(&self, before: Duration, limit: Duration) -> Spent {
        match Self::now() {
            Some(now) if now.waits == self.waits => {
                if now.computed.saturating_sub(self.computed) < before + limit {
                    Spent::Nothing
                } else {
                    Spent::Computing
                }
            }
            _ => Spent::Waiting,
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::time::Instant;

    const LIMIT: Duration = Duration::from_millis(5);

    #[test]
    fn waiting_is_the_calls_own() {
        let usage = ThreadUsage::now().unwrap();
        std::thread::sleep(LIMIT);
        assert_eq!(usage.spent(Duration::ZERO, LIMIT), Spent::Waiting);
    }

    #[test]
    fn computing_is_the_calls_own() {
        let usage = ThreadUsage::now().unwrap();
        let start = Instant::now();
        // Long enough for its own time even on a crowded machine.
        while ThreadUsage::now().unwrap().computed < usage.computed + LIMIT {
            assert!(start.elapsed() < Duration::from_secs(60));
        }
        assert_ne!(usage.spent(Duration::ZERO, LIMIT), Spent::Nothing);
    }
}
