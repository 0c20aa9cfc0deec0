//! Errors of the server, of its settings and of bodies as Python exceptions, and the report of
//! exceptions that nobody handles. Errors of routing are raised in `routing`.

use bustapi_core::{ReadError, ServerError, SettingError};
use bustapi_http::HttpError;
use http::StatusCode;
use pyo3::exceptions::{PyBaseException, PyOSError, PyRuntimeError, PyTypeError, PyValueError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyString;

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
/// raises `ValueError`, as closed files do, and one that could not be kept `OSError`.
pub(crate) fn from_read(py: Python<'_>, error: &ReadError) -> PyErr {
    let name = match error {
        ReadError::Store(source) => {
            return PyOSError::new_err((source.raw_os_error(), error.to_string()));
        }
        ReadError::Answered => return PyValueError::new_err(error.to_string()),
        ReadError::TooLarge { .. } => "RequestEntityTooLarge",
        _ => "ClientDisconnected",
    };
    werkzeug_exception(py, name)
}

/// A form beyond a limit raises `RequestEntityTooLarge` (413), one whose boundary is too long
/// `BadRequest` (400) with the reason; `None` for a malformed one, which Werkzeug passes over.
pub(crate) fn from_form(py: Python<'_>, error: &HttpError) -> Option<PyErr> {
    if matches!(error, HttpError::BoundaryTooLong { .. }) {
        let reason = format!("The form cannot be read: {error}.");
        return Some(http_exception(py, "BadRequest", Some(reason)));
    }
    (error.status_hint() == StatusCode::PAYLOAD_TOO_LARGE)
        .then(|| werkzeug_exception(py, "RequestEntityTooLarge"))
}

fn werkzeug_exception(py: Python<'_>, name: &str) -> PyErr {
    http_exception(py, name, None)
}

/// One of Werkzeug's exceptions, with its own description where none is given.
fn http_exception(py: Python<'_>, name: &str, description: Option<String>) -> PyErr {
    let raised = py
        .import("werkzeug.exceptions")
        .and_then(|module| module.getattr(name)?.call1((description,)));
    match raised {
        Ok(exception) => PyErr::from_value(exception),
        Err(error) => error,
    }
}

/// An exception as an object, with its traceback: up to Python 3.11 an error that is under way
/// keeps that beside the object, and `PyErr::value` leaves it behind.
pub(crate) fn exception(py: Python<'_>, error: PyErr) -> Bound<'_, PyBaseException> {
    error.into_value(py).into_bound(py)
}

/// Runs `act` as the body of an `except` clause that has caught `exception`: it is what a bare
/// `raise` raises again, what `sys.exc_info` tells, and the context of exceptions raised meanwhile.
pub(crate) fn while_handling<T>(
    exception: &Bound<'_, PyBaseException>,
    act: impl FnOnce() -> PyResult<T>,
) -> PyResult<T> {
    let py = exception.py();
    let _handled = Handled::swap(
        py,
        [
            exception.get_type().into_any().unbind().into_ptr(),
            exception.clone().into_any().unbind().into_ptr(),
            exception
                .getattr(pyo3::intern!(py, "__traceback__"))?
                .unbind()
                .into_ptr(),
        ],
    );
    act()
}

/// What was being handled before; it is again when this is dropped.
struct Handled<'py> {
    /// Class, exception and traceback, each owned and each possibly null.
    before: [*mut ffi::PyObject; 3],
    _attached: Python<'py>,
}

impl<'py> Handled<'py> {
    /// `handled` are owned references, or null.
    #[expect(unsafe_code, reason = "pyo3 has no safe form of these calls")]
    fn swap(py: Python<'py>, handled: [*mut ffi::PyObject; 3]) -> Self {
        let mut before = [std::ptr::null_mut(); 3];
        let [class, exception, traceback] = &mut before;
        // SAFETY: the thread is attached. The first call stores three owned references, each of
        // which may be null; the second takes over the three that it is given.
        unsafe {
            ffi::PyErr_GetExcInfo(class, exception, traceback);
            ffi::PyErr_SetExcInfo(handled[0], handled[1], handled[2]);
        }
        Self {
            before,
            _attached: py,
        }
    }
}

impl Drop for Handled<'_> {
    #[expect(unsafe_code, reason = "pyo3 has no safe form of this call")]
    fn drop(&mut self) {
        let [class, exception, traceback] = self.before;
        // SAFETY: the thread is attached as long as this lives; the three references are owned
        // and are used here only.
        unsafe { ffi::PyErr_SetExcInfo(class, exception, traceback) };
    }
}

/// Logs an exception that nothing in Python handled, with its traceback; `what` says what it ended.
///
/// Whatever its class: `PyErr_Print` would end the process for a `SystemExit`.
pub(crate) fn report(py: Python<'_>, error: PyErr, what: &str) {
    let exception = exception(py, error);
    // Not through `sys.stderr`, which may be a pipe that nobody reads.
    let traceback = py.import("traceback").and_then(|traceback| {
        let lines = traceback.call_method1("format_exception", (&exception,))?;
        PyString::new(py, "")
            .call_method1("join", (lines,))?
            .extract::<String>()
    });
    let traceback = traceback.unwrap_or_else(|failed| format!("{exception:?} ({failed})"));
    bustapi_core::log(&format!(
        "an exception ended {what}:\n{}",
        traceback.trim_end()
    ));
}
