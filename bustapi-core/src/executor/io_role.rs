//! Who drives the runtime: one of two threads at a time.
//!
//! # Theory of operation
//!
//! A call on the IO thread is the cheapest there is, but nobody can promise that it ends soon: a
//! view that was quick a thousand times may wait for a lock, a slow query, or for this very
//! server. So the runtime belongs to no thread. Whoever drives it holds the *IO role*, and there
//! are two threads to hold it in turn:
//!
//! - The holder leaves the runtime when calls are queued and nothing else is ready, and puts it
//!   into a slot for as long as it runs them: that is a *batch*. Then it takes the runtime back.
//! - The other thread *stands by*. It looks at the slot every [`LOOK`]. When it finds the same
//!   batch there twice, it takes the runtime out, and with it the role: it wakes whom the batch
//!   has answered so far, and drives on. The calls that were still queued go to the pool.
//! - A thread that comes back from its batch and finds the slot empty has lost the role. It was
//!   *away*; its last answer went out as one from the pool does; now it stands by in its turn.
//!
//! While a thread is away, no batch is begun: all calls go to the pool. So the second thread
//! cannot be lost as well, and two are enough. Waiting to enter (for the interpreter's lock, which a
//! C function may keep for seconds) is part of the batch, and loses the role like a call that waits.
//!
//! Standing by costs nothing while the server is idle: after [`IDLE_LOOKS`] without a batch the
//! thread sleeps until one begins.
//!
//! Answers that are given in a batch wake their connections when the runtime is entered again: from
//! outside, each would cost a write to the runtime's eventfd. Those wakers are kept in the slot too,
//! so that they go where the runtime goes.

use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::task::Waker;
use std::thread::{self, Thread};
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

use crate::executor::batch::Batch;
use crate::lock::lock;

/// How often the thread that stands by looks at the batch. One that it has seen before has run
/// for this long, which batches of quick calls do not (`BATCH_TIME`, and the last call's own time).
const LOOK: Duration = Duration::from_millis(3);
/// Looks without a batch after which the thread sleeps: waking it costs what 30 ms of looking do.
const IDLE_LOOKS: u32 = 10;

/// How a server's runtime is made, but for its timers.
pub(crate) fn runtime() -> Builder {
    let mut builder = Builder::new_current_thread();
    // Sockets are looked at less often than tokio's 61 tasks when many are ready: each look is a
    // system call.
    builder.enable_io().event_interval(128);
    builder
}

/// The role, and where the runtime is during a batch.
#[derive(Default)]
pub(crate) struct IoRole {
    slot: Mutex<Slot>,
    /// Whether what the runtime was made for is done.
    has_ended: AtomicBool,
    /// Notified when one of the threads has ended.
    thread_ended: Condvar,
}

#[derive(Default)]
struct Slot {
    /// The number of the last batch.
    batch: u64,
    /// What the holder has left to run the batch. Whoever takes it has the role.
    runtime: Option<Box<Runtime>>,
    /// Whom the batch has answered.
    wakers: Vec<Waker>,
    /// The thread that stands by, while it sleeps.
    sleeping: Option<Thread>,
    /// How many threads have not ended.
    alive: usize,
}

/// The runtime, and whom to wake within it.
pub(crate) struct Held {
    pub(crate) runtime: Box<Runtime>,
    pub(crate) wakers: Vec<Waker>,
}

thread_local! {
    /// The role that this thread may hold.
    static OWN: RefCell<Option<Arc<IoRole>>> = const { RefCell::new(None) };
}

impl IoRole {
    /// Notes that this thread is one of those that hold the role in turn.
    pub(crate) fn adopt(self: &Arc<Self>) {
        OWN.set(Some(Arc::clone(self)));
    }

    /// Begins batch `batch`, leaving the runtime.
    pub(crate) fn leave(&self, batch: &Batch, held: Held) {
        let mut slot = lock(&self.slot);
        slot.batch = batch.number();
        slot.runtime = Some(held.runtime);
        slot.wakers = held.wakers;
        let sleeping = slot.sleeping.take();
        drop(slot);
        if let Some(thread) = sleeping {
            thread.unpark();
        }
    }

    /// Ends this thread's batch; `None` if it has lost the role.
    pub(crate) fn come_back(&self) -> Option<Held> {
        let mut slot = lock(&self.slot);
        // Nobody begins another batch while this thread is away.
        let runtime = slot.runtime.take()?;
        let wakers = std::mem::take(&mut slot.wakers);
        Some(Held { runtime, wakers })
    }

    /// Stands by until the holder has to be relieved; `None` when there is nothing more to hold.
    /// `relieve` runs before the other thread can come back.
    pub(crate) fn stand_by(&self, relieve: impl FnOnce()) -> Option<Held> {
        let mut seen = 0;
        let mut idle_looks = 0;
        loop {
            thread::sleep(LOOK);
            if self.has_ended() {
                return None;
            }
            let mut slot = lock(&self.slot);
            if slot.batch != seen {
                seen = slot.batch;
                idle_looks = 0;
            } else if let Some(runtime) = slot.runtime.take() {
                let wakers = std::mem::take(&mut slot.wakers);
                relieve();
                return Some(Held { runtime, wakers });
            } else {
                idle_looks += 1;
            }
            if idle_looks >= IDLE_LOOKS {
                slot.sleeping = Some(thread::current());
                drop(slot);
                // The end wakes as well, and whoever set it before has not seen this thread.
                if !self.has_ended() {
                    thread::park();
                }
                // The batch that has begun: this was the first look at it.
                seen = lock(&self.slot).batch;
                idle_looks = 0;
            }
        }
    }

    /// Notes that there is nothing to drive any more.
    pub(crate) fn end(&self) {
        self.has_ended.store(true, Ordering::SeqCst);
        let sleeping = lock(&self.slot).sleeping.take();
        if let Some(thread) = sleeping {
            thread.unpark();
        }
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.has_ended.load(Ordering::SeqCst)
    }

    /// Counts a thread that lives until this is dropped.
    pub(crate) fn count_thread(self: &Arc<Self>) -> Living {
        lock(&self.slot).alive += 1;
        Living(Arc::clone(self))
    }

    /// Waits until the threads have ended; whether they did within `timeout`.
    pub(crate) fn join(&self, timeout: Duration) -> bool {
        let slot = lock(&self.slot);
        let waited = self
            .thread_ended
            .wait_timeout_while(slot, timeout, |slot| slot.alive > 0);
        let (slot, _) = waited.unwrap_or_else(PoisonError::into_inner);
        slot.alive == 0
    }

    /// Keeps a waker for when the runtime is entered; gives it back if the batch has lost it.
    fn keep(&self, batch: u64, waker: Waker) -> Option<Waker> {
        let mut slot = lock(&self.slot);
        if slot.batch != batch || slot.runtime.is_none() {
            return Some(waker);
        }
        slot.wakers.push(waker);
        None
    }
}

/// Wakes a task: in a batch, when the runtime is entered again.
pub(crate) fn wake(waker: Waker) {
    let waker = match Batch::current() {
        Some(batch) => OWN.with_borrow(|role| match role {
            Some(role) => role.keep(batch.get(), waker),
            None => Some(waker),
        }),
        None => Some(waker),
    };
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// A thread that may hold the role.
pub(crate) struct Living(Arc<IoRole>);

impl Drop for Living {
    fn drop(&mut self) {
        lock(&self.0.slot).alive -= 1;
        self.0.thread_ended.notify_all();
    }
}
