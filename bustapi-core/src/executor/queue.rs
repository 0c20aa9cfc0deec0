//! The queue of the IO thread, and the pool beside it.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use crate::executor::batch::Turn;
use crate::executor::habit::{Habit, QUICK};
use crate::executor::pool::Pool;
use crate::executor::thread_usage::Spent;
use crate::executor::thread_usage::ThreadUsage;
use crate::executor::work::{BATCH_TIME, Entry, Place, Work};
use crate::lock::lock;
use crate::log::log;

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
            log("a handler panicked on the IO thread");
            return true;
        }
        out_of_time
    }
}
