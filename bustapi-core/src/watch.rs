//! Time-outs of connections, at no cost per request.
//!
//! # Theory of operation
//!
//! A timer per request costs an allocation and two clock readings. Instead each connection
//! notes, in plain counters, which phase it is in and at which *tick* it entered it; one
//! task per server advances the tick a few times a second, looks at every connection, and
//! wakes those whose time is up. A time-out is therefore met to within one tick.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

use crate::config::Config;

/// The precision of time-outs; a quarter of a second costs nothing and is soon enough.
pub(crate) const TICK: Duration = Duration::from_millis(250);

/// What a connection is waiting for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Phase {
    /// The first byte of the next request.
    Idle = 0,
    /// The rest of a head.
    Head = 1,
    /// The handler; a request is open.
    Open = 2,
}

/// No tick: the client is not being waited for.
const NOT_WAITING: u32 = u32::MAX;

/// What the watch knows of one connection.
#[derive(Debug)]
pub(crate) struct ConnState {
    clock: Arc<AtomicU32>,
    phase: AtomicU8,
    /// The tick at which the phase began.
    since: AtomicU32,
    /// The tick since which the client has taken nothing of the answer.
    write_stalled: AtomicU32,
    /// The tick since which the client has sent nothing of the body that is asked for.
    read_stalled: AtomicU32,
    expired: AtomicBool,
    draining: AtomicBool,
    /// The connection's task, to be woken when its time is up.
    waker: Mutex<Option<Waker>>,
}

impl ConnState {
    fn now(&self) -> u32 {
        self.clock.load(Relaxed)
    }

    pub(crate) fn phase(&self) -> Phase {
        match self.phase.load(Relaxed) {
            0 => Phase::Idle,
            1 => Phase::Head,
            _ => Phase::Open,
        }
    }

    pub(crate) fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Relaxed);
        self.since.store(self.now(), Relaxed);
    }

    /// Notes that bytes came: the first ones after a pause begin a head.
    pub(crate) fn received(&self) {
        if self.phase.load(Relaxed) == Phase::Idle as u8 {
            self.enter(Phase::Head);
        }
    }

    pub(crate) fn write_waits(&self) {
        if self.write_stalled.load(Relaxed) == NOT_WAITING {
            self.write_stalled.store(self.now(), Relaxed);
        }
    }

    pub(crate) fn wrote(&self) {
        self.write_stalled.store(NOT_WAITING, Relaxed);
    }

    pub(crate) fn body_waits(&self) {
        if self.read_stalled.load(Relaxed) == NOT_WAITING {
            self.read_stalled.store(self.now(), Relaxed);
        }
    }

    pub(crate) fn body_came(&self) {
        self.read_stalled.store(NOT_WAITING, Relaxed);
    }

    pub(crate) fn is_expired(&self) -> bool {
        self.expired.load(Relaxed)
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Relaxed)
    }

    pub(crate) fn set_waker(&self, waker: &Waker) {
        let mut slot = lock(&self.waker);
        if slot.as_ref().is_none_or(|known| !known.will_wake(waker)) {
            *slot = Some(waker.clone());
        }
    }

    fn wake(&self) {
        if let Some(waker) = lock(&self.waker).as_ref() {
            waker.wake_by_ref();
        }
    }
}

/// The connections of one server.
#[derive(Debug)]
pub(crate) struct Watch {
    clock: Arc<AtomicU32>,
    connections: Mutex<Connections>,
    head: u32,
    body: u32,
    write: u32,
    keep_alive: u32,
}

#[derive(Debug, Default)]
struct Connections {
    open: HashMap<u64, Arc<ConnState>>,
    next: u64,
}

impl Watch {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            clock: Arc::new(AtomicU32::new(0)),
            connections: Mutex::new(Connections::default()),
            head: ticks(config.head_timeout),
            body: ticks(config.body_timeout),
            write: ticks(config.write_timeout),
            keep_alive: ticks(config.keep_alive_timeout),
        }
    }

    /// Begins to watch a connection; it is forgotten when the guard is dropped.
    pub(crate) fn admit(self: &Arc<Self>) -> Watched {
        let state = Arc::new(ConnState {
            clock: Arc::clone(&self.clock),
            phase: AtomicU8::new(Phase::Idle as u8),
            since: AtomicU32::new(self.clock.load(Relaxed)),
            write_stalled: AtomicU32::new(NOT_WAITING),
            read_stalled: AtomicU32::new(NOT_WAITING),
            expired: AtomicBool::new(false),
            draining: AtomicBool::new(false),
            waker: Mutex::new(None),
        });
        let mut connections = lock(&self.connections);
        let id = connections.next;
        connections.next += 1;
        connections.open.insert(id, Arc::clone(&state));
        drop(connections);
        Watched {
            state,
            id,
            watch: Arc::clone(self),
        }
    }

    pub(crate) fn count(&self) -> usize {
        lock(&self.connections).open.len()
    }

    /// Asks every connection to end after the request that it serves.
    pub(crate) fn drain(&self) {
        for state in lock(&self.connections).open.values() {
            state.draining.store(true, Relaxed);
            state.wake();
        }
    }

    /// Advances the clock by one tick and wakes the connections whose time is up.
    pub(crate) fn tick(&self) {
        let now = self.clock.fetch_add(1, Relaxed).wrapping_add(1);
        for state in lock(&self.connections).open.values() {
            if self.is_due(state, now) {
                state.expired.store(true, Relaxed);
                state.wake();
            }
        }
    }

    fn is_due(&self, state: &ConnState, now: u32) -> bool {
        let over = |since: u32, limit: u32| {
            since != NOT_WAITING && limit != 0 && now.saturating_sub(since) > limit
        };
        let since = state.since.load(Relaxed);
        let phase_over = match state.phase() {
            Phase::Idle => over(since, self.keep_alive),
            Phase::Head => over(since, self.head),
            Phase::Open => false,
        };
        phase_over
            || over(state.write_stalled.load(Relaxed), self.write)
            || over(state.read_stalled.load(Relaxed), self.body)
    }
}

/// Keeps a connection under watch.
#[derive(Debug)]
pub(crate) struct Watched {
    pub(crate) state: Arc<ConnState>,
    id: u64,
    watch: Arc<Watch>,
}

impl Drop for Watched {
    fn drop(&mut self) {
        lock(&self.watch.connections).open.remove(&self.id);
    }
}

/// A duration in ticks, at least one unless it is zero (which means no limit).
fn ticks(duration: Duration) -> u32 {
    if duration.is_zero() {
        return 0;
    }
    let count = duration.as_millis().div_ceil(TICK.as_millis()).max(1);
    u32::try_from(count).unwrap_or(u32::MAX - 1)
}

/// Locks where no code that can panic runs under the lock, so poison means nothing.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
