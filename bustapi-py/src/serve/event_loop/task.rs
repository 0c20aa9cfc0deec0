//! Begins what is queued for the event loop, each view as a task of its own.

use std::io::Read;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};

use bustapi_core::executor::{Executor, Place};
use pyo3::exceptions::{PyBaseException, PyRuntimeError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use crate::error;
use crate::ground::context_variable::Entered;
use crate::ground::handed::Handed;
use crate::ground::thread_state::follow_hooks;
use crate::serve::application::{Begun, reported};
use crate::serve::calls::{Calls, Job, PendingRequest, Resumption};
use crate::serve::event_loop::completion::Completion;
use crate::serve::event_loop::coroutine::ViewCoroutine;
use crate::serve::event_loop::driver::{Captured, LoopDriver};
use crate::serve::event_loop::queue::{Answers, LoopQueue, Order, lock};

/// What the loop is made with.
struct LoopParts {
    make: Py<PyAny>,
    run_in_thread: Py<PyAny>,
    has_eager_tasks: bool,
}

static PARTS: Handed<LoopParts> = Handed::by("bustapi.event_loop");

/// Hands over how a loop is made and run, and whether its tasks can take their first step as they
/// are made; called once, by `bustapi.event_loop`.
#[pyfunction]
pub(crate) fn set_event_loop(
    make: &Bound<'_, PyAny>,
    run_in_thread: &Bound<'_, PyAny>,
    has_eager_tasks: bool,
) -> PyResult<()> {
    let parts = LoopParts {
        make: make.clone().unbind(),
        run_in_thread: run_in_thread.clone().unbind(),
        has_eager_tasks,
    };
    PARTS.set(make.py(), parts)
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
    let parts = PARTS.get(py)?;
    let event_loop = parts.make.bind(py).call0()?;
    let task_options = PyDict::new(py);
    task_options.set_item("loop", &event_loop)?;
    if parts.has_eager_tasks {
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
            has_eager_tasks: parts.has_eager_tasks,
            captured: Py::new(py, Captured(Mutex::default()))?,
            event_loop: event_loop.clone().unbind(),
            callback_options: callback_options.unbind(),
        },
    )?;
    let run = parts.run_in_thread.bind(py);
    run.call1((event_loop, descriptor, driver))?;
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
    fn begin(slf: &Bound<'_, Self>, call: PendingRequest) {
        let py = slf.py();
        let this = slf.get();
        let PendingRequest {
            arrived,
            responder,
            endpoint,
            ..
        } = call;
        let begun = Entered::new(py).and_then(|entered| {
            let begun = this.calls.application.begin(py, arrived, &entered);
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
                let call = PendingRequest {
                    arrived,
                    responder,
                    endpoint,
                    needs_python: false,
                };
                this.pool.submit(&habit, Place::Pool, Job::Call(call));
            }
            Err(error) => this.answer(py, responder, reported(py, error, "a request")),
        }
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
}
