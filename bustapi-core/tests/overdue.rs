//! Jobs that are answered without entering, while nobody gets in.

use std::sync::{Arc, Mutex, mpsc};

use bustapi_core::executor::{Executor, Habit, Place, Work};

use crate::support::{DEADLINE, wait_for};

/// How a job was run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ran {
    Inside,
    Outside,
}

struct Job {
    tell: mpsc::Sender<Ran>,
    needs_no_entering: bool,
    /// Whether it turns out to need it after all.
    is_mistaken: bool,
}

/// Lets a thread in when the gate is open.
#[derive(Default)]
struct Gated(Mutex<()>);

impl Work for Gated {
    type Job = Job;

    fn on_thread(&self, body: &mut dyn FnMut()) {
        body();
    }

    fn run(&self, next: &mut dyn FnMut() -> Option<Job>) {
        let _inside = self.0.lock().unwrap();
        while let Some(job) = next() {
            job.tell.send(Ran::Inside).unwrap();
        }
    }

    fn is_answerable_outside(&self, job: &Job) -> bool {
        job.needs_no_entering
    }

    fn answer_outside(&self, job: Job) -> Option<Job> {
        if job.is_mistaken {
            return Some(Job {
                needs_no_entering: false,
                ..job
            });
        }
        job.tell.send(Ran::Outside).unwrap();
        None
    }
}

struct Running {
    executor: Executor<Gated>,
    work: Arc<Gated>,
    habit: Arc<Habit>,
    _end: tokio::sync::oneshot::Sender<()>,
}

impl Running {
    fn start() -> Self {
        let work = Arc::new(Gated::default());
        let executor = Executor::new(Arc::clone(&work), 2);
        let (end, ended) = tokio::sync::oneshot::channel::<()>();
        executor.start(async { drop(ended.await) }).unwrap();
        Self {
            executor,
            work,
            habit: Arc::default(),
            _end: end,
        }
    }

    fn submit(&self, needs_no_entering: bool, is_mistaken: bool) -> mpsc::Receiver<Ran> {
        let (tell, told) = mpsc::channel();
        let job = Job {
            tell,
            needs_no_entering,
            is_mistaken,
        };
        self.executor.submit(&self.habit, Place::Learned, job);
        told
    }

    fn call(&self, needs_no_entering: bool) -> Ran {
        let told = self.submit(needs_no_entering, false);
        told.recv_timeout(DEADLINE).unwrap()
    }
}

#[test]
fn jobs_that_need_not_enter_are_answered_while_nobody_gets_in() {
    let running = Running::start();
    for _ in 0..3 {
        // They do enter by rights.
        wait_for("a job inside", || running.call(true) == Ran::Inside);
        let gate = running.work.0.lock().unwrap();
        let ordinary = running.submit(false, false);
        let mistaken = running.submit(true, true);
        for _ in 0..20 {
            assert_eq!(running.call(true), Ran::Outside);
        }
        assert!(ordinary.try_recv().is_err());
        assert!(mistaken.try_recv().is_err());
        drop(gate);
        assert_eq!(ordinary.recv_timeout(DEADLINE), Ok(Ran::Inside));
        assert_eq!(mistaken.recv_timeout(DEADLINE), Ok(Ran::Inside));
    }
}
