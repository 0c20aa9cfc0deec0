//! Rust errors as Python exceptions; the one place for this mapping.

use bustapi_core::{ReadError, ServerError, SettingError};
use bustapi_http::HttpError;
use http::StatusCode;
use pyo3::exceptions::{PyOSError, PyRuntimeError, PyTypeError, PyValueError};
use pyo3::prelude::*;

/// A server that cannot start raises `OSError`, with the system's number where there is one.
pub(crate) fn from_server(error: &ServerError) -> PyErr {
    match error {
        ServerError::Bind { source, .. } => match source.raw_os_error() {
            Some(code) => PyOSError::new_err((code, error.to_string())),
            None => PyOSError::new_err(error.to_string()),
        },
        _ => PyRuntimeError::new_err(error.to_string()),
    }
}

/// A setting out of its range raises `ValueError`, any other that cannot be had `TypeError`, as a
/// call with such an argument does.
pub(crate) fn from_setting(error: &SettingError) -> PyErr {
    match error {
        SettingError::Range { .. } => PyValueError::new_err(error.to_string()),
        _ => PyTypeError::new_err(error.to_string()),
    }
}

/// A body that cannot be read raises Werkzeug's exception for it, which is also the answer:
/// `RequestEntityTooLarge` (413) or `ClientDisconnected` (400). One whose request has been answered
/// raises `ValueError`, as closed files do.
pub(crate) fn from_read(py: Python<'_>, error: &ReadError) -> PyErr {
    let name = match error {
        ReadError::Answered => return PyValueError::new_err(error.to_string()),
        ReadError::TooLarge { .. } => "RequestEntityTooLarge",
        _ => "ClientDisconnected",
    };
    werkzeug_exception(py, name)
}

/// A form beyond a limit raises `RequestEntityTooLarge` (413); `None` for a malformed one, which
/// Werkzeug passes over.
pub(crate) fn from_form(py: Python<'_>, error: &HttpError) -> Option<PyErr> {
    (error.status_hint() == StatusCode::PAYLOAD_TOO_LARGE)
        .then(|| werkzeug_exception(py, "RequestEntityTooLarge"))
}

fn werkzeug_exception(py: Python<'_>, name: &str) -> PyErr {
    let raised = py
        .import("werkzeug.exceptions")
        .and_then(|module| module.getattr(name)?.call0());
    match raised {
        Ok(exception) => PyErr::from_value(exception),
        Err(error) => error,
    }
}

/// Reports an exception that nothing in Python handled, through `sys.unraisablehook`'s
/// sibling for tracebacks: it is printed to standard error.
#[expect(clippy::needless_pass_by_value, reason = "an error is reported once")]
pub(crate) fn report(py: Python<'_>, error: PyErr) {
    error.print(py);
}
