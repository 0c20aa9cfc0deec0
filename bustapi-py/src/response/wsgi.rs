//! What a WSGI application answers, as a response.

use std::sync::{Arc, Mutex};

use bustapi_http::headers::{header_name, header_value, is_of_the_connection};
use bustapi_http::{Body, ReasonPhrase, Response};
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HeaderName, HeaderValue};
use http::{HeaderMap, Method, StatusCode};
use pyo3::exceptions::{PyAssertionError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyString, PyTuple};

use crate::ground::bytes::to_bytes;
use crate::response::reply::Reply;
use crate::response::streams::{PieceStream, Pieces, Streams};

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
pub(super) struct Head {
    pub(super) status: Status,
    pub(super) headers: HeaderMap,
}

/// A status, and the phrase that goes with it if that is not the usual one.
pub(super) struct Status {
    pub(super) code: StatusCode,
    reason: Option<ReasonPhrase>,
}

impl Status {
    /// # Errors
    ///
    /// `ValueError` where the line does not begin with a code of three digits, or has
    /// characters that cannot be sent.
    pub(super) fn parse(line: &Bound<'_, PyString>) -> PyResult<Self> {
        let text = line.to_str()?;
        let refuse = || PyValueError::new_err(format!("{} is not a status", line.repr_text()));
        let (code, reason) = text.split_once(' ').unwrap_or((text, ""));
        let code = StatusCode::from_bytes(code.as_bytes()).map_err(|_| refuse())?;
        let reason = if code.canonical_reason() == Some(reason) {
            None
        } else {
            Some(ReasonPhrase::new(reason).ok_or_else(refuse)?)
        };
        Ok(Self { code, reason })
    }
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

    fn is_started(&self) -> bool {
        self.lock().head.is_some()
    }

