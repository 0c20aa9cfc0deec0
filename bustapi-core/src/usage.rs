//! What the system did for a thread: how long it computed, and how often it waited.

use std::time::Duration;

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

    /// Whether a call that has just ended on this thread was slow only because other processes
    /// ran meanwhile: since `self` was taken, the thread has never waited, and has computed less
    /// than `limit` beside the time `before` that passed before the call.
    pub(crate) fn was_interrupted(&self, before: Duration, limit: Duration) -> bool {
        Self::now().is_some_and(|now| {
            now.waits == self.waits && now.computed.saturating_sub(self.computed) < before + limit
        })
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
        assert!(!usage.was_interrupted(Duration::ZERO, LIMIT));
    }

    #[test]
    fn computing_is_the_calls_own() {
        let usage = ThreadUsage::now().unwrap();
        let start = Instant::now();
        // Long enough for its own time even on a crowded machine.
        while ThreadUsage::now().unwrap().computed < usage.computed + LIMIT {
            assert!(start.elapsed() < Duration::from_secs(60));
        }
        assert!(!usage.was_interrupted(Duration::ZERO, LIMIT));
    }
}
