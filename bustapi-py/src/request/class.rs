//! Request classes, and which of their steps an application has replaced.
//!
//! `bustapi.request` names its class; applications have subclasses of it, and replace attributes
//! of either.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyString, PyType};

use crate::ground::context_variable;
use crate::ground::handed::Handed;
use crate::ground::overrides::Defaults;

/// The steps that are the package's own in some class.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Steps(u32);

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

/// The groups of attributes that each step consists of, in the order of the bits.
const GROUPS: [&str; 7] = [
    "init",
    "stream",
    "data",
    "form",
    "media_type",
    "limits",
    "cookies",
];

/// The classes that `bustapi.request` has handed over.
struct RequestClasses {
    headers: Py<PyType>,
    /// What the request class held when it was defined.
    defaults: Py<Defaults>,
}

static CLASSES: Handed<RequestClasses> = Handed::by("bustapi.request");

/// Names the package's classes; called once, where they are defined.
///
/// `request` is the default request class, and `headers` the class of its headers.
#[pyfunction]
pub(crate) fn set_request_classes(
    request: &Bound<'_, Defaults>,
    headers: &Bound<'_, PyType>,
) -> PyResult<()> {
    request.get().expect(&GROUPS)?;
    let classes = RequestClasses {
        headers: headers.clone().unbind(),
        defaults: request.clone().unbind(),
    };
    CLASSES.set(request.py(), classes)
}

/// The config of the current app; `None` if there is no app.
///
/// # Errors
///
/// `AttributeError` if the app has none.
pub(crate) fn current_config(py: Python<'_>) -> PyResult<Option<Bound<'_, PyAny>>> {
    let Some(context) = context_variable::get(context_variable::variables(py)?.app.bind(py))?
    else {
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
    Ok(CLASSES.get(py)?.headers.bind(py))
}

/// Which steps of `class` are the package's own; none for classes that do not derive from
/// the package's.
///
/// # Errors
///
/// `RuntimeError` before the package has named its classes.
pub(crate) fn steps_of(class: &Bound<'_, PyType>) -> PyResult<Steps> {
    CLASSES
        .get(class.py())?
        .defaults
        .get()
        .kept_by(class)
        .map(Steps)
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