    /// What was started, and what was written by then.
    ///
    /// # Errors
    ///
    /// `AssertionError` if `start_response` was not called.
    fn take(&self) -> PyResult<(Head, Vec<u8>)> {
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
        if started.head.is_some() && exc_info.is_none_or(PyAnyMethods::is_none) {
            return Err(PyAssertionError::new_err(
                "start_response was called twice without exc_info",
            ));
        }
        started.head = Some(Head {
            status: Status::parse(status)?,
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

/// Header pairs from the application.
///
/// # Errors
///
/// `ValueError` where a name is not a token or a value holds CR, LF, NUL or characters
/// beyond Latin-1; `TypeError` where an item is not a pair of strings.
pub(super) fn header_map(pairs: &Bound<'_, PyList>) -> PyResult<HeaderMap> {
    let mut headers = HeaderMap::with_capacity(pairs.len() + 1);
    for pair in pairs.iter() {
        let pair = pair
            .cast_into::<PyTuple>()
            .map_err(|_| PyTypeError::new_err("header fields are (name, value) tuples"))?;
        let (name, value) = (pair.get_item(0)?, pair.get_item(1)?);
        let name = name_of(name.cast::<PyString>()?)?;
        if is_of_the_connection(&name) {
            continue;
        }
        let value = value_of(&name, value.cast::<PyString>()?)?;
        headers.append(name, value);
    }
    Ok(headers)
}

fn name_of(name: &Bound<'_, PyString>) -> PyResult<HeaderName> {
    header_name(name.to_str()?)
        .map_err(|_| PyValueError::new_err(format!("{} is not a header name", name.repr_text())))
}

fn value_of(name: &HeaderName, value: &Bound<'_, PyString>) -> PyResult<HeaderValue> {
    let checked = value.to_str().ok();
    let checked = checked.and_then(|text| header_value(name.as_str(), text).ok());
    checked.ok_or_else(|| {
        PyValueError::new_err(format!("{} is not a header value", value.repr_text()))
    })
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

/// A response whose whole body is known; a length that the application states otherwise
/// gives way to it.
pub(super) fn whole(head: Head, body: Bytes) -> Response {
    let mut headers = head.headers;
    if let Some(stated) = headers.get_mut(CONTENT_LENGTH) {
        let actual = HeaderValue::from(body.len());
        if *stated != actual && !body.is_empty() {
            *stated = actual;
        }
    }
    respond(head.status, headers, Body::from(body))
}

fn respond(status: Status, headers: HeaderMap, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status.code;
    *response.headers_mut() = headers;
    if let Some(reason) = status.reason {
        response.extensions_mut().insert(reason);
    }
    response
}

/// Whether a response of this status ends with its head (RFC 9110 section 6.4.1).
pub(crate) fn has_no_body(status: StatusCode) -> bool {
    status.is_informational()
        || status == StatusCode::NO_CONTENT
        || status == StatusCode::NOT_MODIFIED
}

/// A WSGI answer as a response.
///
/// # Errors
///
/// `AssertionError` where `start_response` was not called; `TypeError` where what the
/// application returned is not iterable; whatever its first step raises.
pub(crate) fn from_wsgi(
    start: &Bound<'_, StartResponse>,
    iterable: &Bound<'_, PyAny>,
    streams: &Streams,
    method: &Method,
) -> PyResult<Reply> {
    if iterable.is_exact_instance_of::<PyTuple>()
        && iterable.len()? == 0
        && start.get().is_started()
    {
        // Werkzeug returns an empty tuple where there is no body to send.
        let (head, written) = start.get().take()?;
        return Ok(whole(head, Bytes::from(written)).into());
    }
    if let Ok(list) = iterable.cast_exact::<PyList>()
        && start.get().is_started()
        && let Some(body) = join(list)?
    {
        let (head, mut written) = start.get().take()?;
        let body = if written.is_empty() {
            body
        } else {
            written.extend_from_slice(&body);
            Bytes::from(written)
        };
        return Ok(whole(head, body).into());
    }
    let pieces = Arc::new(Pieces::new(iterable)?);
    let reply = streamed(start, &pieces, streams, method);
    reply.map_err(|error| pieces.close_after(iterable.py(), error))
}

/// An answer whose body Python makes while it is sent.
///
/// # Errors
///
/// As [`from_wsgi`].
fn streamed(
    start: &Bound<'_, StartResponse>,
    pieces: &Arc<Pieces>,
    streams: &Streams,
    method: &Method,
) -> PyResult<Reply> {
    let py = start.py();
    // An application that is a generator itself calls start_response with its first step.
    let step = if start.get().is_started() {
        None
    } else {
        pieces.next(py)?
    };
    let (head, mut first) = start.get().take()?;
    first.extend_from_slice(step.as_deref().unwrap_or_default());
    let first = (!first.is_empty()).then(|| Bytes::from(first));
    let length = head
        .headers
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse().ok());
    // The head may be sent if the first piece is there: a body that fails before it has one is
    // answered with an error.
    let waits = first.is_none();
    let ends_with_head = *method == Method::HEAD || has_no_body(head.status.code);
    let body = PieceStream::body(
        first,
        Arc::clone(pieces),
        streams.clone(),
        length,
        ends_with_head,
    );
    Ok(Reply {
        response: respond(head.status, head.headers, Body::Stream(body)),
        pieces: waits.then(|| Arc::clone(pieces)),
    })
}

/// The pieces as one; `None` where one is not bytes.
pub(super) fn join(pieces: &Bound<'_, PyList>) -> PyResult<Option<Bytes>> {
    if pieces.len() == 1 {
        return Ok(pieces.get_item(0)?.cast_exact().ok().map(to_bytes));
    }
    let mut joined = Vec::new();
    for piece in pieces.iter() {
        let Ok(bytes) = piece.cast_exact::<PyBytes>() else {
            return Ok(None);
        };
        joined.extend_from_slice(bytes.as_bytes());
    }
    Ok(Some(joined.into()))
}
