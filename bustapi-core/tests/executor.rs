//! Where calls run, and that none is lost.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use bustapi_core::executor::{
    CROWDED_CALLS, Executor, Habit, ISOLATED, Place, QUICK, Spent, TRIAL_CALLS, Work,
};

use crate::support::{DEADLINE, collect_log, logged, wait_for};

type Job = Box<dyn FnOnce() + Send>;

/// Runs closures, and counts how often it is entered.
#[derive(Default)]
struct Closures {
    entered: AtomicUsize,
    threads: AtomicUsize,
    /// Threads that wait at the gate now, and the most that ever did.
    at_gate: AtomicUsize,
    most_at_gate: AtomicUsize,
    /// Whether only one thread is let in, as by the interpreter.
    is_narrow: AtomicBool,
    gate: Mutex<()>,
    broken: AtomicBool,
    /// Threads that could not work.
    refused: AtomicUsize,
}

impl Work for Closures {
    type Job = Job;

    fn on_thread(&self, body: &mut dyn FnMut()) {
        if self.broken.load(Ordering::SeqCst) {
            self.refused.fetch_add(1, Ordering::SeqCst);
            panic!("no thread state");
        }
        self.threads.fetch_add(1, Ordering::SeqCst);
        body();
        self.threads.fetch_sub(1, Ordering::SeqCst);
    }

    fn run(&self, next: &mut dyn FnMut() -> Option<Job>) {
        let waiting = self.at_gate.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_at_gate.fetch_max(waiting, Ordering::SeqCst);
        let gate = self.is_narrow.load(Ordering::SeqCst);
        let _inside = gate.then(|| self.gate.lock().unwrap());
        self.at_gate.fetch_sub(1, Ordering::SeqCst);
        self.entered.fetch_add(1, Ordering::SeqCst);
        while let Some(job) = next() {
            job();
        }
    }
}

/// An executor, and what runs on its runtime.
struct Running {
    executor: Executor<Closures>,
    work: Arc<Closures>,
    /// Run on the runtime, as a handler is.
    inside: tokio::sync::mpsc::UnboundedSender<Job>,
}

/// How many threads hold the IO role in turn.
const IO_THREADS: usize = 2;

/// Whether this is one of the threads that hold the IO role in turn.
fn is_io_thread() -> bool {
    thread::current().name() == Some("bustapi-io")
}

impl Running {
    fn start(threads: usize) -> Self {
        let work = Arc::new(Closures::default());
        let executor = Executor::new(Arc::clone(&work), threads);
        let (inside, mut asked) = tokio::sync::mpsc::unbounded_channel::<Job>();
        let future = async move {
            while let Some(job) = asked.recv().await {
                job();
            }
        };
        executor.start(future).unwrap();
        Self {
            executor,
            work,
            inside,
        }
    }

    /// Asks the runtime for a sign of life, and waits for it.
    fn hears(&self) {
        let (tell, told) = mpsc::channel();
        let job = Box::new(move || tell.send(is_io_thread()).unwrap());
        assert!(self.inside.send(job).is_ok());
        assert_eq!(told.recv_timeout(DEADLINE), Ok(true));
    }

    /// A call on the IO thread that is inside when this returns, and ends when the sender is
    /// dropped.
    fn wait_inside(&self) -> mpsc::Sender<()> {
        let habit = Arc::new(Habit::default());
        self.settle(&habit);
        self.wait_inside_of(&habit)
    }

    /// As `wait_inside`, of an endpoint that has settled.
    fn wait_inside_of(&self, habit: &Arc<Habit>) -> mpsc::Sender<()> {
        let (release, released) = mpsc::channel::<()>();
        let (tell, told) = mpsc::channel();
        let job = Box::new(move || {
            tell.send(is_io_thread()).unwrap();
            assert!(released.recv_timeout(DEADLINE).is_err());
        });
        self.executor.submit(habit, Place::Learned, job);
        assert_eq!(told.recv_timeout(DEADLINE), Ok(true));
        release
    }

