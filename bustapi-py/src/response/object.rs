//! Objects of the default response class: made without its constructor, and read without being
//! called.
//!
//! `bustapi.response` names the class; applications have subclasses of it, and replace attributes
//! of either.

use bustapi_http::Response;
use bustapi_http::python_json::COMPACT;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_LOCATION, LOCATION};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{
    PyBool, PyBytes, PyDict, PyFrozenSet, PyList, PyString, PyTuple, PyType, PyWeakrefMethods,
    PyWeakrefProxy,
};

use crate::ground::handed::Handed;
use crate::ground::object::allocate;
use crate::ground::overrides::Defaults;
use crate::json::provider::is_default_provider;
use crate::json::write;
use crate::response::plain::PlainResponses;
use crate::response::wsgi::{Head, Status, has_no_body, header_map, join, whole};

/// The default response class, and the class of its headers.
struct ResponseClasses {
    headers: Py<PyType>,
    defaults: Py<Defaults>,
    /// How many attributes an object of the class has.
    attributes: usize,
}

static CLASSES: Handed<ResponseClasses> = Handed::by("bustapi.response");

/// The bit of the group of attributes that make a response object, read it and send it.
const STEPS: u32 = 1;

/// Names the default response class, the class of its headers, and the attributes that its
/// objects have; called once, where it is defined.
#[pyfunction]
pub(crate) fn set_response_classes(
    response: &Bound<'_, Defaults>,
    headers: &Bound<'_, PyType>,
    attributes: &Bound<'_, PyFrozenSet>,
) -> PyResult<()> {
    response.get().expect(&["steps", "additions"])?;
    let classes = ResponseClasses {
        headers: headers.clone().unbind(),
        defaults: response.clone().unbind(),
        attributes: attributes.len(),
    };
    CLASSES.set(response.py(), classes)
}

/// The class of headers of response objects.
///
/// # Errors
///
/// `RuntimeError` before the package has named it.
pub(crate) fn headers_class(py: Python<'_>) -> PyResult<&Bound<'_, PyType>> {
    Ok(CLASSES.get(py)?.headers.bind(py))
}

/// Tell whether a class makes and sends responses as the default one does.
///
/// # Errors
///
/// `RuntimeError` before the package has named the default one.
#[pyfunction]
pub(crate) fn is_default_response(class: &Bound<'_, PyAny>) -> PyResult<bool> {
    match class.cast::<PyType>() {
        Ok(class) => {
            let kept = CLASSES.get(class.py())?.defaults.get().kept_by(class)?;
            Ok(kept & STEPS != 0)
        }
        Err(_) => Ok(false),
    }
}

/// Makes the object that `class`, which makes responses as the default one does, would make of a
/// whole body with status 200.
///
/// # Errors
///
/// Whatever allocating or assigning raises.
pub(crate) fn make<'py>(
    class: &Bound<'py, PyType>,
    media_type: &str,
    body: &[u8],
) -> PyResult<Bound<'py, PyAny>> {
    let py = class.py();
    let length = body.len().to_string();
    let fields = PyList::new(
        py,
        [
            (
                intern!(py, "Content-Type"),
                PyString::intern(py, media_type),
            ),
            (intern!(py, "Content-Length"), PyString::new(py, &length)),
        ],
    )?;
    let headers = allocate(headers_class(py)?)?;
    headers.setattr(intern!(py, "_list"), fields)?;
    let pieces = PyList::new(py, [PyBytes::new(py, body)])?;
    let response = allocate(class)?;
    response.setattr(intern!(py, "headers"), headers)?;
    response.setattr(intern!(py, "_status"), intern!(py, "200 OK"))?;
    response.setattr(intern!(py, "_status_code"), 200)?;
    response.setattr(intern!(py, "direct_passthrough"), PyBool::new(py, false))?;
    response.setattr(intern!(py, "_on_close"), PyList::empty(py))?;
    response.setattr(intern!(py, "response"), pieces)?;
    Ok(response)
}

/// What `provider.response(*args, **kwargs)` of the default provider returns; `None` for values
/// and classes that the provider itself has to deal with.
///
/// # Errors
///
/// What writing the value raises, as from the provider.
#[pyfunction]
pub(crate) fn json_response<'py>(
    provider: &Bound<'py, PyAny>,
    args: &Bound<'py, PyTuple>,
    kwargs: &Bound<'py, PyDict>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = provider.py();
    let value = match (args.len(), kwargs.is_empty()) {
        (1, true) => args.get_item(0)?,
        (0, false) => kwargs.clone().into_any(),
        _ => return Ok(None),
    };
    if !is_default_provider(provider)? {
        return Ok(None);
    }
    let app = provider.getattr(intern!(py, "_app"))?;
    let Ok(app) = app.cast_into::<PyWeakrefProxy>() else {
        return Ok(None);
    };
    let Some(app) = app.upgrade() else {
        return Ok(None);
    };
    let config = app.getattr(intern!(py, "config"))?;
    if config.get_item(intern!(py, "DEBUG"))?.is_truthy()? {
        return Ok(None);
    }
    let class = app.getattr(intern!(py, "response_class"))?;
    if !is_default_response(&class)? {
        return Ok(None);
    }
    let default = provider.getattr(intern!(py, "default"))?;
    let Some(mut text) = write::dumps_with(&value, &default, COMPACT)? else {
        return Ok(None);
    };
    text.push(b'\n');
    make(class.cast()?, "application/json", &text).map(Some)
}

