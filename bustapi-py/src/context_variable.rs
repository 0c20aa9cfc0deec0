//! Python's context variables.
#![expect(unsafe_code, reason = "pyo3 has no safe form of these calls")]

use pyo3::ffi;
use pyo3::prelude::*;

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
