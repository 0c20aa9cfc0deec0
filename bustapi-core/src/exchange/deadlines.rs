//! Time-outs of connections, at no cost per request.
//!
//! # Theory of operation
//!
//! A timer per request costs an allocation and two clock readings. Instead each connection
//! notes, in plain counters, which phase it is in and at which *tick* it entered it; one
//! task per server advances the tick a few times a second, looks at every connection, and
//! wakes those whose time is up. A time-out is therefore met to within one tick.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock};
use std::task::{Context, Waker};
use std::time::Duration;

use bustapi_http::RawTarget;
use tokio::sync::Notify;

use crate::config::Config;
use crate::exchange::file_body::FilePieces;
use crate::exchange::leftover::Leftover;
use crate::lock::lock;

/// The precision of time-outs; a quarter of a second costs nothing and is soon enough.
pub(crate) const TICK: Duration = Duration::from_millis(250);

/// Slower senders of bodies than this are taken for attackers: the slowest modem is faster.
const MIN_BODY_BYTES_PER_SECOND: u32 = 240;
/// The same by ticks.
const MIN_BODY_BYTES_PER_TICK: u32 = MIN_BODY_BYTES_PER_SECOND / 4;
/// How long a client may go on sending after its last answer, in ticks: two seconds.
const CLOSING_TICKS: u32 = 8;

/// How long a connection that is new when the server stops is given for its request, in ticks.
const NEW_TICKS: u32 = 2;

/// What a connection is waiting for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Phase {
    /// The first byte of the next request, after another one.
    Idle = 0,
    /// The rest of a head.
    Head = 1,
    /// The handler; a request is open.
    Open = 2,
    /// The rest of an answer whose head is written.
    Answer = 3,
    /// The client's end of the connection, after ours.
    Closing = 4,
    /// The first byte of the first request. Who connects has something to ask: the time for a
    /// head counts, not that for keeping a connection.
    New = 5,
}

/// No tick: the client is not being waited for.
const NOT_WAITING: u32 = u32::MAX;