/// A response object of the default kind with its whole body in memory, read in place of
/// being called; `None` for any other. `environ` gives the request's.
///
/// # Errors
///
/// `ValueError` for header fields or a status that cannot be sent.
pub(crate) fn from_response<'py>(
    plain: &PlainResponses,
    response: &Bound<'py, PyAny>,
    environ: impl FnOnce() -> PyResult<Bound<'py, PyDict>>,
) -> PyResult<Option<Response>> {
    let py = response.py();
    if !plain.is_lean(response) {
        return Ok(None);
    }
    let state = response.getattr(intern!(py, "__dict__"))?;
    let state = state.cast::<PyDict>()?;
    // An attribute that an application has set on the object may replace a method that is not
    // called here, and one that it has deleted is missed by a method that is: with more or fewer
    // attributes than usual, the object itself is called.
    if state.len() != CLASSES.get(py)?.attributes {
        return Ok(None);
    }
    let (Some(pieces), Some(on_close), Some(status), Some(headers)) = (
        state.get_item(intern!(py, "response"))?,
        state.get_item(intern!(py, "_on_close"))?,
        state.get_item(intern!(py, "_status"))?,
        state.get_item(intern!(py, "headers"))?,
    ) else {
        return Ok(None);
    };
    if on_close.is_truthy()? {
        return Ok(None);
    }
    let is_iterator = pieces.get_type().is(list_iterator(py)?);
    let pieces = match pieces.cast_into_exact::<PyList>() {
        Ok(pieces) => pieces,
        // The lifecycle leaves the answer of an HTTP exception as an iterator of a list.
        Err(other) if is_iterator => rest_of(&other.into_inner())?,
        Err(_) => return Ok(None),
    };
    let status = Status::parse(status.cast::<PyString>()?)?;
    // An application may have assigned headers of another class, such as a dict.
    if !headers.get_type().is(headers_class(py)?) {
        return Ok(None);
    }
    let list = headers.getattr(intern!(py, "_list"))?;
    let headers = match header_map(list.cast::<PyList>()?) {
        Ok(headers)
            if !headers.contains_key(LOCATION)
                && !headers.contains_key(CONTENT_LOCATION)
                && !has_no_body(status.code) =>
        {
            headers
        }
        // Werkzeug also mends URLs, which could perhaps not be sent as they are, and removes fields
        // that some statuses must not have.
        _ => {
            let sent = response.call_method1(intern!(py, "get_wsgi_headers"), (environ()?,))?;
            let list = sent.getattr(intern!(py, "_list"))?;
            header_map(list.cast::<PyList>()?)?
        }
    };
    let body = if has_no_body(status.code) {
        Bytes::new()
    } else {
        match join(&pieces)? {
            Some(body) => body,
            None => return Ok(None),
        }
    };
    // An application's own iterator is a stream, whose length is what it says, if it says any.
    if is_iterator && !has_no_body(status.code) {
        let length = headers.get(CONTENT_LENGTH);
        if length.is_none_or(|length| length.as_bytes() != body.len().to_string().as_bytes()) {
            return Ok(None);
        }
    }
    Ok(Some(whole(Head { status, headers }, body)))
}

/// What an iterator of a list has still to give; it gives it all the same.
fn rest_of<'py>(iterator: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyList>> {
    let py = iterator.py();
    // As `copy.copy` finds out: what makes it, of which list, and how far it is.
    let state = iterator
        .call_method0(intern!(py, "__reduce__"))?
        .cast_into::<PyTuple>()?;
    let list = state.get_item(1)?.get_item(0)?;
    let Ok(list) = list.cast_into_exact::<PyList>() else {
        // It is at its end, and has let go of its list.
        return Ok(PyList::empty(py));
    };
    let given = match state.get_item(2) {
        Ok(given) => given.extract()?,
        Err(_) => 0,
    };
    Ok(list.get_slice(given, list.len()))
}

/// The class of what `iter` makes of a list.
fn list_iterator(py: Python<'_>) -> PyResult<&Bound<'_, PyAny>> {
    static CLASS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let class = CLASS.get_or_try_init(py, || {
        let iterator = PyList::empty(py).into_any().try_iter()?;
        PyResult::Ok(iterator.get_type().into_any().unbind())
    })?;
    Ok(class.bind(py))
}
