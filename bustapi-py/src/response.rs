//! What views return, as responses or as response objects, without running a constructor.

use bustapi_http::{Body, Response};
use bytes::Bytes;
use http::StatusCode;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyInt, PyList, PyString, PyTuple};

use crate::context::allocate;
use crate::json;
use crate::plan::Plan;
use crate::reply::{has_no_body, to_bytes};

/// What a view returned, where the default response and JSON classes would make nothing else
/// of it: text, bytes, dicts and lists, alone or with a status.
pub(crate) struct Content {
    body: Bytes,
    kind: MediaType,
    status: StatusCode,
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
    pub(crate) fn of(plan: &Plan, value: &Bound<'_, PyAny>) -> Option<Self> {
        let Ok(pair) = value.cast_exact::<PyTuple>() else {
            return Self::of_body(plan, value, StatusCode::OK);
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
        Self::of_body(plan, &body, status)
    }

    fn of_body(plan: &Plan, value: &Bound<'_, PyAny>, status: StatusCode) -> Option<Self> {
        let is_json =
            value.is_exact_instance_of::<PyDict>() || value.is_exact_instance_of::<PyList>();
        let (body, kind) = if is_json {
            if !plan.writes_json(value.py()) {
                return None;
            }
            let mut text = String::with_capacity(128);
            json::dumps(value, &mut text)?;
            text.push('\n');
            (Bytes::from(text), MediaType::Json)
        } else if !plan.plain_text {
            return None;
        } else if let Ok(text) = value.cast_exact::<PyString>() {
            let text = text.to_str().ok()?;
            (Bytes::copy_from_slice(text.as_bytes()), MediaType::Html)
        } else {
            let bytes = value.cast_exact::<PyBytes>().ok()?;
            (to_bytes(bytes), MediaType::Html)
        };
        Some(Self { body, kind, status })
    }

    /// # Errors
    ///
    /// What looking the status up raises.
    pub(crate) fn into_response(self, plan: &Plan, py: Python<'_>) -> PyResult<Response> {
        let is_empty = self.body.is_empty();
        let mut response = Response::new(Body::from(self.body));
        *response.status_mut() = self.status;
        let media_type = HeaderValue::from_static(self.kind.as_str());
        response.headers_mut().insert(CONTENT_TYPE, media_type);
        if is_empty {
            // hyper states no length in an empty answer to HEAD.
            response
                .headers_mut()
                .insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        if self.status != StatusCode::OK
            && let Some(reason) = plan.reason_phrase(py, self.status)?
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
        plan: &Plan,
        py: Python<'py>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        if !plan.lean_response || self.status != StatusCode::OK {
            return Ok(None);
        }
        let length = self.body.len().to_string();
        let fields = PyList::new(
            py,
            [
                (
                    intern!(py, "Content-Type"),
                    PyString::intern(py, self.kind.as_str()),
                ),
                (intern!(py, "Content-Length"), PyString::new(py, &length)),
            ],
        )?;
        let headers = allocate(plan.headers_class.bind(py))?;
        headers.setattr(intern!(py, "_list"), fields)?;
        let pieces = PyList::new(py, [PyBytes::new(py, &self.body)])?;
        let response = allocate(plan.response_class.bind(py))?;
        response.setattr(intern!(py, "headers"), headers)?;
        response.setattr(intern!(py, "_status"), intern!(py, "200 OK"))?;
        response.setattr(intern!(py, "_status_code"), self.status.as_u16())?;
        response.setattr(intern!(py, "direct_passthrough"), false)?;
        response.setattr(intern!(py, "_on_close"), PyList::empty(py))?;
        response.setattr(intern!(py, "response"), pieces)?;
        Ok(Some(response))
    }
}
