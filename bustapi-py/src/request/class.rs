//! Request classes, and which of their steps an application has replaced.
//!
//! `bustapi.request` names its class; applications have subclasses of it, and replace attributes
//! of either.

use pyo3::exceptions::PyRuntimeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyString, PyType};

use crate::ground::context_variable;
use crate::ground::overrides::Defaults;

/// The steps that are the package's own in some class.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Steps(u8);

impl Steps {
    /// Instances are made without calling the class.
    pub(crate) const INIT: Self = Self(1);
    /// The body is read from the stream that the environ has.
    pub(crate) const STREAM: Self = Self(1 << 1);
    /// `get_data` is.
    pub(crate) const DATA: Self = Self(1 << 2);
    /// Forms are parsed as Werkzeug does.
    pub(crate) const FORM: Self = Self(1 << 3);
    /// The media type is the header's.
    pub(crate) const MEDIA_TYPE: Self = Self(1 << 4);
    /// Limits are the instance's own, or else the config's.
    pub(crate) const LIMITS: Self = Self(1 << 5);
    /// Cookies are those of the header.
    pub(crate) const COOKIES: Self = Self(1 << 6);

    pub(crate) fn has(self, step: Self) -> bool {
        self.0 & step.0 == step.0
    }
}

/// The attributes that each step consists of, in the order of the bits.
const ATTRIBUTES: [&[&str]; 7] = [
    &["__init__", "__new__"],
    &["stream"],
    &["get_data"],
    &[
        "form",
        "files",
        "form_data_parser_class",
        "make_form_data_parser",
        "want_form_data_parsed",
        "_get_stream_for_parsing",
        "_load_form_data",
    ],
    &[
        "is_json",
        "mimetype",
        "mimetype_params",
        "_parse_content_type",
        "_parsed_content_type",
    ],
    &[
        "max_content_length",
        "max_form_memory_size",
        "max_form_parts",
    ],
    &["cookies", "headers", "environ", "dict_storage_class"],
];

/// What the package named.
struct Package {
    headers: Py<PyType>,
    /// The context variable of the current app.
    cv_app: Py<PyAny>,
    /// What the request class held when it was defined.
    defaults: Defaults,
}

static PACKAGE: PyOnceLock<Package> = PyOnceLock::new();

fn package(py: Python<'_>) -> PyResult<&Package> {
    PACKAGE
        .get(py)
        .ok_or_else(|| PyRuntimeError::new_err("bustapi.request has not been imported"))
}

/// Names the package's classes; called once, where they are defined.
///
/// `request` is the default request class, `headers` the class of its headers, and `cv_app` the
/// context variable of the current app.
#[pyfunction]
pub(crate) fn set_request_classes(
    request: &Bound<'_, PyType>,
    headers: &Bound<'_, PyType>,
    cv_app: &Bound<'_, PyAny>,
) -> PyResult<()> {
    let py = request.py();
    let package = Package {
        headers: headers.clone().unbind(),
        cv_app: cv_app.clone().unbind(),
        defaults: Defaults::note(request, &ATTRIBUTES)?,
    };
    PACKAGE
        .set(py, package)
        .map_err(|_| PyRuntimeError::new_err("the request classes are set already"))
}

/// The config of the current app; `None` if there is no app.
///
/// # Errors
///
/// `AttributeError` if the app has none.
pub(crate) fn current_config(py: Python<'_>) -> PyResult<Option<Bound<'_, PyAny>>> {
    let Some(context) = context_variable::get(package(py)?.cv_app.bind(py))? else {
        return Ok(None);
    };
    let app = context.getattr(intern!(py, "app"))?;
    app.getattr(intern!(py, "config")).map(Some)
}

/// The class of the headers of native requests.
///
/// # Errors
///
/// `RuntimeError` before the package has named it.
pub(crate) fn headers_class(py: Python<'_>) -> PyResult<&Bound<'_, PyType>> {
    Ok(package(py)?.headers.bind(py))
}

/// Which steps of `class` are the package's own; none for classes that do not derive from
/// the package's.
///
/// # Errors
///
/// `RuntimeError` before the package has named its classes.
pub(crate) fn steps_of(class: &Bound<'_, PyType>) -> PyResult<Steps> {
    package(class.py())?.defaults.kept_by(class).map(Steps)
}

/// What Werkzeug's request class has under a name, for requests that are not native.
///
/// # Errors
///
/// `AttributeError` if it has nothing.
pub(crate) fn werkzeug_method<'py>(
    py: Python<'py>,
    name: &Bound<'py, PyString>,
) -> PyResult<Bound<'py, PyAny>> {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    CLASS
        .import(py, "werkzeug.wrappers", "Request")?
        .getattr(name)
}

/// The instance's own attributes.
pub(crate) fn attributes<'py>(object: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyDict>> {
    Ok(object
        .getattr(intern!(object.py(), "__dict__"))?
        .cast_into::<PyDict>()?)
}
