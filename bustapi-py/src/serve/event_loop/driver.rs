//! Coroutine views, on one event loop per process.
//!
//! # Theory of operation
//!
//! The loop runs on a thread of its own. The IO thread queues calls and writes one byte to a
//! socket pair when the queue was empty; the loop's reader then drains the queue, so one
//! wake-up serves every call that came meanwhile. For each call the steps before the view run
//! at once, in a `contextvars.Context` of the request's own; the view's coroutine becomes a
//! task in that context; when it is done, the steps after the view run in the context again.
//! Answers are collected and handed back to the IO thread with one wake-up per turn of the
//! loop.
//!
//! What cannot run on the loop's thread goes on the pool, where it may wait for a loop of
//! its own: requests with hooks that are coroutine functions, and the error handlers.

use std::future::poll_fn;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use bustapi_core::Responder;
use bustapi_core::executor::{Executor, Habit, Place};
use bustapi_http::Response;
use pyo3::exceptions::{PyBaseException, PyRuntimeError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use crate::error;
use crate::ground::context_variable::Entered;
use crate::ground::thread_state::follow_hooks;
use crate::lifecycle::outcome::Failure;
use crate::response::reply::Reply;
use crate::serve::application::{Begun, Suspended, View, reported};
use crate::serve::calls::{Call, Calls, Job};
use crate::serve::event_loop::coroutine::ViewCoroutine;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // No code that can panic runs under these locks, so poison means nothing.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What waits to be begun, or to be cancelled, by the loop.
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all are of the large kind, and a box each would cost an allocation"
)]
enum Order {
    Begin(Call),
    Cancel(Py<PyAny>),
}

/// The way from the IO thread to the event loop.
pub(crate) struct LoopQueue {
    orders: Mutex<Vec<Order>>,
    wake: UnixStream,
}

impl LoopQueue {
    pub(crate) fn push(&self, call: Call) {
        self.order(Order::Begin(call));
    }

    fn order(&self, order: Order) {
        let mut orders = lock(&self.orders);
        let was_empty = orders.is_empty();
        orders.push(order);
        drop(orders);
        if was_empty && let Err(error) = (&self.wake).write(&[0]) {
            bustapi_core::log(&format!("cannot wake the event loop: {error}"));
        }
    }
}

/// The way back: answers for the IO thread.
#[derive(Default)]
pub(crate) struct Answers {
    ready: Mutex<Vec<(Responder, Response)>>,
    waker: Mutex<Option<Waker>>,
}

impl Answers {
    /// Adds an answer; whether it is the first since the last wake-up.
    fn push(&self, responder: Responder, response: Response) -> bool {
        let mut ready = lock(&self.ready);
        ready.push((responder, response));
        ready.len() == 1
    }

    fn wake(&self) {
        if let Some(waker) = lock(&self.waker).as_ref() {
            waker.wake_by_ref();
        }
    }

    /// Hands answers to their connections; never completes. To be spawned on the IO thread.
    pub(crate) async fn deliver(self: Arc<Self>) {
        poll_fn(|context| {
            *lock(&self.waker) = Some(context.waker().clone());
            let ready = std::mem::take(&mut *lock(&self.ready));
            for (responder, response) in ready {
                responder.complete(response);
            }
            Poll::<()>::Pending
        })
        .await;
    }
}

/// The event loop's side; its methods run on the loop's thread.
#[pyclass(frozen, module = "bustapi._native")]
pub(crate) struct LoopDriver {
    calls: Arc<Calls>,
    pool: Executor<Calls>,
    queue: Arc<LoopQueue>,
    answers: Arc<Answers>,
    readable: UnixStream,
    task_class: Py<PyAny>,
    /// Of the loop, and for Python 3.12 and later that tasks start at once.
    task_options: Py<PyDict>,
    has_eager_tasks: bool,
    captured: Py<Captured>,
    event_loop: Py<PyAny>,
    /// Where callbacks of tasks run; what they set is of no request.
    callback_options: Py<PyDict>,
}

/// Starts the event loop of this process on a thread of its own.
///
/// # Errors
///
/// `OSError` where the system gives no sockets or threads.
pub(crate) fn start(
    py: Python<'_>,
    calls: Arc<Calls>,
    pool: Executor<Calls>,
    answers: Arc<Answers>,
) -> PyResult<Arc<LoopQueue>> {
    let (readable, wake) = UnixStream::pair()?;
    readable.set_nonblocking(true)?;
    wake.set_nonblocking(true)?;
    let queue = Arc::new(LoopQueue {
        orders: Mutex::default(),
        wake,
    });
    let module = py.import(intern!(py, "bustapi.event_loop"))?;
    let event_loop = module.call_method0("new_event_loop")?;
    let task_options = PyDict::new(py);
    task_options.set_item("loop", &event_loop)?;
    let has_eager_tasks = module.getattr("HAS_EAGER_TASKS")?.is_truthy()?;
    if has_eager_tasks {
        task_options.set_item("eager_start", true)?;
    }
    let callback_options = PyDict::new(py);
    let context = py.import("contextvars")?.getattr("Context")?.call0()?;
    callback_options.set_item("context", context)?;
    let descriptor = readable.as_raw_fd();
    let driver = Bound::new(
        py,
        LoopDriver {
            calls,
            pool,
            queue: Arc::clone(&queue),
            answers,
            readable,
            task_class: py.import("asyncio")?.getattr("Task")?.unbind(),
            task_options: task_options.unbind(),
            has_eager_tasks,
            captured: Py::new(py, Captured(Mutex::default()))?,
            event_loop: event_loop.clone().unbind(),
            callback_options: callback_options.unbind(),
        },
    )?;
    module.call_method1("run_in_thread", (event_loop, descriptor, driver))?;
    Ok(queue)
}

