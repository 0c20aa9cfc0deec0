//! Decides where calls run that may or may not block: at once on the IO thread, or on a
//! pool of threads. Generic over what is called; nothing here knows Python.
//!
//! # Theory of operation
//!
//! Handing a call to another thread and back costs two to four microseconds; running it on
//! the IO thread costs nothing but holds up every other connection for as long as it takes.
//! So each endpoint is watched. Its first [`TRIAL_CALLS`] calls go to the pool. Once that
//! many have been quick (below [`QUICK`]), further calls run on the IO thread. A single
//! slow call there is a strike: it sends the endpoint back to the pool until a number of
//! consecutive quick calls, which doubles with each strike, has been seen. (A decaying mean
//! would return too soon: an endpoint that is slow once in a hundred calls has a fine mean.)
//!
//! Calls on the IO thread are queued and run together by one task, which the runtime
//! schedules behind the connections that are ready: entering the interpreter is paid once
//! for all of them. A batch ends after [`BATCH_TIME`], so that sockets are looked at.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use crate::fault;

/// Calls that take longer than this hold up the other connections noticeably.
pub const QUICK: Duration = Duration::from_millis(1);
/// Quick calls in a row on the pool before an endpoint's calls move to the IO thread.
pub const TRIAL_CALLS: u32 = 8;
/// Strikes after which the required number of quick calls no longer doubles (8 << 16).
const MAX_STRIKES: u32 = 16;
/// How long one batch may keep the IO thread from its sockets.
const BATCH_TIME: Duration = Duration::from_millis(2);

/// What an executor runs.
pub trait Work: Send + Sync + 'static {
    /// One call.
    type Job: Send + 'static;

    /// Runs on each pool thread around everything it does: `body` returns when the thread ends.
    fn on_thread(&self, body: &mut dyn FnMut());

    /// Runs jobs until `next` has no more. Entered once for a whole batch.
    fn run(&self, next: &mut dyn FnMut() -> Option<Self::Job>);
}

/// What is remembered of one endpoint's calls.
#[derive(Debug)]
pub struct Habit {
    /// Quick calls on the pool still to be seen; 0 means that calls run on the IO thread.
    trial: AtomicU32,
    strikes: AtomicU32,
}

impl Default for Habit {
    fn default() -> Self {
        Self {
            trial: AtomicU32::new(TRIAL_CALLS),
            strikes: AtomicU32::new(0),
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
        TRIAL_CALLS << self.strikes.load(Ordering::Relaxed).min(MAX_STRIKES)
    }

    /// Notes a call that ran on the IO thread.
    pub fn ran_inline(&self, took: Duration) {
        if took >= QUICK {
            self.strikes.fetch_add(1, Ordering::Relaxed);
            self.trial.store(self.required(), Ordering::Relaxed);
        }
    }

    /// Notes a call that ran on the pool.
    pub fn ran_on_pool(&self, took: Duration) {
        if took >= QUICK {
            self.trial.store(self.required(), Ordering::Relaxed);
        } else {
            // Calls that were on the pool when the last trial call ended must not wrap below 0.
            let left = self.trial.load(Ordering::Relaxed);
            self.trial.store(left.saturating_sub(1), Ordering::Relaxed);
        }
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

type Entry<W> = (Arc<Habit>, <W as Work>::Job);

/// Runs the jobs of one IO thread.
pub struct Executor<W: Work> {
    inline: Arc<Inline<W>>,
    pool: Arc<Pool<W>>,
}

impl<W: Work> Clone for Executor<W> {
    fn clone(&self) -> Self {
        Self {
            inline: Arc::clone(&self.inline),
            pool: Arc::clone(&self.pool),
        }
    }
}

impl<W: Work> std::fmt::Debug for Executor<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Executor").finish_non_exhaustive()
    }
}

impl<W: Work> Executor<W> {
    /// An executor whose pool makes up to `threads` threads, on demand. [`Executor::drive`]
    /// must be running on the IO thread.
    #[must_use]
    pub fn new(work: Arc<W>, threads: usize) -> Self {
        Self {
            inline: Arc::new(Inline {
                work: Arc::clone(&work),
                queue: Mutex::new(Queue {
                    jobs: VecDeque::new(),
                    waker: None,
                }),
            }),
            pool: Arc::new(Pool {
                work,
                max_threads: threads.max(1),
                state: Mutex::new(PoolState::default()),
                wake: Condvar::new(),
                closed: AtomicBool::new(false),
            }),
        }
    }

    /// Queues `job`, a call of the endpoint whose habit is `habit`. Called on the IO thread.
    pub fn submit(&self, habit: &Arc<Habit>, place: Place, job: W::Job) {
        let entry = (Arc::clone(habit), job);
        if place == Place::Learned && habit.is_quick() {
            self.inline.push(entry);
        } else {
            self.pool.push(entry);
        }
    }

