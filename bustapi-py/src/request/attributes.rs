//! Attributes of requests that are converted when they are first read.
//!
//! # Theory of operation
//!
//! The attributes are *non-data* descriptors: Python asks an instance's `__dict__` before them,
//! and each puts its value there. A request that was made from an environ has most of its
//! attributes assigned by Werkzeug's constructor and never meets the descriptor; for the
//! others, Werkzeug's own way of computing them is called.
#![expect(unsafe_code, reason = "pyo3 has no safe form of a call")]

use bustapi_http::cookie::parse_cookies;
use bustapi_http::headers::{content_length, latin1, parse_options};
use bustapi_http::query::parse_query_bytes;
use pyo3::IntoPyObjectExt;
use pyo3::exceptions::{PyAttributeError, PyTypeError};
use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyString, PyType};

use crate::request::class::{attributes, headers_class};
use crate::request::form;
use crate::request::headers::HeadersBase;
use crate::request::multi_dict;
use crate::request::object::{RequestBase, received};
use crate::request::raw::RawRequest;

/// A descriptor; which attribute it is follows from its name.
#[pyclass(frozen, module = "bustapi._native")]
pub(crate) struct RequestAttribute {
    /// Computes the attribute of a request that is not native; `None` where Werkzeug's
    /// constructor assigns it.
    otherwise: Option<Py<PyAny>>,
    naming: PyOnceLock<Naming>,
}

/// What a descriptor is told when its class is made, and the attribute that its name stands for.
struct Naming {
    owner: Py<PyType>,
    name: Py<PyString>,
    attribute: Attribute,
}

#[derive(Clone, Copy)]
enum Attribute {
    Method,
    Scheme,
    Server,
    RootPath,
    Path,
    QueryString,
    RemoteAddr,
    Headers,
    Environ,
    Args,
    Cookies,
    ContentLength,
    ParsedContentType,
    Form,
    Files,
}

impl Attribute {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "method" => Self::Method,
            "scheme" => Self::Scheme,
            "server" => Self::Server,
            "root_path" => Self::RootPath,
            "path" => Self::Path,
            "query_string" => Self::QueryString,
            "remote_addr" => Self::RemoteAddr,
            "headers" => Self::Headers,
            "environ" => Self::Environ,
            "args" => Self::Args,
            "cookies" => Self::Cookies,
            "content_length" => Self::ContentLength,
            "_parsed_content_type" => Self::ParsedContentType,
            "form" => Self::Form,
            "files" => Self::Files,
            _ => return None,
        })
    }

    /// The value; `None` where Werkzeug has to compute it.
    fn read<'py>(
        self,
        request: &Bound<'py, RequestBase>,
        raw: &Bound<'py, RawRequest>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = raw.py();
        Ok(Some(match self {
            Self::Method => {
                let method = raw.get().method(py);
                if method
                    .to_str()?
                    .bytes()
                    .any(|byte| byte.is_ascii_lowercase())
                {
                    method.call_method0(intern!(py, "upper"))?
                } else {
                    method.into_any()
                }
            }
            Self::Scheme => raw.get().scheme(py).into_any(),
            Self::Server => raw.get().server_address().into_bound_py_any(py)?,
            Self::RootPath => intern!(py, "").clone().into_any(),
            Self::Path => {
                let path = raw.get().path(py);
                let text = path.to_str()?;
                let below = text.trim_start_matches('/');
                if text.len() == below.len() + 1 {
                    path.into_any()
                } else {
                    PyString::new(py, &format!("/{below}")).into_any()
                }
            }
            Self::QueryString => raw.get().query_string(py).into_any(),
            Self::RemoteAddr => raw.get().remote_addr().into_bound_py_any(py)?,
            Self::Headers => HeadersBase::make(headers_class(py)?, raw)?.into_any(),
            Self::Environ => {
                let environ = raw.get().environ(py)?;
                environ.set_item(intern!(py, "werkzeug.request"), request)?;
                environ.into_any()
            }
            Self::Args => return args(request),
            Self::Cookies => return cookies(request),
            Self::ContentLength => return length(request),
            Self::ParsedContentType => return content_type(request),
            Self::Form => return form::form(request, raw).map(Some),
            Self::Files => return form::files(request, raw).map(Some),
        }))
    }
}

fn args<'py>(request: &Bound<'py, RequestBase>) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = request.py();
    let query = request.getattr(intern!(py, "query_string"))?;
    let Ok(query) = query.cast_exact::<PyBytes>() else {
        return Ok(None);
    };
    // Werkzeug raises its own error for what is not UTF-8.
    let Ok(pairs) = parse_query_bytes(query.as_bytes(), None) else {
        return Ok(None);
    };
    let class = request.getattr(intern!(py, "parameter_storage_class"))?;
    multi_dict::make(&class, pairs.into_iter()).map(Some)
}

