//! Python's context variables.
#![expect(unsafe_code, reason = "pyo3 has no safe form of these calls")]

use pyo3::ffi;
use pyo3::prelude::*;

use crate::error;
use crate::ground::handed::Handed;

/// Sets `variable`, a `contextvars.ContextVar`, and gives the token that undoes it.
///
/// # Errors
///
/// `TypeError` if it is no context variable.
pub(crate) fn set<'py>(
    variable: &Bound<'py, PyAny>,
    value: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    // SAFETY: both references are valid while borrowed; the call checks the first one's type
    // and returns a new reference, or null with an exception set.
    unsafe {
        let token = ffi::PyContextVar_Set(variable.as_ptr(), value.as_ptr());
        Bound::from_owned_ptr_or_err(variable.py(), token)
    }
}

/// What `variable`, a `contextvars.ContextVar`, holds; `None` if nothing.
///
/// # Errors
///
/// `TypeError` if it is no context variable.
pub(crate) fn get<'py>(variable: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
    let mut value = std::ptr::null_mut();
    // SAFETY: the reference is valid while borrowed; the call checks its type, and stores a new
    // reference, or null where the variable holds nothing.
    unsafe {
        if ffi::PyContextVar_Get(variable.as_ptr(), std::ptr::null_mut(), &raw mut value) < 0 {
            return Err(PyErr::fetch(variable.py()));
        }
        Ok(Bound::from_owned_ptr_or_opt(variable.py(), value))
    }
}

/// Undoes the setting of `variable` that gave `token`.
///
/// # Errors
///
/// `RuntimeError` or `ValueError` if the token was used before, or is of another context.
pub(crate) fn reset(variable: &Bound<'_, PyAny>, token: &Bound<'_, PyAny>) -> PyResult<()> {
    // SAFETY: both references are valid while borrowed, and the call checks their types.
    let result = unsafe { ffi::PyContextVar_Reset(variable.as_ptr(), token.as_ptr()) };
    if result < 0 {
        return Err(PyErr::fetch(variable.py()));
    }
    Ok(())
}

/// The two variables of `bustapi.globals`.
pub(crate) struct Variables {
    pub(crate) app: Py<PyAny>,
    pub(crate) request: Py<PyAny>,
}

static VARIABLES: Handed<Variables> = Handed::by("bustapi.globals");

/// Names the context variables of the current app and the current request; called once, where
/// they are made.
#[pyfunction]
pub(crate) fn set_context_variables(
    app: &Bound<'_, PyAny>,
    request: &Bound<'_, PyAny>,
) -> PyResult<()> {
    let variables = Variables {
        app: app.clone().unbind(),
        request: request.clone().unbind(),
    };
    VARIABLES.set(app.py(), variables)
}

/// The variables that were named.
///
/// # Errors
///
/// `RuntimeError` before `bustapi.globals` was imported.
pub(crate) fn variables(py: Python<'_>) -> PyResult<&'static Variables> {
    VARIABLES.get(py)
}

/// A `contextvars.Context` of a request's own that this thread has entered.
pub(crate) struct Entered {
    context: Py<PyAny>,
    left: bool,
}

impl Drop for Entered {
    /// Leaves the context where a panic has kept [`Entered::exit`] from it.
    fn drop(&mut self) {
        if !self.left {
            Python::attach(|py| {
                if let Err(error) = self.leave(py) {
                    error::report(py, error, "the leaving of a context");
                }
            });
        }
    }
}

impl Entered {
    /// Enters a new context.
    ///
    /// # Errors
    ///
    /// `MemoryError`.
    pub(crate) fn new(py: Python<'_>) -> PyResult<Self> {
        // SAFETY: the thread is attached; the call returns a new reference, or null with an
        // exception set.
        let context = unsafe { Bound::from_owned_ptr_or_err(py, ffi::PyContext_CopyCurrent())? };
        Self::again(&context)
    }

    /// Enters a context that was left before.
    ///
    /// # Errors
    ///
    /// `RuntimeError` if a thread is in it already.
    pub(crate) fn again(context: &Bound<'_, PyAny>) -> PyResult<Self> {
        // SAFETY: the reference is valid while borrowed, and is to a Context.
        if unsafe { ffi::PyContext_Enter(context.as_ptr()) } < 0 {
            return Err(PyErr::fetch(context.py()));
        }
        Ok(Self {
            context: context.clone().unbind(),
            left: false,
        })
    }

    pub(crate) fn context(&self) -> &Py<PyAny> {
        &self.context
    }

    /// Leaves the context, which must be the one entered last on this thread.
    ///
    /// # Errors
    ///
    /// `RuntimeError` if it is not.
    pub(crate) fn exit(mut self, py: Python<'_>) -> PyResult<()> {
        self.leave(py)
    }

    fn leave(&mut self, py: Python<'_>) -> PyResult<()> {
        self.left = true;
        // SAFETY: the reference is valid, and is to a Context.
        if unsafe { ffi::PyContext_Exit(self.context.as_ptr()) } < 0 {
            return Err(PyErr::fetch(py));
        }
        Ok(())
    }
}
