//! Threads that run calls which may wait.
//!
//! # Theory of operation
//!
//! Work is entered before it can be run, and only one thread at a time gets in: Python's has to
//! wait for the interpreter's lock. A thread inside that waits for something lets others in.
//!
//! So one thread at a time is sent to enter. It takes a job once it is inside, not before, and
//! only then is the next one sent, if there are jobs left. A queue of quick jobs is thus done by
//! one or two threads, however long it is; more are made only as those inside wait. Without
//! this, a burst of calls would have every thread wait at Python's lock, where each looks up
//! again once in a switch interval: a thousand of them do nothing else any more.
//!
//! As long as jobs are queued, a thread is called or under way ([`Entering`]). Threads that have
//! nothing to do are called last in, first out, so that those which are too many end in time.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use crate::executor::habit::Habit;
use crate::executor::work::{BATCH_TIME, Entry, Work};
use crate::lock::lock;
use crate::log::log;

/// How long a thread stays that has nothing to do, unless the server says otherwise.
const IDLE_TIME: Duration = Duration::from_secs(30);

/// A pool of up to `max_threads` threads, made on demand.
pub(crate) struct Pool<W: Work> {
    work: Arc<W>,
    max_threads: usize,
    /// What is told once, when a job has to wait for a thread.
    notice: Mutex<Option<String>>,
    state: Mutex<State<W>>,
    /// Notified when a thread has ended.
    ended: Condvar,
    /// How many threads are entering or inside.
    busy: AtomicU32,
}

struct State<W: Work> {
    jobs: VecDeque<Entry<W>>,
    entering: Entering,
    /// Since when a thread has been called and has not got in.
    called_at: Option<Instant>,
    /// Whether the thread made for the call never came.
    is_unheard: bool,
    /// Threads that wait to be called.
    idle: Vec<Thread>,
    /// Threads that take jobs, or are about to.
    threads: usize,
    /// Threads that have not ended yet.
    alive: usize,
    /// How long a thread stays that has nothing to do.
    idle_time: Duration,
    closed: bool,
}

impl<W: Work> State<W> {
    /// Notes the end of a thread that has taken no call: the next job calls once more.
    fn end_unheard(&mut self) {
        self.threads -= 1;
        self.alive -= 1;
        self.is_unheard = self.entering == Entering::Called;
    }

    /// Takes the jobs that no thread is there for any more.
    fn give_up(&mut self) -> VecDeque<Entry<W>> {
        if self.threads > 0 {
            return VecDeque::new();
        }
        self.entering = Entering::Nobody;
        self.called_at = None;
        self.is_unheard = false;
        std::mem::take(&mut self.jobs)
    }
}

/// Who takes the next job.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Entering {
    /// There is none.
    Nobody,
    /// Whichever thread is free first.
    Called,
    /// A thread that has been free since.
    UnderWay,
}

impl<W: Work> Pool<W> {
    pub(crate) fn new(work: Arc<W>, max_threads: usize) -> Self {
        Self {
            work,
            max_threads: max_threads.max(1),
            notice: Mutex::new(None),
            state: Mutex::new(State {
                jobs: VecDeque::new(),
                entering: Entering::Nobody,
                called_at: None,
                is_unheard: false,
                idle: Vec::new(),
                threads: 0,
                alive: 0,
                idle_time: IDLE_TIME,
                closed: false,
            }),
            ended: Condvar::new(),
            busy: AtomicU32::new(0),
        }
    }

    /// Logs `notice` the first time that a job finds all threads busy.
    pub(crate) fn set_notice(&self, notice: String) {
        *lock(&self.notice) = Some(notice);
    }

    pub(crate) fn set_idle_time(&self, idle_time: Duration) {
        lock(&self.state).idle_time = idle_time;
    }

    /// Queues a job.
    ///
    /// # Errors
    ///
    /// The queued jobs come back where there is no thread and none can be made.
    pub(crate) fn push(self: &Arc<Self>, entry: Entry<W>) -> Result<(), VecDeque<Entry<W>>> {
        let mut state = lock(&self.state);
        state.jobs.push_back(entry);
        if !self.call(state) {
            let stranded = lock(&self.state).give_up();
            if !stranded.is_empty() {
                return Err(stranded);
            }
        }
        Ok(())
    }

    /// Whether one of the queued jobs is such.
    pub(crate) fn has(&self, is_such: impl Fn(&W::Job) -> bool) -> bool {
        lock(&self.state).jobs.iter().any(|(_, job)| is_such(job))
    }

    /// Takes such jobs, if nobody has got in for `patience`.
    pub(crate) fn take_overdue(
        &self,
        patience: Duration,
        is_such: impl Fn(&W::Job) -> bool,
    ) -> Vec<Entry<W>> {
        let mut state = lock(&self.state);
        if state.called_at.is_none_or(|at| at.elapsed() < patience) {
            return Vec::new();
        }
        let (taken, left) = std::mem::take(&mut state.jobs)
            .into_iter()
            .partition(|(_, job)| is_such(job));
        let taken: VecDeque<_> = taken;
        state.jobs = left;
        taken.into()
    }