    /// Runs the queued quick jobs; never completes. To be spawned once on the IO thread.
    pub async fn drive(self) {
        poll_fn(|context| {
            if self.inline.run_batch() {
                // Time was up: give the sockets a turn, then go on.
                context.waker().wake_by_ref();
            } else {
                self.inline.sleep(context.waker());
            }
            Poll::<()>::Pending
        })
        .await;
    }

    /// Lets the pool's threads end when their queue is empty.
    pub fn close(&self) {
        self.pool.closed.store(true, Ordering::Relaxed);
        self.pool.wake.notify_all();
    }
}

struct Queue<W: Work> {
    jobs: VecDeque<Entry<W>>,
    /// Set while the driving task sleeps.
    waker: Option<Waker>,
}

struct Inline<W: Work> {
    work: Arc<W>,
    queue: Mutex<Queue<W>>,
}

impl<W: Work> Inline<W> {
    fn push(&self, entry: Entry<W>) {
        let mut queue = lock(&self.queue);
        queue.jobs.push_back(entry);
        let waker = queue.waker.take();
        drop(queue);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Registers `waker` for the next job; wakes at once if one came meanwhile.
    fn sleep(&self, waker: &Waker) {
        let mut queue = lock(&self.queue);
        if queue.jobs.is_empty() {
            queue.waker = Some(waker.clone());
        } else {
            waker.wake_by_ref();
        }
    }

    /// Runs what is queued; whether the time ran out before the queue did.
    fn run_batch(&self) -> bool {
        let mut first = lock(&self.queue).jobs.pop_front();
        if first.is_none() {
            return false;
        }
        let start = Instant::now();
        let mut began = start;
        let mut running: Option<Arc<Habit>> = None;
        let mut out_of_time = false;
        let mut next = || {
            if let Some(habit) = running.take() {
                let now = Instant::now();
                habit.ran_inline(now - began);
                began = now;
                if now - start >= BATCH_TIME {
                    out_of_time = true;
                    return None;
                }
            }
            let (habit, job) = first
                .take()
                .or_else(|| lock(&self.queue).jobs.pop_front())?;
            running = Some(habit);
            Some(job)
        };
        // A panic ends this batch; its job's responder answers 500 as it is dropped.
        if catch_unwind(AssertUnwindSafe(|| self.work.run(&mut next))).is_err() {
            fault::log("a handler panicked on the IO thread");
            return true;
        }
        out_of_time
    }
}

struct PoolState<W: Work> {
    jobs: VecDeque<Entry<W>>,
    threads: usize,
    idle: usize,
}

impl<W: Work> Default for PoolState<W> {
    fn default() -> Self {
        Self {
            jobs: VecDeque::new(),
            threads: 0,
            idle: 0,
        }
    }
}

struct Pool<W: Work> {
    work: Arc<W>,
    max_threads: usize,
    state: Mutex<PoolState<W>>,
    wake: Condvar,
    closed: AtomicBool,
}

impl<W: Work> Pool<W> {
    fn push(self: &Arc<Self>, entry: Entry<W>) {
        let mut state = lock(&self.state);
        state.jobs.push_back(entry);
        if state.jobs.len() > state.idle && state.threads < self.max_threads {
            state.threads += 1;
            drop(state);
            let pool = Arc::clone(self);
            let spawned = std::thread::Builder::new()
                .name("bustapi-pool".to_owned())
                .spawn(move || pool.work.on_thread(&mut || pool.serve()));
            if let Err(error) = spawned {
                lock(&self.state).threads -= 1;
                fault::log(&format!("cannot start a pool thread: {error}"));
            }
        } else {
            drop(state);
        }
        self.wake.notify_one();
    }

    /// One thread's life: takes one job at a time until the pool is closed.
    fn serve(&self) {
        while let Some((habit, job)) = self.take() {
            let mut job = Some(job);
            let mut began = None;
            let mut next = || {
                began.get_or_insert_with(Instant::now);
                job.take()
            };
            if catch_unwind(AssertUnwindSafe(|| self.work.run(&mut next))).is_err() {
                fault::log("a handler panicked on a pool thread");
            }
            if let Some(began) = began {
                habit.ran_on_pool(began.elapsed());
            }
        }
    }

    fn take(&self) -> Option<Entry<W>> {
        let mut state = lock(&self.state);
        loop {
            if let Some(entry) = state.jobs.pop_front() {
                return Some(entry);
            }
            if self.closed.load(Ordering::Relaxed) {
                state.threads -= 1;
                return None;
            }
            state.idle += 1;
            state = self
                .wake
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
            state.idle -= 1;
        }
    }
}

/// Locks where no code that can panic runs under the lock, so poison means nothing.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