    /// Runs one call and waits for it; whether it ran on the IO thread.
    fn call(&self, habit: &Arc<Habit>, takes: Duration) -> bool {
        let (done, was_done) = mpsc::channel();
        let job = Box::new(move || {
            let begin = Instant::now();
            while begin.elapsed() < takes {
                thread::yield_now();
            }
            done.send(is_io_thread()).unwrap();
        });
        self.executor.submit(habit, Place::Learned, job);
        was_done.recv_timeout(DEADLINE).unwrap()
    }

    /// Calls quickly until calls run on the IO thread; how many that took.
    fn settle(&self, habit: &Arc<Habit>) -> u32 {
        let mut calls = 0;
        wait_for("the endpoint's return to the IO thread", || {
            calls += 1;
            self.call(habit, Duration::ZERO)
        });
        calls
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.executor.close();
        let (inside, _) = tokio::sync::mpsc::unbounded_channel();
        self.inside = inside;
        if !thread::panicking() {
            assert!(self.executor.join(DEADLINE), "a thread goes on");
        }
    }
}

#[test]
fn a_quick_endpoint_moves_to_the_io_thread_after_its_trial() {
    let running = Running::start(4);
    let habit = Arc::new(Habit::default());
    assert!(!habit.is_quick());
    assert!(running.settle(&habit) > TRIAL_CALLS);
    assert!(habit.is_quick());
    let other = Arc::new(Habit::default());
    assert!(!running.call(&other, Duration::ZERO), "endpoints are apart");
}

#[test]
fn a_slow_endpoint_stays_on_the_pool() {
    let running = Running::start(4);
    let habit = Arc::new(Habit::default());
    for _ in 0..3 * TRIAL_CALLS {
        assert!(!running.call(&habit, QUICK));
    }
}

#[test]
fn strikes_lengthen_the_trial_fourfold_and_are_forgiven_in_time() {
    let habit = Habit::default();
    let quick = Duration::ZERO;
    let trial = |habit: &Habit| {
        let mut calls = 0;
        while !habit.is_quick() {
            habit.ran_on_pool(quick, false);
            calls += 1;
        }
        calls
    };
    assert_eq!(trial(&habit), TRIAL_CALLS);
    for strike in 1..5 {
        habit.ran_inline(quick, Spent::Waiting);
        habit.ran_inline(QUICK, Spent::Waiting);
        assert!(!habit.is_quick());
        assert_eq!(trial(&habit), TRIAL_CALLS << (2 * strike));
    }
    // A slow call starts a trial again, without a strike.
    habit.ran_inline(QUICK, Spent::Waiting);
    habit.ran_on_pool(quick, false);
    habit.ran_on_pool(QUICK, false);
    assert_eq!(trial(&habit), TRIAL_CALLS << 10);
    for _ in 0..(TRIAL_CALLS << 10) * 64 {
        habit.ran_inline(quick, Spent::Waiting);
    }
    habit.ran_inline(QUICK, Spent::Waiting);
    assert_eq!(trial(&habit), TRIAL_CALLS << 2);
    // Without end it does not grow.
    for _ in 0..100 {
        habit.ran_inline(QUICK, Spent::Waiting);
    }
    assert_eq!(trial(&habit), TRIAL_CALLS << 16);
}

#[test]
fn one_call_that_computes_among_many_quick_ones_is_no_strike() {
    let habit = Habit::default();
    let trial = || {
        for _ in 0..TRIAL_CALLS {
            habit.ran_on_pool(Duration::ZERO, false);
        }
    };
    let quick = |calls| {
        for _ in 0..calls {
            habit.ran_inline(Duration::ZERO, Spent::Waiting);
        }
    };
    trial();
    quick(ISOLATED);
    habit.ran_inline(QUICK, Spent::Computing);
    assert!(habit.is_quick());
    // Others ran: that says nothing at all.
    habit.ran_inline(QUICK, Spent::Nothing);
    quick(ISOLATED - 2);
    habit.ran_inline(QUICK, Spent::Computing);
    assert!(!habit.is_quick(), "the second one came too soon");
    trial();
    trial();
    trial();
    trial();
    quick(ISOLATED);
    habit.ran_inline(QUICK, Spent::Waiting);
    assert!(!habit.is_quick(), "waiting always counts");
}

