//! The event loop's side: what it answers with, and how it hands over.

use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};

use bustapi_core::Responder;
use bustapi_core::executor::{Executor, Habit, Place};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::error;
use crate::response::reply::Reply;
use crate::serve::calls::{Calls, Job, Resumption};
use crate::serve::event_loop::queue::{Answers, LoopQueue, lock};

/// The event loop's side; its methods run on the loop's thread.
#[pyclass(frozen, module = "bustapi._native")]
pub(crate) struct LoopDriver {
    pub(super) calls: Arc<Calls>,
    pub(super) pool: Executor<Calls>,
    pub(super) queue: Arc<LoopQueue>,
    pub(super) answers: Arc<Answers>,
    pub(super) readable: UnixStream,
    pub(super) task_class: Py<PyAny>,
    /// Of the loop, and for Python 3.12 and later that tasks start at once.
    pub(super) task_options: Py<PyDict>,
    pub(super) has_eager_tasks: bool,
    pub(super) captured: Py<Captured>,
    pub(super) event_loop: Py<PyAny>,
    /// Where callbacks of tasks run; what they set is of no request.
    pub(super) callback_options: Py<PyDict>,
}

impl LoopDriver {
    pub(super) fn resume_on_pool(&self, resumption: Resumption) {
        self.pool.submit(
            &Arc::new(Habit::default()),
            Place::Pool,
            Job::Resume(Box::new(resumption)),
        );
    }

    /// Has the loop call `callback` in its next turn, in no request's context.
    pub(super) fn call_soon(&self, callback: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = callback.py();
        self.event_loop.bind(py).call_method(
            intern!(py, "call_soon"),
            (callback,),
            Some(self.callback_options.bind(py)),
        )?;
        Ok(())
    }

    pub(super) fn answer(&self, py: Python<'_>, responder: Responder, reply: Reply) {
        let mut is_first = false;
        reply.send(
            responder,
            &self.calls.application.streams,
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
pub(super) struct Captured(pub(super) Mutex<Option<Py<PyAny>>>);

#[pymethods]
impl Captured {
    #[pyo3(signature = (callback, **_options))]
    fn __call__(&self, callback: Py<PyAny>, _options: Option<&Bound<'_, PyDict>>) {
        *lock(&self.0) = Some(callback);
    }
}