fn cookies<'py>(request: &Bound<'py, RequestBase>) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = request.py();
    let Some(raw) = received(request)? else {
        return Ok(None);
    };
    // Werkzeug reads the field as it is in the environ, not as UTF-8.
    let field = raw.get().field("cookie").unwrap_or_default();
    let text = latin1(&field);
    let class = request.getattr(intern!(py, "dict_storage_class"))?;
    multi_dict::make(&class, parse_cookies(&text)).map(Some)
}

fn length<'py>(request: &Bound<'py, RequestBase>) -> PyResult<Option<Bound<'py, PyAny>>> {
    let Some(raw) = received(request)? else {
        return Ok(None);
    };
    let raw = raw.get();
    let (length, coding) = (raw.field("content-length"), raw.field("transfer-encoding"));
    let text = |field: &[u8]| String::from_utf8_lossy(field).into_owned();
    let coding = coding.as_deref().map(text);
    let length = content_length(length.as_deref().map(text).as_deref(), coding.as_deref());
    length.into_bound_py_any(request.py()).map(Some)
}

fn content_type<'py>(request: &Bound<'py, RequestBase>) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = request.py();
    let Some(raw) = received(request)? else {
        return Ok(None);
    };
    let field = raw.get().field("content-type").unwrap_or_default();
    let field = latin1(&field);
    let (media_type, options) = parse_options(&field);
    let parameters = PyDict::new(py);
    for (name, value) in options.iter() {
        parameters.set_item(name, value)?;
    }
    (media_type, parameters).into_bound_py_any(py).map(Some)
}

#[pymethods]
impl RequestAttribute {
    /// `otherwise` is called with a request that is not native.
    #[new]
    #[pyo3(signature = (otherwise=None))]
    fn new(otherwise: Option<Py<PyAny>>) -> Self {
        Self {
            otherwise,
            naming: PyOnceLock::new(),
        }
    }

    fn __set_name__(&self, owner: &Bound<'_, PyType>, name: &Bound<'_, PyString>) -> PyResult<()> {
        let attribute = Attribute::named(name.to_str()?)
            .ok_or_else(|| PyTypeError::new_err(format!("requests have no native `{name}`")))?;
        let naming = Naming {
            owner: owner.clone().unbind(),
            name: name.clone().unbind(),
            attribute,
        };
        self.naming
            .set(owner.py(), naming)
            .map_err(|_| PyTypeError::new_err("an attribute has one name"))
    }

    fn __get__<'py>(
        slf: &Bound<'py, Self>,
        request: Option<&Bound<'py, PyAny>>,
        _owner: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let Some(object) = request else {
            return Ok(slf.clone().into_any());
        };
        let this = slf.get();
        let naming = this
            .naming
            .get(py)
            .ok_or_else(|| PyTypeError::new_err("the attribute is not in a class"))?;
        let name = naming.name.bind(py);
        // A subclass that overrides the attribute calls this one by `super`, for which Python does
        // not look into the instance's `__dict__` first.
        let of_subclass = !object.get_type().is(naming.owner.bind(py));
        if of_subclass && let Some(value) = attributes(object)?.get_item(name)? {
            return Ok(value);
        }
        let request = object.cast::<RequestBase>()?;
        let native = match request.get().raw(py) {
            Some(raw) => naming.attribute.read(request, raw)?,
            None => None,
        };
        let value = match (native, &this.otherwise) {
            (Some(value), _) => value,
            (None, Some(otherwise)) => otherwise.bind(py).call1((object,))?,
            // The attribute was never assigned, as when a subclass's constructor reads it before it
            // calls this class's. The message is Python's own.
            (None, None) => {
                let class = object.get_type().name()?;
                let message = format!("'{class}' object has no attribute '{name}'");
                return Err(PyAttributeError::new_err(message));
            }
        };
        if of_subclass {
            // The value goes into `__dict__`, as the subclass may have a property of that name,
            // which refuses to be set.
            attributes(object)?.set_item(name, &value)?;
        } else {
            keep(object, name, &value)?;
        }
        Ok(value)
    }
}

/// Puts a value into the dictionary of an instance whose class has no property of that name;
/// this does not make Python build the dictionary.
fn keep(
    object: &Bound<'_, PyAny>,
    name: &Bound<'_, PyString>,
    value: &Bound<'_, PyAny>,
) -> PyResult<()> {
    // SAFETY: the three references are valid while borrowed; the call takes none of them, and
    // returns -1 with an exception set if it fails.
    let result =
        unsafe { ffi::PyObject_GenericSetAttr(object.as_ptr(), name.as_ptr(), value.as_ptr()) };
    if result < 0 {
        return Err(PyErr::fetch(object.py()));
    }
    Ok(())
}