/// What is known of one connection, to tell when its time is up.
#[derive(Debug)]
pub(crate) struct ConnState {
    clock: Arc<AtomicU32>,
    phase: AtomicU8,
    /// The tick at which the phase began.
    since: AtomicU32,
    /// Whether the next head has begun to arrive, behind the request that is open.
    next_head_began: AtomicBool,
    /// The tick since which the client has taken nothing of the answer.
    write_stalled: AtomicU32,
    /// The tick since which the client has sent nothing of the body that is asked for.
    read_stalled: AtomicU32,
    /// For how many ticks the client may keep the reader of its body waiting; the bytes that
    /// come add to it.
    body_patience: AtomicU32,
    max_body_patience: u32,
    /// For how many ticks an answer waits for a body that nobody reads.
    unread_patience: u32,
    /// The tick since which an answer waits for such a body.
    unread_stalled: AtomicU32,
    expired: AtomicBool,
    draining: AtomicBool,
    /// What hyper has been given of files and has not written; made when a file is first sent.
    file_pieces: OnceLock<Arc<FilePieces>>,
    /// The tick at which the client ended its sending, behind the request that is open.
    client_ended: AtomicU32,
    /// Whether somebody wants to know if that client is still there.
    client_asked_for: AtomicBool,
    /// Whether the end of an answer may not have been written.
    unwritten: AtomicBool,
    waits_for_flush: AtomicBool,
    has_raw_target: AtomicBool,
    /// Targets that were mended, by the numbers of their requests.
    raw_targets: Mutex<VecDeque<(u64, RawTarget)>>,
    /// Whether there is a leftover; spares most polls the lock.
    has_leftover: AtomicBool,
    /// What is left of the body of a request that has been answered.
    leftover: Mutex<Option<Leftover>>,
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
            2 => Phase::Open,
            3 => Phase::Answer,
            4 => Phase::Closing,
            _ => Phase::New,
        }
    }

    pub(crate) fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Relaxed);
        self.since.store(self.now(), Relaxed);
    }

    /// Begins a request: no more is expected of the client.
    pub(crate) fn open(&self) {
        self.phase.store(Phase::Open as u8, Relaxed);
    }

    /// Ends a request: the next one is waited for.
    pub(crate) fn answered(&self) {
        self.unwritten.store(true, Relaxed);
        self.enter(if self.next_head_began.load(Relaxed) {
            Phase::Head
        } else {
            Phase::Idle
        });
    }

    /// Notes that bytes came, and whether they end within a head.
    pub(crate) fn received(&self, within_head: bool) {
        self.next_head_began.store(within_head, Relaxed);
        if within_head && self.waits_for_request() {
            self.enter(Phase::Head);
        }
    }

    /// Whether nothing of a further request has come.
    pub(crate) fn waits_for_request(&self) -> bool {
        matches!(self.phase(), Phase::Idle | Phase::New)
    }

    /// Whether a request is open or being answered.
    pub(crate) fn is_serving(&self) -> bool {
        matches!(self.phase(), Phase::Open | Phase::Answer)
    }

    /// Whether a request is open, or its answer not written to its end.
    pub(crate) fn owes_answer(&self) -> bool {
        self.is_serving() || self.unwritten.load(Relaxed)
    }

    /// Notes that hyper has nothing left to write at the moment.
    pub(crate) fn flushed(&self) {
        self.unwritten.store(false, Relaxed);
        if self.waits_for_flush.load(Relaxed) {
            self.waits_for_flush.store(false, Relaxed);
            self.wake();
        }
    }

    /// Has the connection's task woken when hyper has written all that it has.
    pub(crate) fn wait_for_flush(&self) {
        self.waits_for_flush.store(true, Relaxed);
    }

    /// Whether that is being waited for.
    pub(crate) fn is_waiting_for_flush(&self) -> bool {
        self.waits_for_flush.load(Relaxed)
    }

    /// Notes that the client sends nothing more.
    pub(crate) fn client_ends(&self) {
        self.client_ended.store(self.now(), Relaxed);
    }

    pub(crate) fn has_client_ended(&self) -> bool {
        self.client_ended.load(Relaxed) != NOT_WAITING
    }

    /// Has the client asked at the next tick whether it is still there.
    pub(crate) fn ask_for_client(&self) {
        self.client_asked_for.store(true, Relaxed);
    }

    /// Whether the client is to be asked now: nothing of an answer may be under way, as the
    /// question would land in its midst.
    pub(crate) fn is_time_to_ask(&self) -> bool {
        self.client_asked_for.load(Relaxed)
            && self.phase() == Phase::Open
            && self.write_stalled.load(Relaxed) == NOT_WAITING
            && self.now() > self.client_ended.load(Relaxed)
    }

    pub(crate) fn write_waits(&self) {
        if self.write_stalled.load(Relaxed) == NOT_WAITING {
            self.write_stalled.store(self.now(), Relaxed);
        }
    }

    pub(crate) fn wrote(&self) {
        self.write_stalled.store(NOT_WAITING, Relaxed);
    }

    /// Begins a body: the client gets its full patience.
    pub(crate) fn body_begins(&self) {
        self.body_patience.store(self.max_body_patience, Relaxed);
    }

    pub(crate) fn body_waits(&self) {
        if self.read_stalled.load(Relaxed) == NOT_WAITING {
            self.read_stalled.store(self.now(), Relaxed);
        }
    }

    /// Notes that `bytes` of the body came: what was waited for them is taken off the
    /// patience, and what they earn is added.
    pub(crate) fn body_came(&self, bytes: usize) {
        let since = self.read_stalled.swap(NOT_WAITING, Relaxed);
        let waited = match since {
            NOT_WAITING => 0,
            since => self.now().saturating_sub(since),
        };
        let earned = u32::try_from(bytes).unwrap_or(u32::MAX) / MIN_BODY_BYTES_PER_TICK;
        let left = self.body_patience.load(Relaxed).saturating_sub(waited);
        let patience = left.saturating_add(earned).min(self.max_body_patience);
        self.body_patience.store(patience, Relaxed);
    }

    /// Whether an answer waits a moment longer for a body that nobody reads. The connection's task
    /// is woken at each tick while it does.
    pub(crate) fn has_patience_for_unread(&self) -> bool {
        let now = self.now();
        let since = match self.unread_stalled.load(Relaxed) {
            NOT_WAITING => {
                self.unread_stalled.store(now, Relaxed);
                now
            }
            since => since,
        };
        !self.is_draining()
            && self.unread_patience != 0
            && now.saturating_sub(since) <= self.unread_patience
    }

    /// Notes that something came of it, or that the answer waits no longer.
    pub(crate) fn unread_came(&self) {
        self.unread_stalled.store(NOT_WAITING, Relaxed);
    }

    /// No more of the body is asked for.
    pub(crate) fn body_ends(&self) {
        self.read_stalled.store(NOT_WAITING, Relaxed);
    }

    /// Keeps the target of the request of this number as it was before it was mended.
    pub(crate) fn note_raw_target(&self, number: u64, target: RawTarget) {
        lock(&self.raw_targets).push_back((number, target));
        self.has_raw_target.store(true, Relaxed);
    }

    /// The target of the request of this number as it was, if it was mended.
    pub(crate) fn take_raw_target(&self, number: u64) -> Option<RawTarget> {
        if !self.has_raw_target.load(Relaxed) {
            return None;
        }
        let mut targets = lock(&self.raw_targets);
        targets.front().filter(|(of, _)| *of == number)?;
        let (_, target) = targets.pop_front()?;
        self.has_raw_target.store(!targets.is_empty(), Relaxed);
        Some(target)
    }

    /// Leaves it to the connection to receive a body for nobody.
    pub(crate) fn set_leftover(&self, leftover: Leftover) {
        *lock(&self.leftover) = Some(leftover);
        self.has_leftover.store(true, Relaxed);
        self.wake();
    }

    /// Receives what has come of a leftover. Without it, hyper closes the connection: so it is when
    /// the server stops, or where it was too long.
    pub(crate) fn poll_leftover(&self, context: &mut Context<'_>) {
        if !self.has_leftover.load(Relaxed) {
            return;
        }
        let mut slot = lock(&self.leftover);
        let Some(leftover) = slot.as_mut() else {
            return;
        };
        let polled = leftover.poll(context);
        if polled.is_pending() && !self.is_draining() {
            self.body_waits();
            return;
        }
        *slot = None;
        self.has_leftover.store(false, Relaxed);
        self.body_ends();
    }

    /// Whether the client has not sent what was asked for, rather than not read its answer.
    pub(crate) fn owes_request(&self) -> bool {
        self.write_stalled.load(Relaxed) == NOT_WAITING
            && matches!(self.phase(), Phase::Head | Phase::Open)
    }

    pub(crate) fn is_expired(&self) -> bool {
        self.expired.load(Relaxed)
    }

    /// Whether the connection is to end after the request that it serves. One that is new has
    /// a moment for its request, which may be on its way.
    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Relaxed)
            && (self.phase() != Phase::New
                || self.now().saturating_sub(self.since.load(Relaxed)) > NEW_TICKS)
    }

    pub(crate) fn file_pieces(&self) -> Arc<FilePieces> {
        Arc::clone(self.file_pieces.get_or_init(Arc::default))
    }

    pub(crate) fn set_waker(&self, waker: &Waker) {
        let mut slot = lock(&self.waker);
        if slot.as_ref().is_none_or(|known| !known.will_wake(waker)) {
            *slot = Some(waker.clone());
        }
    }

    fn expire(&self) {
        self.expired.store(true, Relaxed);
        self.wake();
    }

    fn wake(&self) {
        if let Some(waker) = lock(&self.waker).as_ref() {
            waker.wake_by_ref();
        }
    }
}