#[pymethods]
impl LoopDriver {
    /// Logs an exception that has stopped the loop, which is then run again.
    #[staticmethod]
    fn report(exception: &Bound<'_, PyBaseException>) {
        let error = PyErr::from_value(exception.clone().into_any());
        error::report(exception.py(), error, "a task of the event loop");
    }

    /// Begins every call that has been queued; the loop's reader.
    fn drain(slf: &Bound<'_, Self>) {
        let this = slf.get();
        follow_hooks(slf.py());
        // The bytes only say that there is something to do; an error means there are none.
        let mut bytes = [0; 64];
        while matches!((&this.readable).read(&mut bytes), Ok(count) if count == bytes.len()) {}
        let orders = std::mem::take(&mut *lock(&this.queue.orders));
        for order in orders {
            match order {
                Order::Begin(call) if call.responder.is_closed() => {}
                Order::Begin(call) => Self::begin(slf, call),
                Order::Cancel(task) => {
                    if let Err(error) = task.call_method0(slf.py(), intern!(slf.py(), "cancel")) {
                        error::report(slf.py(), error, "a cancellation");
                    }
                }
            }
        }
    }
}

impl LoopDriver {
    fn begin(slf: &Bound<'_, Self>, call: Call) {
        let py = slf.py();
        let this = slf.get();
        let Call {
            arrived,
            responder,
            endpoint,
        } = call;
        let begun = Entered::new(py).and_then(|entered| {
            let begun = this.calls.view.begin(py, arrived, &entered);
            entered.exit(py)?;
            begun
        });
        match begun {
            Ok(Begun::Answered(reply)) => this.answer(py, responder, reply),
            Ok(Begun::Waits(suspended, coroutine)) => {
                let variables = suspended.variables.bind(py).clone();
                let name = suspended.endpoint(py);
                let completion = Completion {
                    driver: slf.clone().unbind(),
                    suspended,
                    responder,
                };
                let coroutine = ViewCoroutine::new(&coroutine, completion);
                let made = Bound::new(py, coroutine)
                    .and_then(|coroutine| Self::make_task(slf, name, &variables, &coroutine));
                if let Err(error) = made {
                    error::report(py, error, "the start of a task");
                }
            }
            Ok(Begun::Failed(suspended, failure)) => {
                this.resume_on_pool(Resumption {
                    suspended,
                    outcome: Err(failure),
                    responder,
                });
            }
            Ok(Begun::NotHere(arrived)) => {
                endpoint.set_coroutine(false);
                let habit = Arc::clone(&endpoint.habit);
                let call = Call {
                    arrived,
                    responder,
                    endpoint,
                };
                this.pool.submit(&habit, Place::Pool, Job::Call(call));
            }
            Err(error) => this.answer(py, responder, reported(py, error, "a request")),
        }
    }

    fn resume_on_pool(&self, resumption: Resumption) {
        self.pool.submit(
            &Arc::new(Habit::default()),
            Place::Pool,
            Job::Resume(Box::new(resumption)),
        );
    }

    /// Has the loop call `callback` in its next turn, in no request's context.
    fn call_soon(&self, callback: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = callback.py();
        self.event_loop.bind(py).call_method(
            intern!(py, "call_soon"),
            (callback,),
            Some(self.callback_options.bind(py)),
        )?;
        Ok(())
    }