#[test]
fn a_closed_pool_is_joined_when_its_last_job_is_done() {
    let executor = Executor::new(Arc::new(Closures::default()), 2);
    let (done, was_done) = mpsc::channel();
    let job = Box::new(move || done.send(is_io_thread()).unwrap());
    executor.submit(&Arc::new(Habit::default()), Place::Learned, job);
    assert_eq!(was_done.recv_timeout(DEADLINE), Ok(false));
    assert!(!executor.join(Duration::ZERO), "it is not closed");
    executor.close();
    assert!(executor.join(DEADLINE));
}

#[test]
fn slow_calls_among_others_prove_little() {
    let habit = Habit::default();
    for _ in 0..TRIAL_CALLS * CROWDED_CALLS - 1 {
        habit.ran_on_pool(QUICK, true);
        assert!(!habit.is_quick());
    }
    habit.ran_on_pool(QUICK, true);
    assert!(habit.is_quick(), "the IO thread is to show what they were");
}

#[test]
fn jobs_queued_behind_a_slow_call_leave_the_io_thread() {
    let running = Running::start(40);
    let habit = Arc::new(Habit::default());
    running.settle(&habit);
    let (done, was_done) = mpsc::channel();
    // Queued in one go, so that all were quick when submitted.
    let executor = running.executor.clone();
    let submit = Box::new(move || {
        for _ in 0..32 {
            let done = done.clone();
            let job = Box::new(move || {
                thread::sleep(Duration::from_millis(5));
                done.send(is_io_thread()).unwrap();
            });
            executor.submit(&habit, Place::Learned, job);
        }
    });
    assert!(running.inside.send(submit).is_ok());
    let inline = (0..32)
        .filter(|_| was_done.recv_timeout(DEADLINE).unwrap())
        .count();
    assert!(inline <= 1, "{inline} slow calls ran on the IO thread");
}

#[test]
fn queued_calls_are_entered_together() {
    let running = Running::start(4);
    let habit = Arc::new(Habit::default());
    running.settle(&habit);
    let (done, was_done) = mpsc::channel();
    let before = running.work.entered.load(Ordering::SeqCst);
    let executor = running.executor.clone();
    let submit = Box::new(move || {
        for number in 0..20 {
            let done = done.clone();
            let job = Box::new(move || done.send(number).unwrap());
            executor.submit(&habit, Place::Learned, job);
        }
    });
    assert!(running.inside.send(submit).is_ok());
    let order: Vec<i32> = (0..20)
        .map(|_| was_done.recv_timeout(DEADLINE).unwrap())
        .collect();
    assert_eq!(order, (0..20).collect::<Vec<_>>());
    let entered = running.work.entered.load(Ordering::SeqCst) - before;
    assert!(entered <= 3, "entered {entered} times for 20 calls");
}

#[test]
fn a_call_that_waits_holds_up_neither_the_runtime_nor_other_calls() {
    let running = Running::start(4);
    let other = Arc::new(Habit::default());
    running.settle(&other);
    for _ in 0..20 {
        let release = running.wait_inside();
        running.hears();
        assert!(!running.call(&other, Duration::ZERO), "to the pool");
        running.hears();
        drop(release);
        // Its thread stands by now, and the other one runs calls.
        running.settle(&other);
    }
}

#[test]
fn a_second_call_that_waits_does_so_on_the_pool() {
    let running = Running::start(8);
    let habits: Vec<_> = (0..5).map(|_| Arc::new(Habit::default())).collect();
    for habit in &habits {
        running.settle(habit);
    }
    let release = running.wait_inside_of(&habits[0]);
    running.hears();
    let (done, was_done) = mpsc::channel();
    let waiting = Arc::new(Barrier::new(habits.len()));
    for habit in &habits[1..] {
        let (done, waiting) = (done.clone(), Arc::clone(&waiting));
        let job = Box::new(move || {
            waiting.wait();
            done.send(is_io_thread()).unwrap();
        });
        running.executor.submit(habit, Place::Learned, job);
        running.hears();
    }
    waiting.wait();
    for _ in &habits[1..] {
        assert_eq!(was_done.recv_timeout(DEADLINE), Ok(false));
    }
    drop(release);
    running.settle(&habits[0]);
}

