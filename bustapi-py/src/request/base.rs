//! The methods of the native half of `bustapi.request`'s class: those that read the body, and
//! its constructor. For requests that were made from an environ, each method is Werkzeug's.

use std::sync::atomic::Ordering::Relaxed;

use bustapi_http::headers::{latin1, parse_options};
use bustapi_http::media_type;
use pyo3::exceptions::{PyRecursionError, PyValueError};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyEllipsis, PyTuple, PyType};

use crate::error;
use crate::ground::object::allocate;
use crate::json::provider::reads_by_default;
use crate::json::read::load_json;
use crate::request::class::{Steps, attributes, steps_of, werkzeug_method};
use crate::request::form;
use crate::request::object::{RequestBase, cached_data, received};
use crate::request::raw::RawRequest;

/// Makes the request of `class`, an application's request class, for `raw`.
///
/// # Errors
///
/// Whatever the class raises, if it is called.
pub(crate) fn make_request<'py>(
    class: &Bound<'py, PyAny>,
    raw: &Bound<'py, RawRequest>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = raw.py();
    if let Ok(class) = class.cast::<PyType>()
        && steps_of(class)?.has(Steps::INIT)
    {
        let request = allocate(class)?.cast_into::<RequestBase>()?;
        request.get().set_raw(raw);
        return Ok(request.into_any());
    }
    class.call1((raw.get().environ(py)?,))
}

/// Makes the request of an application's request class.
///
/// # Errors
///
/// Whatever the class raises, if it is called.
#[pyfunction]
#[pyo3(name = "make_request")]
pub(crate) fn make_request_from_python<'py>(
    request_class: &Bound<'py, PyAny>,
    raw: &Bound<'py, RawRequest>,
) -> PyResult<Bound<'py, PyAny>> {
    make_request(request_class, raw)
}

/// Whether the media type is JSON's.
fn is_json(request: &Bound<'_, RequestBase>, steps: Steps) -> PyResult<bool> {
    let py = request.py();
    if steps.has(Steps::MEDIA_TYPE)
        && let Some(raw) = received(request)?
    {
        let field = raw.get().field("content-type").unwrap_or_default();
        let field = latin1(&field);
        let (media_type, _) = parse_options(&field);
        return Ok(media_type::is_json(&media_type.to_lowercase()));
    }
    request.getattr(intern!(py, "is_json"))?.is_truthy()
}

/// A `ValueError` in place of a `RecursionError`: nesting that no parser can follow is the
/// client's mistake like any other. (Flask lets it become a 500.)
fn as_value_error(py: Python<'_>, error: PyErr) -> PyErr {
    if !error.is_instance_of::<PyRecursionError>(py) {
        return error;
    }
    let error = error::exception(py, error);
    let replaced = PyValueError::new_err(error.to_string());
    replaced.set_cause(py, Some(PyErr::from_value(error.into_any())));
    replaced
}

