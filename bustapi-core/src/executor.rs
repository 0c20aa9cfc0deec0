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
//! consecutive quick calls, which grows fourfold with each strike, has been seen. (A decaying
//! mean would return too soon: an endpoint that is slow once in a hundred calls has a fine mean.)
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
//!
//! Calls on the IO thread are queued and run together by one task, which the runtime
//! schedules behind the connections that are ready: entering the interpreter is paid once
//! for all of them. A batch ends after `BATCH_TIME`, so that sockets are looked at, and
//! calls of an endpoint that turns out slow while they wait in the queue move to the pool.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use crate::fault;
use crate::turn::Turn;
pub use crate::usage::Spent;
use crate::usage::ThreadUsage;

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
    inner: Arc<Inner<W>>,
}

impl<W: Work> Clone for Executor<W> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
        }
    }
}

impl<W: Work> std::fmt::Debug for Executor<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Executor").finish_non_exhaustive()
    }
}

impl<W: Work> Executor<W> {
    /// An executor whose pool makes up to `threads` threads (at least one), on demand.
    /// [`Executor::drive`] must be running on the IO thread.
    #[must_use]
    pub fn new(work: Arc<W>, threads: usize) -> Self {
        Self {
            inner: Arc::new(Inner {
                work,
                queue: Mutex::new(Queue {
                    jobs: VecDeque::new(),
                    waker: None,
                }),
                max_threads: threads.max(1),
                notice: Mutex::new(None),
                pool: Mutex::new(Pool::default()),
                wake: Condvar::new(),
                ended: Condvar::new(),
                busy: AtomicU32::new(0),
            }),
        }
    }

    /// Logs `notice` the first time that a job finds all threads of the pool busy.
    #[must_use]
    pub fn with_notice(self, notice: String) -> Self {
        *lock(&self.inner.notice) = Some(notice);
        self
    }

    /// Queues `job`, a call of the endpoint whose habit is `habit`.
    ///
    /// Where the system gives no thread and the pool has none, the job runs on the IO thread
    /// whatever `place` says: late is better than never.
    pub fn submit(&self, habit: &Arc<Habit>, place: Place, job: W::Job) {
        let entry = (Arc::clone(habit), job);
        if place == Place::Learned && habit.is_quick() {
            self.inner.push(entry);
        } else if let Err(entry) = self.inner.push_to_pool(entry) {
            self.inner.push(entry);
        }
    }

    /// Runs the queued quick jobs; never completes. To be spawned once on the IO thread.
    pub async fn drive(self) {
        poll_fn(|context| {
            if self.inner.run_batch() {
                // Time was up: give the sockets a turn, then go on.
                context.waker().wake_by_ref();
            } else {
                self.inner.sleep(context.waker());
            }
            Poll::<()>::Pending
        })
        .await;
    }

    /// Lets the pool's threads end when their queue is empty.
    pub fn close(&self) {
        lock(&self.inner.pool).closed = true;
        self.inner.wake.notify_all();
    }

    /// Waits until the pool's threads have ended after [`Executor::close`]; whether they did
    /// within `timeout`. One that runs a job ends after that.
    #[must_use]
    pub fn join(&self, timeout: Duration) -> bool {
        let pool = lock(&self.inner.pool);
        let waited = self
            .inner
            .ended
            .wait_timeout_while(pool, timeout, |pool| pool.threads > 0);
        let (pool, _) = waited.unwrap_or_else(PoisonError::into_inner);
        pool.threads == 0
    }
}

struct Inner<W: Work> {
    work: Arc<W>,
    queue: Mutex<Queue<W>>,
    max_threads: usize,
    /// What is told once, when a job has to wait for a thread.
    notice: Mutex<Option<String>>,
    pool: Mutex<Pool<W>>,
    wake: Condvar,
    /// Notified when a thread has ended.
    ended: Condvar,
    /// How many pool threads are running a job.
    busy: AtomicU32,
}

/// The jobs for the IO thread.
struct Queue<W: Work> {
    jobs: VecDeque<Entry<W>>,
    /// Set while the driving task sleeps.
    waker: Option<Waker>,
}

/// The jobs for the pool, and its threads.
struct Pool<W: Work> {
    jobs: VecDeque<Entry<W>>,
    threads: usize,
    idle: usize,
    closed: bool,
}

impl<W: Work> Default for Pool<W> {
    fn default() -> Self {
        Self {
            jobs: VecDeque::new(),
            threads: 0,
            idle: 0,
            closed: false,
        }
    }
}

impl<W: Work> Inner<W> {
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

    /// The next job for the IO thread, after those whose endpoint has been struck since they
    /// were queued: one call may hold up the IO thread, a queue of them must not.
    fn next_inline(self: &Arc<Self>) -> Option<Entry<W>> {
        loop {
            let entry = lock(&self.queue).jobs.pop_front()?;
            if entry.0.is_quick() {
                return Some(entry);
            }
            if let Err(entry) = self.push_to_pool(entry) {
                return Some(entry);
            }
        }
    }