#[test]
fn waiting_to_get_in_holds_up_nothing_either() {
    let running = Running::start(4);
    let habit = Arc::new(Habit::default());
    running.settle(&habit);
    running.work.is_narrow.store(true, Ordering::SeqCst);
    for _ in 0..5 {
        // The last batch is over.
        running.hears();
        let gate = running.work.gate.lock().unwrap();
        let (done, was_done) = mpsc::channel();
        for number in 0..3 {
            let done = done.clone();
            let job = Box::new(move || done.send(number).unwrap());
            running.executor.submit(&habit, Place::Learned, job);
        }
        wait_for("a thread at the gate", || {
            running.work.at_gate.load(Ordering::SeqCst) > 0
        });
        running.hears();
        assert!(was_done.try_recv().is_err());
        drop(gate);
        let mut numbers: Vec<_> = (0..3)
            .map(|_| was_done.recv_timeout(DEADLINE).unwrap())
            .collect();
        numbers.sort_unstable();
        assert_eq!(numbers, [0, 1, 2]);
        running.settle(&habit);
    }
}

#[test]
fn a_panic_of_a_call_that_has_lost_the_role_ends_nothing_else() {
    collect_log();
    let running = Running::start(2);
    let habit = Arc::new(Habit::default());
    running.settle(&habit);
    let (release, released) = mpsc::channel::<()>();
    let job = Box::new(move || {
        assert!(released.recv_timeout(DEADLINE).is_err());
        panic!("on purpose, without the role");
    });
    running.executor.submit(&habit, Place::Learned, job);
    running.hears();
    assert!(!running.call(&habit, Duration::ZERO));
    drop(release);
    running.settle(&habit);
}

#[test]
fn the_end_does_not_wait_for_a_call_that_has_lost_the_role() {
    let mut running = Running::start(2);
    let release = running.wait_inside();
    running.hears();
    let (ended, end) = mpsc::channel();
    let told = Box::new(move || ended.send(()).unwrap());
    assert!(running.inside.send(told).is_ok());
    end.recv_timeout(DEADLINE).unwrap();
    running.executor.close();
    let (inside, asked) = tokio::sync::mpsc::unbounded_channel();
    drop(asked);
    let stopped = std::mem::replace(&mut running.inside, inside);
    drop(stopped);
    assert!(!running.executor.join(Duration::from_millis(50)));
    drop(release);
    assert!(running.executor.join(DEADLINE));
}

#[test]
fn the_pool_grows_on_demand_and_no_further_than_allowed() {
    let running = Running::start(3);
    let habit = Arc::new(Habit::default());
    let (done, was_done) = mpsc::channel();
    let release = Arc::new(AtomicBool::new(false));
    let together = Arc::new((AtomicUsize::new(0), AtomicUsize::new(0)));
    for _ in 0..10 {
        let (done, release, together) = (done.clone(), Arc::clone(&release), Arc::clone(&together));
        let job = Box::new(move || {
            let now = together.0.fetch_add(1, Ordering::SeqCst) + 1;
            together.1.fetch_max(now, Ordering::SeqCst);
            while !release.load(Ordering::SeqCst) {
                thread::yield_now();
            }
            together.0.fetch_sub(1, Ordering::SeqCst);
            done.send(()).unwrap();
        });
        running.executor.submit(&habit, Place::Pool, job);
    }
    wait_for("three threads", || together.0.load(Ordering::SeqCst) == 3);
    release.store(true, Ordering::SeqCst);
    for _ in 0..10 {
        was_done.recv_timeout(DEADLINE).unwrap();
    }
    assert_eq!(together.1.load(Ordering::SeqCst), 3);
    assert_eq!(running.work.threads.load(Ordering::SeqCst), IO_THREADS + 3);
    let work = Arc::clone(&running.work);
    drop(running);
    wait_for("the threads' end", || {
        work.threads.load(Ordering::SeqCst) == 0
    });
}

