//! What goes on with a request when its view is done.

use std::sync::Mutex;

use bustapi_core::Responder;
use pyo3::prelude::*;

use crate::error;
use crate::lifecycle::outcome::Failure;
use crate::serve::application::{Application, Suspended};
use crate::serve::calls::Resumption;
use crate::serve::event_loop::driver::LoopDriver;
use crate::serve::event_loop::queue::lock;

/// Goes on with a request when its view is done.
pub(crate) struct Completion {
    pub(super) driver: Py<LoopDriver>,
    pub(super) suspended: Box<Suspended>,
    pub(super) responder: Responder,
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
            Ok(value) if Application::may_finish_on_loop(py, &suspended) => {
                // The task is let go here: on the IO thread, Python is not at hand for that.
                responder.on_abandoned(|| ());
                let answered = driver
                    .calls
                    .application
                    .finish_within(py, &suspended, Ok(value));
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