    /// Runs what is queued; whether the time ran out before the queue did.
    fn run_batch(self: &Arc<Self>) -> bool {
        let mut first = self.next_inline();
        if first.is_none() {
            return false;
        }
        let _turn = Turn::begin();
        // Time counts from when the first job is asked for: entering the interpreter may have
        // to wait for the pool's threads, which is not the endpoint's fault.
        let mut batch: Option<(Instant, Option<ThreadUsage>)> = None;
        let mut running: Option<(Arc<Habit>, Instant)> = None;
        let mut out_of_time = false;
        let mut next = || {
            let now = Instant::now();
            let (start, usage) = batch.get_or_insert_with(|| (now, ThreadUsage::now()));
            if let Some((habit, began)) = running.take() {
                let took = now - began;
                let spent = match usage {
                    Some(usage) if took >= QUICK => usage.spent(began - *start, QUICK),
                    _ => Spent::Waiting,
                };
                habit.ran_inline(took, spent);
            }
            if now >= *start + BATCH_TIME {
                out_of_time = true;
                return None;
            }
            let (habit, job) = first.take().or_else(|| self.next_inline())?;
            running = Some((habit, now));
            Some(job)
        };
        // A panic ends this batch; its job's responder answers 500 as it is dropped.
        if catch_unwind(AssertUnwindSafe(|| self.work.run(&mut next))).is_err() {
            fault::log("a handler panicked on the IO thread");
            return true;
        }
        out_of_time
    }

    /// Queues a job for the pool.
    ///
    /// # Errors
    ///
    /// A job comes back where there is no thread and none can be made.
    fn push_to_pool(self: &Arc<Self>, entry: Entry<W>) -> Result<(), Entry<W>> {
        let mut pool = lock(&self.pool);
        pool.jobs.push_back(entry);
        if pool.jobs.len() > pool.idle && pool.threads < self.max_threads {
            pool.threads += 1;
            drop(pool);
            let inner = Arc::clone(self);
            let spawned = std::thread::Builder::new()
                .name("bustapi-pool".to_owned())
                .spawn(move || inner.live());
            if let Err(error) = spawned {
                fault::log(&format!("cannot start a pool thread: {error}"));
                let mut pool = lock(&self.pool);
                pool.threads -= 1;
                if pool.threads == 0
                    && let Some(entry) = pool.jobs.pop_back()
                {
                    return Err(entry);
                }
            }
        } else {
            let waits = pool.jobs.len() > pool.idle;
            drop(pool);
            if waits && let Some(notice) = lock(&self.notice).take() {
                fault::log(&notice);
            }
        }
        self.wake.notify_one();
        Ok(())
    }

    /// The life of a pool thread.
    fn live(&self) {
        loop {
            let mut served = false;
            let mut body = || {
                served = true;
                self.serve();
            };
            let ended = catch_unwind(AssertUnwindSafe(|| self.work.on_thread(&mut body)));
            let sound = ended.is_ok() && served;
            let mut pool = lock(&self.pool);
            if sound && !pool.jobs.is_empty() {
                // A job came between the end of `serve` and here.
                continue;
            }
            pool.threads -= 1;
            let stranded = match pool.threads {
                0 => std::mem::take(&mut pool.jobs),
                _ => VecDeque::new(),
            };
            drop(pool);
            self.ended.notify_all();
            if !sound {
                fault::log(&format!(
                    "a pool thread could not work; {} calls are given up",
                    stranded.len()
                ));
            }
            return;
        }
    }

    /// Takes one job at a time until the pool is closed.
    fn serve(&self) {
        while let Some((habit, job)) = self.take() {
            let mut job = Some(job);
            let mut began = None;
            let mut crowded = self.busy.fetch_add(1, Ordering::Relaxed) > 0;
            let mut next = || {
                let now = Instant::now();
                if job.is_none()
                    && let Some(began) = began.take()
                {
                    crowded |= self.busy.load(Ordering::Relaxed) > 1;
                    habit.ran_on_pool(now - began, crowded);
                }
                began = job.is_some().then_some(now);
                job.take()
            };
            if catch_unwind(AssertUnwindSafe(|| self.work.run(&mut next))).is_err() {
                fault::log("a handler panicked on a pool thread");
            }
            self.busy.fetch_sub(1, Ordering::Relaxed);
        }
    }

    fn take(&self) -> Option<Entry<W>> {
        let mut pool = lock(&self.pool);
        loop {
            if let Some(entry) = pool.jobs.pop_front() {
                return Some(entry);
            }
            if pool.closed {
                return None;
            }
            pool.idle += 1;
            pool = self.wake.wait(pool).unwrap_or_else(PoisonError::into_inner);
            pool.idle -= 1;
        }
    }
}

/// Locks where no code that can panic runs under the lock, so poison means nothing.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