    /// Counts a thread beside those of the pool as busy, or no more: calls that compute there are
    /// slow for the pool's as well.
    pub(crate) fn count_busy(&self, is_busy: bool) {
        if is_busy {
            self.busy.fetch_add(1, Ordering::Relaxed);
        } else {
            self.busy.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Lets the threads end when there are no jobs left.
    pub(crate) fn close(&self) {
        let mut state = lock(&self.state);
        state.closed = true;
        let idle = std::mem::take(&mut state.idle);
        drop(state);
        idle.iter().for_each(Thread::unpark);
    }

    /// Waits until all threads have ended; whether they did within `timeout`.
    pub(crate) fn join(&self, timeout: Duration) -> bool {
        let state = lock(&self.state);
        let waited = self
            .ended
            .wait_timeout_while(state, timeout, |state| state.alive > 0);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.alive == 0
    }

    /// Sees to it that a thread takes the next job, if there is one; `false` where one more
    /// thread was to do it and cannot be made.
    fn call(self: &Arc<Self>, mut state: MutexGuard<'_, State<W>>) -> bool {
        let is_unheard = std::mem::take(&mut state.is_unheard);
        let is_called = state.entering != Entering::Nobody && !is_unheard;
        if state.jobs.is_empty() || is_called {
            return true;
        }
        state.entering = Entering::Called;
        state.called_at.get_or_insert_with(Instant::now);
        if let Some(thread) = state.idle.pop() {
            drop(state);
            thread.unpark();
        } else if state.threads < self.max_threads {
            state.threads += 1;
            state.alive += 1;
            drop(state);
            return self.spawn();
        } else {
            drop(state);
            if let Some(notice) = lock(&self.notice).take() {
                log(&notice);
            }
        }
        true
    }

    fn spawn(self: &Arc<Self>) -> bool {
        let pool = Arc::clone(self);
        let spawned = thread::Builder::new()
            .name("bustapi-pool".to_owned())
            .spawn(move || pool.live());
        if let Err(error) = &spawned {
            log(&format!("cannot start a pool thread: {error}"));
            lock(&self.state).end_unheard();
        }
        spawned.is_ok()
    }

    /// The life of a thread.
    fn live(self: &Arc<Self>) {
        let mut retired = false;
        let mut body = || {
            while self.wait_for_call() {
                self.enter();
            }
            retired = true;
        };
        let lived = catch_unwind(AssertUnwindSafe(|| self.work.on_thread(&mut body)));
        let mut stranded = VecDeque::new();
        let mut state = lock(&self.state);
        if retired {
            state.alive -= 1;
        } else {
            state.end_unheard();
            stranded = state.give_up();
        }
        drop(state);
        self.ended.notify_all();
        if !retired || lived.is_err() {
            log(&format!(
                "a pool thread could not work; {} calls are given up",
                stranded.len()
            ));
        }
    }

    /// Waits until this thread is to enter; `false` where it is to end, which is then noted.
    fn wait_for_call(&self) -> bool {
        let mut state = lock(&self.state);
        loop {
            if state.entering == Entering::Called {
                state.entering = Entering::UnderWay;
                state.is_unheard = false;
                return true;
            }
            if state.closed {
                state.threads -= 1;
                return false;
            }
            let idle_time = state.idle_time;
            let this = thread::current();
            let id = this.id();
            state.idle.push(this);
            drop(state);
            thread::park_timeout(idle_time);
            state = lock(&self.state);
            // A thread that is called has been taken off the list. One that is still on it has been
            // idle for long, or has woken for no reason, and ends; another is made when it is
            // needed.
            let known = state.idle.len();
            state.idle.retain(|thread| thread.id() != id);
            if state.idle.len() < known && state.entering != Entering::Called {
                state.threads -= 1;
                return false;
            }
        }
    }

    /// Runs jobs, as long as there are any and the time of a batch lasts.
    fn enter(self: &Arc<Self>) {
        self.busy.fetch_add(1, Ordering::Relaxed);
        let mut entered: Option<Instant> = None;
        let mut running: Option<Running> = None;
        let mut next = || {
            let now = Instant::now();
            if let Some(running) = running.take() {
                running.end(now, self.is_crowded());
            }
            let is_first = entered.is_none();
            if now >= *entered.get_or_insert(now) + BATCH_TIME {
                return None;
            }
            let (habit, job) = self.take(is_first)?;
            running = Some(Running {
                habit,
                began: now,
                crowded: self.is_crowded(),
            });
            Some(job)
        };
        if catch_unwind(AssertUnwindSafe(|| self.work.run(&mut next))).is_err() {
            log("a handler panicked on a pool thread");
        }
        if entered.is_none() {
            // The thread did not get in, so another one is sent.
            let mut state = lock(&self.state);
            state.entering = Entering::Nobody;
            self.call(state);
        }
        self.busy.fetch_sub(1, Ordering::Relaxed);
    }

    /// Takes a job, and calls another thread if there are more; `is_first` for a thread that has
    /// just got in.
    fn take(self: &Arc<Self>, is_first: bool) -> Option<Entry<W>> {
        let mut state = lock(&self.state);
        if is_first {
            state.entering = Entering::Nobody;
            state.called_at = None;
        }
        let entry = state.jobs.pop_front();
        // If no thread can be made, the next one that is free finds the call.
        self.call(state);
        entry
    }

    /// Whether other threads are busy besides the one that asks.
    fn is_crowded(&self) -> bool {
        self.busy.load(Ordering::Relaxed) > 1
    }
}

/// A job that runs.
struct Running {
    habit: Arc<Habit>,
    began: Instant,
    crowded: bool,
}

impl Running {
    fn end(self, now: Instant, crowded: bool) {
        self.habit
            .ran_on_pool(now - self.began, self.crowded || crowded);
    }
}