/// The connections of one server.
#[derive(Debug)]
pub(crate) struct Deadlines {
    clock: Arc<AtomicU32>,
    connections: Mutex<Connections>,
    /// Told when the last connection has gone.
    emptied: Notify,
    head: u32,
    body: u32,
    unread: u32,
    write: u32,
    keep_alive: u32,
}

#[derive(Debug, Default)]
struct Connections {
    open: HashMap<u64, Arc<ConnState>>,
    next: u64,
}

impl Deadlines {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            clock: Arc::new(AtomicU32::new(0)),
            connections: Mutex::new(Connections::default()),
            emptied: Notify::new(),
            head: ticks(config.head_timeout),
            body: ticks(config.body_timeout),
            unread: ticks(config.unread_body_timeout),
            write: ticks(config.write_timeout),
            keep_alive: ticks(config.keep_alive_timeout),
        }
    }

    /// Takes in a connection; it is forgotten when the guard is dropped.
    pub(crate) fn admit(self: &Arc<Self>) -> Admission {
        let state = Arc::new(ConnState {
            clock: Arc::clone(&self.clock),
            phase: AtomicU8::new(Phase::New as u8),
            since: AtomicU32::new(self.clock.load(Relaxed)),
            next_head_began: AtomicBool::new(false),
            write_stalled: AtomicU32::new(NOT_WAITING),
            read_stalled: AtomicU32::new(NOT_WAITING),
            body_patience: AtomicU32::new(self.body),
            max_body_patience: self.body,
            unread_patience: self.unread,
            unread_stalled: AtomicU32::new(NOT_WAITING),
            expired: AtomicBool::new(false),
            draining: AtomicBool::new(false),
            file_pieces: OnceLock::new(),
            client_ended: AtomicU32::new(NOT_WAITING),
            client_asked_for: AtomicBool::new(false),
            unwritten: AtomicBool::new(false),
            waits_for_flush: AtomicBool::new(false),
            has_raw_target: AtomicBool::new(false),
            raw_targets: Mutex::default(),
            has_leftover: AtomicBool::new(false),
            leftover: Mutex::new(None),
            waker: Mutex::new(None),
        });
        let mut connections = lock(&self.connections);
        let id = connections.next;
        connections.next += 1;
        connections.open.insert(id, Arc::clone(&state));
        drop(connections);
        Admission {
            state,
            id,
            deadlines: Arc::clone(self),
        }
    }

    pub(crate) fn count(&self) -> usize {
        lock(&self.connections).open.len()
    }

    /// Completes when no connection is left.
    pub(crate) async fn empty(&self) {
        loop {
            let emptied = self.emptied.notified();
            if self.count() == 0 {
                return;
            }
            emptied.await;
        }
    }

    /// Ends every connection now.
    pub(crate) fn abort(&self) {
        for state in lock(&self.connections).open.values() {
            state.expire();
        }
    }

    /// Asks the connection to end that has waited longest for its next request, or else for its
    /// first one, unless it has come just now. Whether there is one.
    pub(crate) fn end_idlest(&self) -> bool {
        let connections = lock(&self.connections);
        let idle = |id: u64, state: &ConnState| {
            if state.draining.load(Relaxed) {
                return None;
            }
            let since = state.since.load(Relaxed);
            let is_new = match state.phase() {
                Phase::Idle => false,
                Phase::New if state.now().saturating_sub(since) > NEW_TICKS => true,
                _ => return None,
            };
            Some((is_new, since, id))
        };
        let idlest = (connections.open.iter())
            .filter_map(|(id, state)| Some((idle(*id, state)?, state)))
            .min_by_key(|(rank, _)| *rank);
        let Some((_, state)) = idlest else {
            return false;
        };
        state.draining.store(true, Relaxed);
        state.wake();
        true
    }

    /// Asks every connection to end after the request that it serves.
    pub(crate) fn drain(&self) {
        for state in lock(&self.connections).open.values() {
            if state.phase() == Phase::New {
                state.enter(Phase::New);
            }
            state.draining.store(true, Relaxed);
            state.wake();
        }
    }

    /// Advances the clock and wakes the connections whose time is up, and those whose client
    /// may have gone.
    pub(crate) fn tick(&self, ticks: u32) {
        let now = self.clock.fetch_add(ticks, Relaxed).wrapping_add(ticks);
        for state in lock(&self.connections).open.values() {
            if self.is_due(state, now) {
                state.expire();
            } else if state.has_client_ended()
                || state.unread_stalled.load(Relaxed) != NOT_WAITING
                || (state.phase() == Phase::New && state.is_draining())
            {
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
            Phase::Head | Phase::New => over(since, self.head),
            Phase::Open | Phase::Answer => false,
            Phase::Closing => over(since, CLOSING_TICKS),
        };
        let read_stalled = state.read_stalled.load(Relaxed);
        phase_over
            || over(state.write_stalled.load(Relaxed), self.write)
            || (self.body != 0
                && read_stalled != NOT_WAITING
                && now.saturating_sub(read_stalled) > state.body_patience.load(Relaxed))
    }
}

/// Keeps a connection under deadlines.
#[derive(Debug)]
pub(crate) struct Admission {
    pub(crate) state: Arc<ConnState>,
    id: u64,
    deadlines: Arc<Deadlines>,
}

impl Drop for Admission {
    fn drop(&mut self) {
        let mut connections = lock(&self.deadlines.connections);
        connections.open.remove(&self.id);
        if connections.open.is_empty() {
            self.deadlines.emptied.notify_waiters();
        }
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
