//! The coroutine of a view and of the steps after it, which is what a task runs.
//!
//! # Theory of operation
//!
//! A task could be asked for its result by a callback, but that takes another turn of the loop,
//! and the context has to be entered once more. So the task is given a coroutine that runs the
//! view's and, when that ends, goes on with the request in the same step. Whoever looks at the
//! task's coroutine sees the view's: other attributes are its.

use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::exceptions::PyStopIteration;
use pyo3::ffi;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyString, PyTuple};

use crate::error;
use crate::serve::event_loop::completion::Completion;

/// Runs a view's coroutine, then the steps after the view.
#[pyclass(frozen, module = "bustapi._native")]
pub(crate) struct ViewCoroutine {
    view: Py<PyAny>,
    completion: Mutex<Option<Completion>>,
}

/// How a step of the view's coroutine ended.
enum CoroutineStep<'py> {
    Waits(Bound<'py, PyAny>),
    Returned(Bound<'py, PyAny>),
    Raised(PyErr),
}

impl ViewCoroutine {
    pub(crate) fn new(view: &Bound<'_, PyAny>, completion: Completion) -> Self {
        Self {
            view: view.clone().unbind(),
            completion: Mutex::new(Some(completion)),
        }
    }

    /// Acts on what is to go on with the request, unless that has happened.
    pub(crate) fn if_waiting(&self, act: impl FnOnce(&Completion)) {
        if let Some(completion) = &*self.lock() {
            act(completion);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Completion>> {
        self.completion
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// What the task waits for; `None` when the view and all after it is done.
    ///
    /// # Errors
    ///
    /// The view's exception if it concerns the task: a cancellation.
    fn go_on<'py>(
        &self,
        py: Python<'py>,
        step: CoroutineStep<'py>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let outcome = match step {
            CoroutineStep::Waits(awaited) => return Ok(Some(awaited)),
            CoroutineStep::Returned(value) => Ok(value),
            CoroutineStep::Raised(error) => Err(error),
        };
        let raised = outcome
            .as_ref()
            .err()
            .filter(|error| is_cancellation(py, error))
            .map(|error| error.clone_ref(py));
        let completion = self.lock().take();
        if let Some(completion) = completion {
            completion.complete(py, outcome);
        }
        raised.map_or(Ok(None), Err)
    }

    #[expect(unsafe_code, reason = "pyo3 has no safe form of this call")]
    fn step<'py>(&self, value: &Bound<'py, PyAny>) -> CoroutineStep<'py> {
        let py = value.py();
        let mut result = std::ptr::null_mut();
        // SAFETY: both references are valid while borrowed; the call stores a new reference, or
        // null with an exception set where it says that there was an error.
        unsafe {
            let sent = ffi::PyIter_Send(self.view.as_ptr(), value.as_ptr(), &raw mut result);
            match (sent, Bound::from_owned_ptr_or_opt(py, result)) {
                (ffi::PySendResult::PYGEN_NEXT, Some(awaited)) => CoroutineStep::Waits(awaited),
                (ffi::PySendResult::PYGEN_RETURN, Some(value)) => CoroutineStep::Returned(value),
                _ => CoroutineStep::Raised(PyErr::fetch(py)),
            }
        }
    }
}

fn is_cancellation(py: Python<'_>, error: &PyErr) -> bool {
    error.is_instance_of::<pyo3::exceptions::asyncio::CancelledError>(py)
}

/// A value for whoever sends: an exception says that the coroutine has ended.
fn sent(awaited: Option<Bound<'_, PyAny>>) -> PyResult<Bound<'_, PyAny>> {
    awaited.ok_or_else(|| PyStopIteration::new_err(()))
}

#[pymethods]
impl ViewCoroutine {
    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __await__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.go_on(py, self.step(py.None().bind(py)))
    }

    fn send<'py>(&self, value: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        sent(self.go_on(value.py(), self.step(value))?)
    }

    #[pyo3(signature = (*raised))]
    fn throw<'py>(&self, raised: &Bound<'py, PyTuple>) -> PyResult<Bound<'py, PyAny>> {
        let py = raised.py();
        let step = match self
            .view
            .bind(py)
            .call_method1(intern!(py, "throw"), raised)
        {
            Ok(awaited) => CoroutineStep::Waits(awaited),
            Err(error) if error.is_instance_of::<PyStopIteration>(py) => {
                CoroutineStep::Returned(error::exception(py, error).getattr(intern!(py, "value"))?)
            }
            Err(error) => CoroutineStep::Raised(error),
        };
        sent(self.go_on(py, step)?)
    }

    fn close(&self, py: Python<'_>) -> PyResult<()> {
        self.view.call_method0(py, intern!(py, "close"))?;
        Ok(())
    }

    fn __getattr__<'py>(&self, name: &Bound<'py, PyString>) -> PyResult<Bound<'py, PyAny>> {
        self.view.bind(name.py()).getattr(name)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.view)
    }
}
