//! Werkzeug's dictionaries of several values.

use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyList, PyString, PyType};

use crate::ground::object::allocate;

/// Makes a dictionary of `class`, one of Werkzeug's or an application's, from pairs.
///
/// `ImmutableMultiDict` is a `dict` of lists without further state, and is filled directly.
///
/// # Errors
///
/// Whatever the class raises.
pub(crate) fn make<'py, K, V>(
    class: &Bound<'py, PyAny>,
    pairs: impl Iterator<Item = (K, V)>,
) -> PyResult<Bound<'py, PyAny>>
where
    K: IntoPyObject<'py>,
    V: IntoPyObject<'py>,
{
    let py = class.py();
    if !class.is(immutable(py)?) {
        let list = PyList::empty(py);
        for (key, value) in pairs {
            list.append((key, value))?;
        }
        return class.call1((list,));
    }
    let dict = allocate(immutable(py)?)?.cast_into::<PyDict>()?;
    for (key, value) in pairs {
        let key = key.into_bound_py_any(py)?;
        if let Some(values) = dict.get_item(&key)? {
            values.cast::<PyList>()?.append(value)?;
        } else {
            let values = PyList::new(py, [value.into_bound_py_any(py)?])?;
            dict.set_item(key, values)?;
        }
    }
    Ok(dict.into_any())
}

/// An empty dictionary of `class`.
///
/// # Errors
///
/// Whatever the class raises.
pub(crate) fn empty<'py>(class: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    make(
        class,
        std::iter::empty::<(Bound<'py, PyString>, Bound<'py, PyString>)>(),
    )
}

fn immutable(py: Python<'_>) -> PyResult<&Bound<'_, PyType>> {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    CLASS.import(py, "werkzeug.datastructures", "ImmutableMultiDict")
}
