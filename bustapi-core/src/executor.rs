//! Decides where calls run that may or may not block: at once on the IO thread, or on a
//! pool of threads. Generic over what is called; nothing here knows Python.
//!
//! # Theory of operation
//!
//! Handing a call to another thread and back costs two to four microseconds; running it on
//! the IO thread costs nothing but holds up every other connection for as long as it takes.
//! So each endpoint is watched: [`Habit`] says where its calls run.
//!
//! Calls on the IO thread are queued and run together by one task, which the runtime
//! schedules behind the connections that are ready: entering the interpreter is paid once
//! for all of them. A batch ends after `BATCH_TIME`, so that sockets are looked at, and
//! calls of an endpoint that turns out slow while they wait in the queue move to the pool.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use crate::fault;
pub use crate::habit::{CROWDED_CALLS, Habit, ISOLATED, QUICK, TRIAL_CALLS};
use crate::lock::lock;
use crate::pool::Pool;
use crate::turn::Turn;
pub use crate::usage::Spent;
use crate::usage::ThreadUsage;

/// How long one batch may keep the IO thread from its sockets, or a pool thread inside.
pub(crate) const BATCH_TIME: Duration = Duration::from_millis(2);

/// What an executor runs.
pub trait Work: Send + Sync + 'static {
    /// One call.
    type Job: Send + 'static;

    /// Runs on each pool thread around everything it does: `body` returns when the thread ends.
    fn on_thread(&self, body: &mut dyn FnMut());

    /// Runs jobs until `next` has no more. Entered once for a whole batch; what has to be waited
    /// for before any job can run is waited for before `next` is first called.
    fn run(&self, next: &mut dyn FnMut() -> Option<Self::Job>);
}

/// Where one call may run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Where the endpoint's habit says.
    Learned,
    /// On the pool in any case, as it is known to block.
    Pool,
}

/// A job, and the habit of its endpoint.
pub(crate) type Entry<W> = (Arc<Habit>, <W as Work>::Job);

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
                queue: Mutex::new(Queue {
                    jobs: VecDeque::new(),
                    waker: None,
                }),
                pool: Arc::new(Pool::new(Arc::clone(&work), threads)),
                work,
            }),
        }
    }

    /// Logs `notice` the first time that a job finds all threads of the pool busy.
    #[must_use]
    pub fn with_notice(self, notice: String) -> Self {
        self.inner.pool.set_notice(notice);
        self
    }

    /// Lets threads of the pool end that have had nothing to do for `idle_time`, by default 30
    /// seconds.
    #[must_use]
    pub fn with_idle_time(self, idle_time: Duration) -> Self {
        self.inner.pool.set_idle_time(idle_time);
        self
    }

    /// Queues `job`, a call of the endpoint whose habit is `habit`.
    ///
    /// Where the system gives no thread and the pool has none, the job runs on the IO thread
    /// whatever `place` says: late is better than never.
    pub fn submit(&self, habit: &Arc<Habit>, place: Place, job: W::Job) {
        let entry = (Arc::clone(habit), job);
        if place == Place::Learned && habit.is_quick() {
            self.inner.push([entry]);
        } else if let Err(entries) = self.inner.pool.push(entry) {
            self.inner.push(entries);
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
        self.inner.pool.close();
    }

    /// Waits until the pool's threads have ended after [`Executor::close`]; whether they did
    /// within `timeout`. One that runs a job ends after that.
    #[must_use]
    pub fn join(&self, timeout: Duration) -> bool {
        self.inner.pool.join(timeout)
    }
}

struct Inner<W: Work> {
    work: Arc<W>,
    queue: Mutex<Queue<W>>,
    pool: Arc<Pool<W>>,
}

/// The jobs for the IO thread.
struct Queue<W: Work> {
    jobs: VecDeque<Entry<W>>,
    /// Set while the driving task sleeps.
    waker: Option<Waker>,
}

impl<W: Work> Inner<W> {
    fn push(&self, entries: impl IntoIterator<Item = Entry<W>>) {
        let mut queue = lock(&self.queue);
        queue.jobs.extend(entries);
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
    fn next_inline(&self) -> Option<Entry<W>> {
        loop {
            let entry = lock(&self.queue).jobs.pop_front()?;
            if entry.0.is_quick() {
                return Some(entry);
            }
            if let Err(mut entries) = self.pool.push(entry) {
                let first = entries.pop_front();
                self.push(entries);
                return first;
            }
        }
    }

    /// Runs what is queued; whether the time ran out before the queue did.
    fn run_batch(&self) -> bool {
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
}
