//! Verdicts of the router that are exceptions to Python.

use bustapi_router::MatchError;
use pyo3::call::PyCallArgs;
use pyo3::prelude::*;

use super::object::exception;
use super::references::References;

/// The exception for a verdict; `None` where Werkzeug's implementation has to raise it.
///
/// # Errors
///
/// What making the exception raises.
pub(crate) fn raised(py: Python<'_>, error: &MatchError) -> PyResult<Option<PyErr>> {
    let known = References::get(py)?;
    Ok(Some(match error {
        MatchError::NotFound => raising(py, &known.not_found, ())?,
        MatchError::MethodNotAllowed { allowed } => {
            let allowed: Vec<&str> = allowed.iter().collect();
            raising(py, &known.method_not_allowed, (allowed,))?
        }
        MatchError::RequestRedirect { url } => raising(py, &known.request_redirect, (url,))?,
        MatchError::WebsocketMismatch => raising(py, &known.websocket_mismatch, ())?,
        MatchError::Failed { source, .. } => return Ok(exception(py, source)),
        _ => return Ok(None),
    }))
}

fn raising<'py>(py: Python<'py>, class: &Py<PyAny>, args: impl PyCallArgs<'py>) -> PyResult<PyErr> {
    Ok(PyErr::from_value(class.bind(py).call1(args)?))
}