#[pymethods]
impl RequestBase {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        Self::default()
    }

    /// The native request; `None` if this one was made from an environ.
    #[getter(_raw)]
    fn python_raw(&self, py: Python<'_>) -> Option<Py<RawRequest>> {
        self.raw.get().map(|raw| raw.clone_ref(py))
    }

    /// Reads the body into memory.
    ///
    /// `cache` keeps it for later calls, `as_text` decodes it as UTF-8 with replacements for
    /// what is not, and `parse_form_data` leaves a form to `form` and `files` and returns
    /// nothing of it.
    ///
    /// # Errors
    ///
    /// `RequestEntityTooLarge` where it is longer than `max_content_length`.
    #[pyo3(signature = (cache=true, as_text=false, parse_form_data=false))]
    fn get_data<'py>(
        slf: &Bound<'py, Self>,
        cache: bool,
        as_text: bool,
        parse_form_data: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        if parse_form_data && cached_data(slf)?.is_none() {
            slf.call_method0(intern!(py, "_load_form_data"))?;
        }
        let data = Self::data(slf, cache)?;
        if !as_text {
            return Ok(data);
        }
        data.call_method1(intern!(py, "decode"), ("utf-8", "replace"))
    }

    /// Reads the body as JSON.
    ///
    /// `force` reads it whatever the media type, `silent` returns `None` for another media type
    /// and for what is not JSON, and `cache` keeps the value, and the body, for later calls.
    ///
    /// # Errors
    ///
    /// `UnsupportedMediaType` for another media type, `BadRequest` for what is not JSON or is
    /// nested too deeply.
    #[pyo3(signature = (force=false, silent=false, cache=true))]
    fn get_json<'py>(
        slf: &Bound<'py, Self>,
        force: bool,
        silent: bool,
        cache: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let cached_name = intern!(py, "_cached_json");
        let ellipsis = PyEllipsis::get(py);
        if cache {
            let value = slf.getattr(cached_name)?.get_item(usize::from(silent))?;
            if !value.is(ellipsis) {
                return Ok(value);
            }
        }
        let steps = steps_of(&slf.get_type())?;
        if !force && !is_json(slf, steps)? {
            if silent {
                return Ok(py.None().into_bound(py));
            }
            return slf.call_method1(intern!(py, "on_json_loading_failed"), (py.None(),));
        }
        let data = if steps.has(Steps::DATA) {
            Self::data(slf, cache)?
        } else {
            let keywords = PyDict::new(py);
            keywords.set_item(intern!(py, "cache"), cache)?;
            slf.call_method(intern!(py, "get_data"), (), Some(&keywords))?
        };
        let json = slf.getattr(intern!(py, "json_module"))?;
        let loaded = if reads_by_default(&json)? {
            load_json(&data)
        } else {
            json.call_method1(intern!(py, "loads"), (data,))
        };
        let (value, kept) = match loaded.map_err(|error| as_value_error(py, error)) {
            Ok(value) => {
                let kept = (value.clone(), value.clone());
                (value, kept)
            }
            Err(error) if !error.is_instance_of::<PyValueError>(py) => return Err(error),
            Err(error) => {
                let other = |at: usize| slf.getattr(cached_name)?.get_item(at);
                if silent {
                    let value = py.None().into_bound(py);
                    (value.clone(), (other(0)?, value))
                } else {
                    let name = intern!(py, "on_json_loading_failed");
                    let error = error::exception(py, error);
                    let value =
                        error::while_handling(&error, || slf.call_method1(name, (&error,)))?;
                    (value.clone(), (value, other(1)?))
                }
            }
        };
        if cache {
            slf.setattr(cached_name, kept)?;
        }
        Ok(value)
    }

    /// Parses the body if it is a form, once.
    ///
    /// # Errors
    ///
    /// `RequestEntityTooLarge` where it exceeds a limit.
    fn _load_form_data(slf: &Bound<'_, Self>) -> PyResult<()> {
        form::load(slf)
    }

    /// Closes the uploaded files.
    fn close(slf: &Bound<'_, Self>) -> PyResult<()> {
        let this = slf.get();
        if this.raw.get().is_some() && !this.has_files.load(Relaxed) {
            return Ok(());
        }
        let py = slf.py();
        werkzeug_method(py, intern!(py, "close"))?.call1((slf,))?;
        Ok(())
    }

    /// A shallow copy, as any object has that keeps its state in its `__dict__`.
    fn __copy__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let copy = allocate(&slf.get_type())?;
        attributes(&copy)?.update(attributes(slf)?.as_mapping())?;
        if let Ok(base) = copy.cast::<Self>() {
            if let Some(raw) = slf.get().raw(py) {
                base.get().set_raw(raw);
            }
            let has_files = &slf.get().has_files;
            base.get().has_files.store(has_files.load(Relaxed), Relaxed);
        }
        Ok(copy)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(self.raw.get())
    }
}
