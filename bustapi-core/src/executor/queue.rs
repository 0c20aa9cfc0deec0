//! The queue of calls that run with the IO role, and the pool beside it.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use crate::executor::batch::Batch;
use crate::executor::habit::{Habit, QUICK};
use crate::executor::io_role::{Held, IoRole, runtime};
use crate::executor::overdue::Overdue;
use crate::executor::pool::Pool;
use crate::executor::thread_usage::Spent;
use crate::executor::thread_usage::ThreadUsage;
use crate::executor::work::{BATCH_TIME, Entry, Place, Work};
use crate::lock::lock;
use crate::log::log;

/// Runs the jobs of one server, see the module.
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
    /// An executor whose pool makes up to `threads` threads (at least one), on demand. All calls
    /// go there until [`Executor::start`].
    #[must_use]
    pub fn new(work: Arc<W>, threads: usize) -> Self {
        Self {
            inner: Arc::new(Inner {
                queue: Mutex::new(Queue {
                    jobs: VecDeque::new(),
                    waker: None,
                    is_awaited: false,
                    is_open: false,
                }),
                pool: Arc::new(Pool::new(Arc::clone(&work), threads)),
                role: Arc::default(),
                overdue: Overdue::default(),
                runtime: OnceLock::new(),
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

    /// Runs `future` on a runtime of its own, and quick calls beside it. Two threads do both, in
    /// turn (see the module); they end when the future has completed, and tasks that it has
    /// spawned are dropped then. The runtime has no timers: looking for those that are due would
    /// cost two readings of the clock for each look at the sockets. To be called once.
    ///
    /// # Errors
    ///
    /// Where the system gives no event queue or no threads.
    pub fn start(&self, future: impl Future<Output = ()> + Send + 'static) -> io::Result<()> {
        let runtime = runtime().build()?;
        let end = End(Arc::clone(&self.inner));
        runtime.spawn(async move {
            let _end = end;
            future.await;
        });
        self.inner.runtime.get_or_init(|| runtime.handle().clone());
        lock(&self.inner.queue).is_open = true;
        let held = Held {
            runtime: Box::new(runtime),
            wakers: Vec::new(),
        };
        let started = spawn(&self.inner, None).and_then(|()| spawn(&self.inner, Some(held)));
        if started.is_err() {
            self.inner.role.end();
        }
        started
    }

    /// Queues `job`, a call of the endpoint whose habit is `habit`.
    ///
    /// Where the system gives no thread and the pool has none, the job runs with the IO role
    /// whatever `place` says: late is better than never. Without [`Executor::start`] it is dropped.
    pub fn submit(&self, habit: &Arc<Habit>, place: Place, job: W::Job) {
        if place == Place::Learned && habit.is_quick() {
            let mut queue = lock(&self.inner.queue);
            if queue.is_open {
                queue.jobs.push_back((Arc::clone(habit), job));
                queue.call();
                return;
            }
        }
        self.inner.push_to_pool((Arc::clone(habit), job));
    }

    /// Lets the pool's threads end when their queue is empty.
    pub fn close(&self) {
        self.inner.pool.close();
    }

    /// Waits until all threads have ended, the pool's after [`Executor::close`] and the others
    /// after the future's end; whether they did within `timeout`. One that runs a job ends after
    /// that.
    #[must_use]
    pub fn join(&self, timeout: Duration) -> bool {
        let begin = Instant::now();
        self.inner.pool.join(timeout)
            && self
                .inner
                .role
                .join(timeout.saturating_sub(begin.elapsed()))
    }
}

struct Inner<W: Work> {
    work: Arc<W>,
    queue: Mutex<Queue<W>>,
    pool: Arc<Pool<W>>,
    role: Arc<IoRole>,
    overdue: Overdue,
    runtime: OnceLock<Handle>,
}

/// The jobs that run with the IO role.
struct Queue<W: Work> {
    jobs: VecDeque<Entry<W>>,
    /// Wakes the holder of the role.
    waker: Option<Waker>,
    /// Whether the holder drives the runtime, and has found nothing here.
    is_awaited: bool,
    /// Whether batches are run: not while a thread is away.
    is_open: bool,
}

impl<W: Work> Queue<W> {
    /// Has the holder of the role look here.
    fn call(&mut self) {
        if std::mem::take(&mut self.is_awaited)
            && let Some(waker) = &self.waker
        {
            waker.wake_by_ref();
        }
    }
}

/// Starts a thread that holds the IO role in turn with another, beginning with `held`.
fn spawn<W: Work>(inner: &Arc<Inner<W>>, held: Option<Held>) -> io::Result<()> {
    let living = inner.role.count_thread();
    let inner = Arc::clone(inner);
    thread::Builder::new()
        .name("bustapi-io".to_owned())
        .spawn(move || {
            let _living = living;
            inner.live(held);
        })?;
    Ok(())
}

/// Ends the threads with the future that they are there for, whatever ended it.
struct End<W: Work>(Arc<Inner<W>>);

impl<W: Work> Drop for End<W> {
    fn drop(&mut self) {
        self.0.role.end();
        lock(&self.0.queue).call();
    }
}

/// Why the holder of the IO role leaves the runtime.
enum Left {
    /// There are calls to run.
    Calls,
    /// The future has completed.
    Ended,
}

/// The future that the runtime is driven for, until there are calls to run or nothing more to do.
/// It wakes the tasks that the last batch answered, and lets ready connections go before the next
/// one.
struct Driving<'a, W: Work> {
    inner: &'a Inner<W>,
    wakers: &'a mut Vec<Waker>,
    is_first_look: bool,
}

impl<W: Work> Future for Driving<'_, W> {
    type Output = Left;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Left> {
        let this = &mut *self;
        this.wakers.drain(..).for_each(Waker::wake);
        let is_first_look = std::mem::take(&mut this.is_first_look);
        let mut queue = lock(&this.inner.queue);
        if this.inner.role.has_ended() {
            return Poll::Ready(Left::Ended);
        }
        if queue.jobs.is_empty() || !queue.is_open {
            queue.is_awaited = true;
            // The waker stays the same for as long as the runtime lives.
            queue.waker.get_or_insert_with(|| context.waker().clone());
        } else if is_first_look {
            // These calls were left over when the time of the last batch was up: connections go
            // first.
            context.waker().wake_by_ref();
        } else {
            return Poll::Ready(Left::Calls);
        }
        Poll::Pending
    }
}

impl<W: Work> Inner<W> {
    fn push_to_pool(self: &Arc<Self>, entry: Entry<W>) {
        let is_answerable = self.work.is_answerable_outside(&entry.1);
        if let Err(entries) = self.pool.push(entry) {
            self.keep_for_role(entries);
        } else if is_answerable
            && let Some(runtime) = self.runtime.get()
            && self.overdue.begins()
        {
            let inner = Arc::clone(self);
            runtime.spawn_blocking(move || inner.overdue.watch(&*inner.work, &inner.pool));
        }
    }

    /// Queues what the pool could not take, for when a batch is run.
    fn keep_for_role(&self, entries: VecDeque<Entry<W>>) {
        let mut queue = lock(&self.queue);
        queue.jobs.extend(entries);
        if queue.is_open {
            queue.call();
        }
    }

    /// The life of a thread that holds the IO role in turn with another.
    fn live(self: &Arc<Self>, mut held: Option<Held>) {
        let mut has_lived = false;
        let mut body = || {
            self.role.adopt();
            while let Some(held) = held.take().or_else(|| self.stand_by()) {
                if self.hold(held) {
                    break;
                }
            }
            has_lived = true;
        };
        let lived = catch_unwind(AssertUnwindSafe(|| self.work.on_thread(&mut body)));
        if lived.is_err() || !has_lived {
            log("an IO thread could not work");
            self.role.end();
        }
    }

    /// Waits until the IO role is this thread's; `None` at the end.
    fn stand_by(self: &Arc<Self>) -> Option<Held> {
        let mut waiting = VecDeque::new();
        let held = self.role.stand_by(|| {
            let mut queue = lock(&self.queue);
            queue.is_open = false;
            waiting = std::mem::take(&mut queue.jobs);
            self.pool.count_busy(true);
        })?;
        for entry in waiting {
            self.push_to_pool(entry);
        }
        Some(held)
    }

    /// Drives the runtime and runs batches until the end, or until the role is lost; whether it
    /// was the end.
    fn hold(&self, mut held: Held) -> bool {
        loop {
            let Held { runtime, wakers } = &mut held;
            let left = runtime.block_on(Driving {
                inner: self,
                wakers,
                is_first_look: true,
            });
            if matches!(left, Left::Ended) {
                // Threads that still wait for a disk must not hold up the end of the process.
                held.runtime.shutdown_background();
                return true;
            }
            let batch = Batch::begin();
            self.role.leave(&batch, held);
            self.run_batch();
            drop(batch);
            match self.role.come_back() {
                Some(back) => held = back,
                None => break,
            }
        }
        self.pool.count_busy(false);
        let mut queue = lock(&self.queue);
        queue.is_open = true;
        if !queue.jobs.is_empty() {
            queue.call();
        }
        false
    }

    /// The next job of a batch, after those whose endpoint has been struck since they were queued:
    /// one call may hold up a batch, a queue of them must not.
    fn next_in_batch(&self) -> Option<Entry<W>> {
        loop {
            let mut queue = lock(&self.queue);
            if !queue.is_open {
                // The other thread has taken the role, and the batch ends.
                return None;
            }
            let entry = queue.jobs.pop_front()?;
            drop(queue);
            if entry.0.is_quick() {
                return Some(entry);
            }
            if let Err(mut entries) = self.pool.push(entry) {
                let first = entries.pop_front();
                self.keep_for_role(entries);
                return first;
            }
        }
    }

    /// Runs what is queued, for `BATCH_TIME`.
    fn run_batch(&self) {
        // Time counts from when the first job is asked for: entering the interpreter may have
        // to wait for the pool's threads, which is not the endpoint's fault.
        let mut batch: Option<(Instant, Option<ThreadUsage>)> = None;
        let mut running: Option<(Arc<Habit>, Instant)> = None;
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
                return None;
            }
            let (habit, job) = self.next_in_batch()?;
            running = Some((habit, now));
            Some(job)
        };
        // A panic ends this batch; its job's responder answers 500 as it is dropped.
        if catch_unwind(AssertUnwindSafe(|| self.work.run(&mut next))).is_err() {
            log("a handler panicked on the IO thread");
        }
    }
}
