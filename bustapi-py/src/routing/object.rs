//! Python objects as the router's values, and back.

use std::sync::Arc;

use bustapi_router::{Object, SharedError, Value};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBool, PyBytes, PyFloat, PyInt, PyList, PySet, PyString, PyTuple, PyType};

/// A Python object that the router holds.
#[derive(Debug)]
pub(crate) struct PythonObject(pub(crate) Py<PyAny>);

/// An exception on its way through the router; `downcast_ref::<PyErr>` gives it back.
fn shared(error: PyErr) -> SharedError {
    Arc::new(error)
}

impl PythonObject {
    pub(crate) fn new(object: &Bound<'_, PyAny>) -> Arc<Self> {
        Arc::new(Self(object.clone().unbind()))
    }

    fn ask<T>(
        &self,
        question: impl FnOnce(&Bound<'_, PyAny>) -> PyResult<T>,
    ) -> Result<T, SharedError> {
        Python::attach(|py| question(self.0.bind(py)).map_err(shared))
    }
}

fn text_of(object: &Bound<'_, PyAny>) -> PyResult<String> {
    Ok(object.str()?.to_str()?.to_owned())
}

impl Object for PythonObject {
    fn to_text(&self) -> Result<String, SharedError> {
        self.ask(text_of)
    }

    fn equals(&self, other: &Value) -> bool {
        let equal = self.ask(|own| own.eq(to_python(own.py(), other)?));
        // A comparison that raises counts as unequal. No rule then takes the values, and before
        // that is said Werkzeug's implementation is asked, which meets the exception again.
        equal.unwrap_or(false)
    }

    fn to_repr(&self) -> Result<String, SharedError> {
        self.ask(|own| Ok(own.repr()?.to_str()?.to_owned()))
    }

    fn to_query(&self) -> Result<Vec<u8>, SharedError> {
        self.ask(|own| match own.cast::<PyBytes>() {
            Ok(bytes) => Ok(bytes.as_bytes().to_vec()),
            Err(_) => text_of(own).map(String::into_bytes),
        })
    }

    fn to_integer(&self) -> Result<String, SharedError> {
        self.ask(|own| text_of(&own.py().get_type::<PyInt>().call1((own,))?))
    }

    fn to_float(&self) -> Result<f64, SharedError> {
        self.ask(|own| own.py().get_type::<PyFloat>().call1((own,))?.extract())
    }
}

/// A value of one of the basic types; `None` for others, and for text that has no UTF-8.
pub(crate) fn basic_value(object: &Bound<'_, PyAny>) -> Option<Value> {
    if let Ok(text) = object.cast_exact::<PyString>() {
        return text.to_str().ok().map(Value::from);
    }
    if object.is_none() {
        return Some(Value::None);
    }
    if let Ok(truth) = object.cast_exact::<PyBool>() {
        return Some(Value::Bool(truth.is_true()));
    }
    if let Ok(number) = object.cast_exact::<PyInt>() {
        return match number.extract::<i64>() {
            Ok(number) => Some(Value::Int(number)),
            // Too many digits for `str()` stay an object, whose text raises as Python's does.
            Err(_) => text_of(number)
                .ok()
                .and_then(|digits| Value::integer(&digits)),
        };
    }
    let number = object.cast_exact::<PyFloat>().ok()?;
    Some(Value::Float(number.value()))
}

/// A value to build a URL with; `None` for containers that Werkzeug takes apart and that the
/// router does not know.
pub(crate) fn build_value(object: &Bound<'_, PyAny>) -> Option<Value> {
    if let Some(value) = basic_value(object) {
        return Some(value);
    }
    if let Ok(list) = object.cast_exact::<PyList>() {
        let items: Option<Vec<Value>> = list
            .iter()
            .map(|item| basic_value(&item).or_else(|| Some(object_value(&item))))
            .collect();
        return items.map(|items| Value::List(items.into()));
    }
    let container = object.is_instance_of::<PyList>()
        || object.is_instance_of::<PyTuple>()
        || object.is_instance_of::<PySet>();
    (!container).then(|| object_value(object))
}

pub(crate) fn object_value(object: &Bound<'_, PyAny>) -> Value {
    Value::Object(PythonObject::new(object))
}

/// The Python object that a value stands for.
pub(crate) fn to_python<'py>(py: Python<'py>, value: &Value) -> PyResult<Bound<'py, PyAny>> {
    static UUID: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    Ok(match value {
        Value::None => py.None().into_bound(py),
        Value::Bool(truth) => PyBool::new(py, *truth).to_owned().into_any(),
        Value::Int(number) => number.into_pyobject(py)?.into_any(),
        Value::BigInt(digits) => py.get_type::<PyInt>().call1((&**digits,))?,
        Value::Float(number) => PyFloat::new(py, *number).into_any(),
        Value::Str(text) => PyString::new(py, text).into_any(),
        Value::Uuid(bytes) => UUID
            .import(py, "uuid", "UUID")?
            .call1((py.None(), PyBytes::new(py, bytes)))?,
        Value::List(items) => {
            let items: PyResult<Vec<_>> = items.iter().map(|item| to_python(py, item)).collect();
            PyList::new(py, items?)?.into_any()
        }
        Value::Object(object) => {
            let object: &dyn std::any::Any = &**object;
            match object.downcast_ref::<PythonObject>() {
                Some(object) => object.0.bind(py).clone(),
                // This crate gives the router objects of this type only.
                None => py.None().into_bound(py),
            }
        }
    })
}

/// The exception inside an error that came through the router.
pub(crate) fn exception(py: Python<'_>, error: &SharedError) -> Option<PyErr> {
    let error = error.downcast_ref::<PyErr>()?;
    Some(error.clone_ref(py))
}