#[test]
fn one_thread_at_a_time_enters_and_quick_jobs_need_no_others() {
    let running = Running::start(50);
    let work = Arc::clone(&running.work);
    let habit = Arc::new(Habit::default());
    let (done, was_done) = mpsc::channel();
    work.is_narrow.store(true, Ordering::SeqCst);
    let gate = work.gate.lock().unwrap();
    for _ in 0..50 {
        let done = done.clone();
        let job = Box::new(move || done.send(()).unwrap());
        running.executor.submit(&habit, Place::Pool, job);
    }
    wait_for("a thread at the gate", || {
        work.at_gate.load(Ordering::SeqCst) > 0
    });
    drop(gate);
    for _ in 0..50 {
        was_done.recv_timeout(DEADLINE).unwrap();
    }
    assert_eq!(work.most_at_gate.load(Ordering::SeqCst), 1);
    let threads = work.threads.load(Ordering::SeqCst);
    assert!(threads < 10, "{threads} threads for 50 quick jobs");
}

#[test]
fn jobs_that_wait_inside_let_the_others_in() {
    const JOBS: usize = 20;
    let running = Running::start(JOBS);
    let habit = Arc::new(Habit::default());
    let all = Arc::new(Barrier::new(JOBS));
    let (done, was_done) = mpsc::channel();
    for _ in 0..JOBS {
        let (done, all) = (done.clone(), Arc::clone(&all));
        let job = Box::new(move || {
            all.wait();
            done.send(()).unwrap();
        });
        running.executor.submit(&habit, Place::Pool, job);
    }
    for _ in 0..JOBS {
        was_done.recv_timeout(DEADLINE).unwrap();
    }
    assert_eq!(
        running.work.threads.load(Ordering::SeqCst),
        IO_THREADS + JOBS
    );
}

#[test]
fn threads_that_are_too_many_end_and_the_pool_goes_on() {
    let work = Arc::new(Closures::default());
    let executor = Executor::new(Arc::clone(&work), 8).with_idle_time(Duration::from_millis(20));
    let habit = Arc::new(Habit::default());
    for _ in 0..2 {
        let all = Arc::new(Barrier::new(9));
        for _ in 0..8 {
            let all = Arc::clone(&all);
            let job = Box::new(move || {
                all.wait();
            });
            executor.submit(&habit, Place::Pool, job);
        }
        all.wait();
        wait_for("the threads' end", || {
            work.threads.load(Ordering::SeqCst) == 0
        });
    }
    executor.close();
    assert!(executor.join(DEADLINE));
}

#[test]
fn a_panic_ends_one_call() {
    collect_log();
    let running = Running::start(1);
    let habit = Arc::new(Habit::default());
    let panics: fn() -> Job = || Box::new(|| panic!("on purpose"));
    // Those behind it in the queue are none the worse.
    let (done, was_done) = mpsc::channel();
    for _ in 0..3 {
        let done = done.clone();
        running.executor.submit(&habit, Place::Pool, panics());
        let job = Box::new(move || done.send(()).unwrap());
        running.executor.submit(&habit, Place::Pool, job);
        was_done.recv_timeout(DEADLINE).unwrap();
    }
    running.settle(&habit);
    running.executor.submit(&habit, Place::Learned, panics());
    assert!(
        running.call(&habit, Duration::ZERO),
        "the IO thread goes on"
    );
    assert!(logged("panicked on a pool thread") >= 3);
    assert!(logged("panicked on the IO thread") >= 1);
}

/// Tells when it is dropped, as a responder does.
struct Dropped(Arc<Mutex<Vec<u32>>>, u32);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.lock().unwrap().push(self.1);
    }
}