    /// Makes a task for a view, and has it take its first step: many a view takes no other.
    ///
    /// # Errors
    ///
    /// What making the task raises.
    fn make_task(
        slf: &Bound<'_, Self>,
        name: Option<Bound<'_, PyString>>,
        variables: &Bound<'_, PyAny>,
        coroutine: &Bound<'_, ViewCoroutine>,
    ) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        let options = this.task_options.bind(py).copy()?;
        options.set_item(intern!(py, "context"), variables)?;
        // A number is what it would get otherwise, which tells less and takes longer.
        options.set_item(intern!(py, "name"), name)?;
        let make = || this.task_class.bind(py).call((coroutine,), Some(&options));
        let task = if this.has_eager_tasks {
            make()?
        } else {
            let (task, first_step) = this.with_captured_step(py, make)?;
            let entered = Entered::again(variables)?;
            let taken = first_step.call0();
            entered.exit(py)?;
            taken?;
            task
        };
        let queue = Arc::clone(&this.queue);
        coroutine.get().if_waiting(|completion| {
            let cancelled = task.unbind();
            let cancel = move || queue.order(Order::Cancel(cancelled));
            completion.responder.on_abandoned(cancel);
        });
        Ok(())
    }

    /// Makes a task, and gives the step that it would have had called soon. Python 3.12 has eager
    /// tasks; before, this is the only way to what `asyncio` keeps to itself.
    ///
    /// # Errors
    ///
    /// What making the task raises.
    fn with_captured_step<'py>(
        &self,
        py: Python<'py>,
        make: impl FnOnce() -> PyResult<Bound<'py, PyAny>>,
    ) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
        let event_loop = self.event_loop.bind(py);
        let call_soon = intern!(py, "call_soon");
        let captured = self.captured.bind(py);
        // Only this thread uses the loop, and nothing but the constructor runs meanwhile.
        event_loop.setattr(call_soon, captured)?;
        let task = make();
        event_loop.delattr(call_soon)?;
        let step = lock(&captured.get().0).take();
        let step = step.ok_or_else(|| PyRuntimeError::new_err("the task was not scheduled"));
        Ok((task?, step?.into_bound(py)))
    }

    fn answer(&self, py: Python<'_>, responder: Responder, reply: Reply) {
        let mut is_first = false;
        reply.send(
            responder,
            &self.calls.view.streams,
            |responder, response| {
                is_first = self.answers.push(responder, response);
            },
        );
        if is_first {
            // Once this turn of the loop is over, so that all its answers are there.
            let flush = Flush(Arc::clone(&self.answers));
            let scheduled = Bound::new(py, flush).and_then(|flush| self.call_soon(flush.as_any()));
            if let Err(error) = scheduled {
                error::report(py, error, "the event loop's schedule");
                self.answers.wake();
            }
        }
    }
}

/// Wakes the IO thread when the loop calls it.
#[pyclass(frozen, module = "bustapi._native")]
struct Flush(Arc<Answers>);

#[pymethods]
impl Flush {
    fn __call__(&self) {
        self.0.wake();
    }
}

/// Stands in for the loop's `call_soon`, and keeps what it is called with.
#[pyclass(frozen, module = "bustapi._native")]
struct Captured(Mutex<Option<Py<PyAny>>>);

#[pymethods]
impl Captured {
    #[pyo3(signature = (callback, **_options))]
    fn __call__(&self, callback: Py<PyAny>, _options: Option<&Bound<'_, PyDict>>) {
        *lock(&self.0) = Some(callback);
    }
}

/// Goes on with a request when its view is done.
pub(crate) struct Completion {
    driver: Py<LoopDriver>,
    suspended: Box<Suspended>,
    responder: Responder,
}

impl Completion {
    /// Takes the steps after the view, which gave or raised `outcome`: here, in the request's own
    /// context, or on the pool where they may wait.
    pub(crate) fn complete(self, py: Python<'_>, outcome: PyResult<Bound<'_, PyAny>>) {
        let Self {
            driver: owned,
            suspended,
            responder,
        } = self;
        let driver = owned.get();
        match outcome {
            Ok(value) if View::may_finish_on_loop(py, &suspended) => {
                // The task is let go here: on the IO thread, Python is not at hand for that.
                responder.on_abandoned(|| ());
                let answered = driver.calls.view.finish_within(py, &suspended, Ok(value));
                let reply = suspended.answered_or_reported(py, answered);
                driver.answer(py, responder, reply);
            }
            outcome => {
                let later = Later(Mutex::new(Some((
                    owned.clone_ref(py),
                    Resumption {
                        suspended,
                        outcome: outcome.map(Bound::unbind).map_err(Failure::Dispatching),
                        responder,
                    },
                ))));
                let scheduled =
                    Bound::new(py, later).and_then(|later| driver.call_soon(later.as_any()));
                if let Err(error) = scheduled {
                    error::report(py, error, "the event loop's schedule");
                }
            }
        }
    }
}

/// Hands a request over to the pool when the loop calls it: by then this thread has left the
/// request's context, which the pool's is going to enter.
#[pyclass(frozen, module = "bustapi._native")]
struct Later(Mutex<Option<(Py<LoopDriver>, Resumption)>>);

#[pymethods]
impl Later {
    fn __call__(&self) {
        if let Some((driver, resumption)) = lock(&self.0).take() {
            driver.get().resume_on_pool(resumption);
        }
    }
}

/// A request whose view is done and whose further steps may wait.
pub(crate) struct Resumption {
    suspended: Box<Suspended>,
    outcome: Result<Py<PyAny>, Failure>,
    responder: Responder,
}

impl Resumption {
    pub(crate) fn run(self, py: Python<'_>, calls: &Calls) {
        let outcome = self.outcome.map(|value| value.into_bound(py));
        let answered = calls.view.finish(py, &self.suspended, outcome);
        if self.responder.is_closed() {
            // The view was cancelled because its client went: nobody is to be told.
            return;
        }
        let reply = self.suspended.answered_or_reported(py, answered);
        reply.send(self.responder, &calls.view.streams, Responder::complete);
    }
}
