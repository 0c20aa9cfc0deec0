//! Header fields that are looked up where they were received.
//!
//! The class here is the first base of `bustapi.request`'s subclass of Werkzeug's
//! `EnvironHeaders`. It answers lookups; everything else is Werkzeug's, and makes the environ.
//! As soon as there is an environ, lookups ask that, since the application may change it.

use std::borrow::Cow;
use std::sync::OnceLock;

use bustapi_http::wsgi::environ_key;
use pyo3::exceptions::{PyKeyError, PyValueError};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString, PySuper, PyTuple, PyType};

use crate::ground::object::{allocate, latin1};
use crate::request::raw::RawRequest;

/// Answers lookups of header fields.
#[pyclass(subclass, frozen, module = "bustapi._native")]
#[derive(Default)]
pub(crate) struct HeadersBase {
    raw: OnceLock<Py<RawRequest>>,
}

/// What a lookup found.
enum Found<'py> {
    Value(Bound<'py, PyAny>),
    Nothing,
    /// Werkzeug has to look.
    Unknown,
}

impl HeadersBase {
    /// Makes the headers of `raw`, of a subclass of this class.
    ///
    /// # Errors
    ///
    /// `TypeError` if it is no such class.
    pub(crate) fn make<'py>(
        class: &Bound<'py, PyType>,
        raw: &Bound<'py, RawRequest>,
    ) -> PyResult<Bound<'py, Self>> {
        let headers = allocate(class)?.cast_into::<Self>()?;
        headers.get().raw.get_or_init(|| raw.clone().unbind());
        Ok(headers)
    }

    /// The request whose headers these are, while they are only what was received.
    pub(crate) fn received<'a, 'py>(
        &'a self,
        py: Python<'py>,
    ) -> Option<&'a Bound<'py, RawRequest>> {
        let raw = self.raw.get()?.bind(py);
        raw.get().made_environ(py).is_none().then_some(raw)
    }

    fn find<'py>(&self, key: &Bound<'py, PyAny>) -> PyResult<Found<'py>> {
        let py = key.py();
        let (Some(raw), Ok(key)) = (self.raw.get(), key.cast::<PyString>()) else {
            return Ok(Found::Unknown);
        };
        // Only ASCII keys are looked up here: the upper case of other characters may be ASCII in
        // Python, and then the environ has them.
        let Some(key) = ascii(key) else {
            return Ok(Found::Unknown);
        };
        let raw = raw.bind(py).get();
        if let Some(environ) = raw.made_environ(py) {
            let value = environ.get_item(environ_key(key))?;
            return Ok(value.map_or(Found::Nothing, Found::Value));
        }
        let name = if key.contains('_') {
            Cow::Owned(key.replace('_', "-"))
        } else {
            Cow::Borrowed(key)
        };
        match raw.field(&name) {
            Some(value) => Ok(Found::Value(latin1(py, &value)?.into_any())),
            None => Ok(Found::Nothing),
        }
    }

    /// As [`HeadersBase::find`], asking Werkzeug if need be.
    fn find_anyhow<'py>(
        slf: &Bound<'py, Self>,
        key: &Bound<'py, PyAny>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = slf.py();
        match slf.get().find(key)? {
            Found::Value(value) => Ok(Some(value)),
            Found::Nothing => Ok(None),
            Found::Unknown => match slf.call_method1(intern!(py, "_get_key"), (key,)) {
                Ok(value) => Ok(Some(value)),
                Err(error) if error.is_instance_of::<PyKeyError>(py) => Ok(None),
                Err(error) => Err(error),
            },
        }
    }
}

/// The text of an ASCII string.
fn ascii<'a>(text: &'a Bound<'_, PyString>) -> Option<&'a str> {
    text.to_str().ok().filter(|text| text.is_ascii())
}

#[pymethods]
impl HeadersBase {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        Self::default()
    }

    /// The request; `None` for headers that were made from an environ.
    #[getter(_raw)]
    fn raw(&self, py: Python<'_>) -> Option<Py<RawRequest>> {
        self.raw.get().map(|raw| raw.clone_ref(py))
    }

    fn __getitem__<'py>(
        slf: &Bound<'py, Self>,
        key: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        match slf.get().find(key)? {
            Found::Value(value) => Ok(value),
            Found::Nothing => {
                // The error is the one that the environ would raise.
                let key = environ_key(key.cast::<PyString>()?.to_str()?);
                Err(PyKeyError::new_err(key))
            }
            Found::Unknown => slf.call_method1(intern!(slf.py(), "_get_key"), (key,)),
        }
    }

    fn __contains__(slf: &Bound<'_, Self>, key: &Bound<'_, PyAny>) -> PyResult<bool> {
        Ok(Self::find_anyhow(slf, key)?.is_some())
    }

    /// A field's value, repeats joined by commas, or else the default.
    ///
    /// `type` is called with the value; its `ValueError` gives the default, too.
    #[pyo3(signature = (key, default=None, r#type=None))]
    fn get<'py>(
        slf: &Bound<'py, Self>,
        key: &Bound<'py, PyAny>,
        default: Option<Bound<'py, PyAny>>,
        r#type: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let Some(value) = Self::find_anyhow(slf, key)? else {
            return Ok(default);
        };
        match r#type {
            None => Ok(Some(value)),
            Some(convert) => Ok(converted(convert, value)?.or(default)),
        }
    }

    /// A field's value as a list of one, or an empty list.
    ///
    /// `type` is called with the value; its `ValueError` leaves it out.
    #[pyo3(signature = (key, r#type=None))]
    fn getlist<'py>(
        slf: &Bound<'py, Self>,
        key: &Bound<'py, PyAny>,
        r#type: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let name = key.cast::<PyString>().ok().and_then(ascii);
        let (Some(raw), Some(name)) = (slf.get().received(py), name) else {
            return PySuper::new(&py.get_type::<Self>(), slf)?
                .call_method1(intern!(py, "getlist"), (key, r#type));
        };
        let list = PyList::empty(py);
        if let Some(value) = raw.get().field(name) {
            let about_content = ["content-type", "content-length"]
                .iter()
                .any(|known| name.eq_ignore_ascii_case(known));
            // Names with `_` are not in the environ, nor are these two where they are empty.
            if !(name.contains('_') || about_content && value.is_empty()) {
                let value = latin1(py, &value)?.into_any();
                let value = match r#type {
                    None => Some(value),
                    Some(convert) => converted(convert, value)?,
                };
                value.map_or(Ok(()), |value| list.append(value))?;
            }
        }
        Ok(list.into_any())
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(self.raw.get())
    }
}

/// What `convert` makes of a value; `None` where it raises `ValueError`.
fn converted<'py>(
    convert: &Bound<'py, PyAny>,
    value: Bound<'py, PyAny>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    match convert.call1((value,)) {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.is_instance_of::<PyValueError>(convert.py()) => Ok(None),
        Err(error) => Err(error),
    }
}