#[test]
fn jobs_are_given_up_where_threads_cannot_work() {
    collect_log();
    let running = Running::start(2);
    running.work.broken.store(true, Ordering::SeqCst);
    let habit = Arc::new(Habit::default());
    let dropped = Arc::new(Mutex::new(Vec::new()));
    for number in 0..4 {
        let noted = Dropped(Arc::clone(&dropped), number);
        let job = Box::new(move || drop(noted));
        running.executor.submit(&habit, Place::Pool, job);
    }
    wait_for("the jobs' end", || dropped.lock().unwrap().len() == 4);
    assert!(logged("a pool thread could not work") > 0);
    // Once threads work again, so does the pool.
    running.work.broken.store(false, Ordering::SeqCst);
    assert!(!running.call(&habit, Duration::ZERO));
}

#[test]
fn a_thread_that_could_not_work_is_replaced_while_others_are_busy() {
    collect_log();
    let running = Running::start(3);
    let habit = Arc::new(Habit::default());
    let (done, was_done) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let began = done.clone();
    let blocks = Box::new(move || {
        began.send(0).unwrap();
        released.recv_timeout(DEADLINE).unwrap();
    });
    running.executor.submit(&habit, Place::Pool, blocks);
    assert_eq!(was_done.recv_timeout(DEADLINE), Ok(0));
    running.work.broken.store(true, Ordering::SeqCst);
    let submit = |number| {
        let done = done.clone();
        let job = Box::new(move || done.send(number).unwrap());
        running.executor.submit(&habit, Place::Pool, job);
    };
    submit(1);
    wait_for("a thread that cannot work", || {
        running.work.refused.load(Ordering::SeqCst) > 0
    });
    running.work.broken.store(false, Ordering::SeqCst);
    // The first job that comes after the thread's end calls another one.
    wait_for("another thread", || {
        submit(2);
        was_done.try_recv() == Ok(1)
    });
    release.send(()).unwrap();
}

#[test]
fn quick_calls_are_not_held_up_by_sleeping_ones() {
    let running = Running::start(40);
    let (quick, slow) = (Arc::new(Habit::default()), Arc::new(Habit::default()));
    running.settle(&quick);
    let sleeping = Arc::new(AtomicUsize::new(0));
    let begin = Instant::now();
    let mut slowest = Duration::ZERO;
    for _ in 0..200 {
        while sleeping.load(Ordering::SeqCst) < 32 {
            sleeping.fetch_add(1, Ordering::SeqCst);
            let sleeping = Arc::clone(&sleeping);
            let job = Box::new(move || {
                thread::sleep(Duration::from_millis(10));
                sleeping.fetch_sub(1, Ordering::SeqCst);
            });
            running.executor.submit(&slow, Place::Learned, job);
        }
        let asked = Instant::now();
        running.call(&quick, Duration::ZERO);
        slowest = slowest.max(asked.elapsed());
    }
    // One after the other on the IO thread, 32 sleeping calls would take 320 ms.
    assert!(
        slowest < Duration::from_millis(250),
        "{slowest:?} of {:?}",
        begin.elapsed()
    );
}

#[test]
fn a_pool_that_is_full_says_so_once() {
    collect_log();
    let work = Arc::new(Closures::default());
    let executor = Executor::new(work, 1).with_notice("the pool of one is full".to_owned());
    let habit = Arc::new(Habit::default());
    let (release, released) = mpsc::channel::<()>();
    let (done, is_done) = mpsc::channel();
    let began = done.clone();
    executor.submit(
        &habit,
        Place::Pool,
        Box::new(move || {
            began.send(()).unwrap();
            released.recv_timeout(DEADLINE).unwrap();
        }),
    );
    is_done.recv_timeout(DEADLINE).unwrap();
    assert_eq!(logged("the pool of one is full"), 0);
    for _ in 0..2 {
        let done = done.clone();
        executor.submit(
            &habit,
            Place::Pool,
            Box::new(move || done.send(()).unwrap()),
        );
    }
    assert_eq!(logged("the pool of one is full"), 1);
    release.send(()).unwrap();
    for _ in 0..2 {
        is_done.recv_timeout(DEADLINE).unwrap();
    }
    executor.close();
    assert!(executor.join(DEADLINE));
    assert_eq!(logged("the pool of one is full"), 1);
}
