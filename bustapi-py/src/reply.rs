//! What Python answers, as a response.

use std::sync::Mutex;

use bustapi_http::{Body, Response};
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HeaderName, HeaderValue};
use http::{HeaderMap, StatusCode};
use pyo3::exceptions::{PyAssertionError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyString, PyTuple};

/// WSGI's `start_response` (PEP 3333): keeps what it is called with.
#[pyclass(frozen, module = "bustapi._native")]
pub(crate) struct StartResponse {
    started: Mutex<Started>,
}

#[derive(Default)]
struct Started {
    head: Option<Head>,
    /// What the returned `write` callable was given; sent before the iterable.
    written: Vec<u8>,
}

/// Status and header fields of an answer.
pub(crate) struct Head {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
}

impl StartResponse {
    pub(crate) fn new() -> Self {
        Self {
            started: Mutex::default(),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Started> {
        self.started
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(crate) fn is_started(&self) -> bool {
        self.lock().head.is_some()
    }

    /// What was started, and what was written by then.
    ///
    /// # Errors
    ///
    /// `AssertionError` if `start_response` was not called.
    pub(crate) fn take(&self) -> PyResult<(Head, Vec<u8>)> {
        let mut started = self.lock();
        let head = started
            .head
            .take()
            .ok_or_else(|| PyAssertionError::new_err("start_response was not called"))?;
        Ok((head, std::mem::take(&mut started.written)))
    }
}

#[pymethods]
impl StartResponse {
    #[pyo3(signature = (status, headers, exc_info=None))]
    fn __call__<'py>(
        slf: &Bound<'py, Self>,
        status: &Bound<'py, PyString>,
        headers: &Bound<'py, PyList>,
        exc_info: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let mut started = slf.get().lock();
        if started.head.is_some() && exc_info.is_none_or(|info| info.is_none()) {
            return Err(PyAssertionError::new_err(
                "start_response was called twice without exc_info",
            ));
        }
        let code = status.to_str()?.split(' ').next().unwrap_or_default();
        let code = code.parse().map_err(|_| {
            PyValueError::new_err(format!(
                "the status line `{status}` does not begin with a code"
            ))
        })?;
        started.head = Some(Head {
            status: status_code(code)?,
            headers: header_map(headers)?,
        });
        drop(started);
        slf.getattr("write")
    }

    /// Adds to the body ahead of the iterable.
    fn write(&self, data: &[u8]) {
        self.lock().written.extend_from_slice(data);
    }
}

/// # Errors
///
/// `ValueError` where the code is not of three digits.
pub(crate) fn status_code(code: u16) -> PyResult<StatusCode> {
    StatusCode::from_u16(code)
        .map_err(|_| PyValueError::new_err(format!("`{code}` is not a status code")))
}

/// Header pairs from the application.
///
/// # Errors
///
/// `ValueError` where a name is not a token or a value holds CR, LF, NUL or characters
/// beyond Latin-1; `TypeError` where an item is not a pair of strings.
pub(crate) fn header_map(pairs: &Bound<'_, PyList>) -> PyResult<HeaderMap> {
    let mut headers = HeaderMap::with_capacity(pairs.len() + 1);
    for pair in pairs.iter() {
        let pair = pair
            .cast_into::<PyTuple>()
            .map_err(|_| PyTypeError::new_err("header fields are (name, value) tuples"))?;
        let (name, value) = (pair.get_item(0)?, pair.get_item(1)?);
        let name = header_name(name.cast::<PyString>()?)?;
        if is_of_the_connection(&name) {
            continue;
        }
        headers.append(name, header_value(value.cast::<PyString>()?)?);
    }
    Ok(headers)
}

fn header_name(name: &Bound<'_, PyString>) -> PyResult<HeaderName> {
    HeaderName::from_bytes(name.to_str()?.as_bytes())
        .map_err(|_| PyValueError::new_err(format!("{} is not a header name", name.repr_text())))
}

fn header_value(value: &Bound<'_, PyString>) -> PyResult<HeaderValue> {
    let refuse = || PyValueError::new_err(format!("{} is not a header value", value.repr_text()));
    let text = value.to_str().map_err(|_| refuse())?;
    if text.is_ascii() {
        return HeaderValue::from_str(text).map_err(|_| refuse());
    }
    let bytes: Result<Vec<u8>, _> = text.chars().map(|c| u8::try_from(u32::from(c))).collect();
    let bytes = bytes.map_err(|_| refuse())?;
    HeaderValue::from_bytes(&bytes).map_err(|_| refuse())
}

/// Fields that belong to the connection, which is the server's matter (PEP 3333).
fn is_of_the_connection(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "connection"
            | "keep-alive"
            | "proxy-connection"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
    )
}

trait ReprText {
    fn repr_text(&self) -> String;
}

impl ReprText for Bound<'_, PyString> {
    /// For messages: characters that could not be printed are escaped.
    fn repr_text(&self) -> String {
        self.repr()
            .map_or_else(|_| "a string".to_owned(), |repr| repr.to_string())
    }
}

/// Bodies above this many bytes are handed over, not copied: below, a copy is cheaper than
/// keeping the Python object alive on the way to the socket.
const COPY_LIMIT: usize = 64 * 1024;

/// A Python bytes object as part of a body.
pub(crate) fn to_bytes(bytes: &Bound<'_, PyBytes>) -> Bytes {
    if bytes.as_bytes().len() <= COPY_LIMIT {
        return Bytes::copy_from_slice(bytes.as_bytes());
    }
    Bytes::from_owner(pyo3::pybacked::PyBackedBytes::from(bytes.clone()))
}

/// A response whose whole body is known; the application's own length gives way to it.
pub(crate) fn whole(head: Head, body: Bytes) -> Response {
    let mut headers = head.headers;
    if !body.is_empty() {
        headers.remove(CONTENT_LENGTH);
    }
    respond(head.status, headers, Body::from(body))
}

pub(crate) fn respond(status: StatusCode, headers: HeaderMap, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}
