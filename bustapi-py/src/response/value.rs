//! What views return, as responses or as response objects, without running a constructor.

use bustapi_http::headers::header_value;
use bustapi_http::{Body, Response};
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, SET_COOKIE, VARY};
use http::{HeaderMap, StatusCode};
use pyo3::exceptions::{PyBaseException, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyInt, PyList, PyString, PyTuple};

use crate::ground::bytes::to_bytes;
use crate::json::write;
use crate::response::object::{self, headers_class};
use crate::response::plain::PlainResponses;
use crate::response::wsgi::has_no_body;

/// What saving a session adds to the response.
#[derive(Default)]
pub(crate) struct SessionFields {
    /// Whether the response varies by the cookie.
    pub(crate) varies: bool,
    pub(crate) set_cookie: Option<String>,
}

/// What `Vary` says then.
const VARY_COOKIE: HeaderValue = HeaderValue::from_static("Cookie");

/// What a view returned, where the default response and JSON classes would make nothing else
/// of it: text, bytes, dicts and lists, alone or with a status.
pub(crate) struct Content {
    body: Bytes,
    kind: MediaType,
    status: StatusCode,
    /// All header fields, where they are not just those of the kind.
    fields: Option<HeaderMap>,
}

#[derive(Clone, Copy)]
enum MediaType {
    Html,
    Json,
}

impl MediaType {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Html => "text/html; charset=utf-8",
            Self::Json => "application/json",
        }
    }
}

impl Content {
    /// What an HTTP exception is as an answer; `None` where its own methods have to say.
    ///
    /// # Errors
    ///
    /// What making or reading it raises.
    pub(crate) fn of_error(
        plain: &PlainResponses,
        error: &Bound<'_, PyBaseException>,
    ) -> PyResult<Option<Self>> {
        if !plain.text {
            return Ok(None);
        }
        let answer = plain.pages.answer(error)?;
        Ok(answer.map(|answer| Self {
            body: answer.body,
            kind: MediaType::Html,
            status: answer.status,
            fields: Some(answer.fields),
        }))
    }

    pub(crate) fn of(plain: &PlainResponses, value: &Bound<'_, PyAny>) -> Option<Self> {
        let Ok(pair) = value.cast_exact::<PyTuple>() else {
            return Self::of_body(plain, value, StatusCode::OK);
        };
        if pair.len() != 2 {
            return None;
        }
        let (body, status) = (pair.get_item(0).ok()?, pair.get_item(1).ok()?);
        let code = status.cast_exact::<PyInt>().ok()?.extract().ok()?;
        let status = StatusCode::from_u16(code).ok()?;
        if has_no_body(status) {
            return None;
        }
        Self::of_body(plain, &body, status)
    }

    fn of_body(
        plain: &PlainResponses,
        value: &Bound<'_, PyAny>,
        status: StatusCode,
    ) -> Option<Self> {
        let is_json =
            value.is_exact_instance_of::<PyDict>() || value.is_exact_instance_of::<PyList>();
        let (body, kind) = if is_json {
            if !plain.writes_json(value.py()) {
                return None;
            }
            let mut text = Vec::with_capacity(128);
            write::dumps(value, &mut text)?;
            text.push(b'\n');
            (Bytes::from(text), MediaType::Json)
        } else if !plain.text {
            return None;
        } else if let Ok(text) = value.cast_exact::<PyString>() {
            let text = text.to_str().ok()?;
            (Bytes::copy_from_slice(text.as_bytes()), MediaType::Html)
        } else {
            let bytes = value.cast_exact::<PyBytes>().ok()?;
            (to_bytes(bytes), MediaType::Html)
        };
        Some(Self {
            body,
            kind,
            status,
            fields: None,
        })
    }

    /// The response, with what the session adds to it.
    ///
    /// # Errors
    ///
    /// What looking the status up raises; `ValueError` for a cookie that cannot be sent.
    pub(crate) fn to_response(
        &self,
        plain: &PlainResponses,
        py: Python<'_>,
        session: &SessionFields,
    ) -> PyResult<Response> {
        let mut response = Response::new(Body::from(self.body.clone()));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        if let Some(fields) = &self.fields {
            headers.clone_from(fields);
        } else {
            let media_type = HeaderValue::from_static(self.kind.as_str());
            headers.insert(CONTENT_TYPE, media_type);
            // The server states a length behind the other fields, and none in an empty answer to
            // HEAD.
            if self.body.is_empty() || session.varies || session.set_cookie.is_some() {
                headers.insert(CONTENT_LENGTH, HeaderValue::from(self.body.len()));
            }
        }
        if session.varies {
            headers.insert(VARY, VARY_COOKIE);
        }
        if let Some(cookie) = &session.set_cookie {
            let cookie = header_value(SET_COOKIE.as_str(), cookie)
                .map_err(|_| PyValueError::new_err("the cookie cannot be sent"))?;
            headers.insert(SET_COOKIE, cookie);
        }
        if self.status != StatusCode::OK
            && let Some(reason) = plain.reason_phrase(py, self.status)?
        {
            response.extensions_mut().insert(reason);
        }
        Ok(response)
    }

    /// The object that `response_class` would make of it, for hooks to see; `None` where the
    /// class's instances hold more than the plan knows of.
    ///
    /// # Errors
    ///
    /// Whatever allocating or assigning raises.
    pub(crate) fn to_object<'py>(
        &self,
        plain: &PlainResponses,
        py: Python<'py>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        if !plain.lean || self.status != StatusCode::OK || self.fields.is_some() {
            return Ok(None);
        }
        let class = plain.class.bind(py);
        object::make(class, self.kind.as_str(), &self.body).map(Some)
    }
}

/// Adds what the session says to a response object; whether that could be done without its
/// methods.
///
/// # Errors
///
/// Whatever reading its headers raises.
pub(crate) fn add_to_object(
    plain: &PlainResponses,
    response: &Bound<'_, PyAny>,
    session: &SessionFields,
) -> PyResult<bool> {
    let py = response.py();
    if !session.varies && session.set_cookie.is_none() {
        return Ok(true);
    }
    if !plain.is_lean(response) {
        return Ok(false);
    }
    let headers = response.getattr(intern!(py, "headers"))?;
    if !headers.get_type().is(headers_class(py)?) {
        return Ok(false);
    }
    let list = headers
        .getattr(intern!(py, "_list"))?
        .cast_into::<PyList>()?;
    for field in list.iter() {
        let name = field.get_item(0)?;
        if name
            .cast::<PyString>()?
            .to_str()?
            .eq_ignore_ascii_case("vary")
        {
            return Ok(false);
        }
    }
    if session.varies {
        list.append((intern!(py, "Vary"), intern!(py, "Cookie")))?;
    }
    if let Some(cookie) = &session.set_cookie {
        list.append((intern!(py, "Set-Cookie"), cookie))?;
    }
    Ok(true)
}
