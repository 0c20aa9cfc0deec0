//! The server's limits and time-outs, set from Python by name.

use bustapi_core::{Config, Value};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt};

use crate::error;

/// Limits and time-outs of a server. What is not given has its default.
#[pyclass(frozen, module = "bustapi._native")]
pub(crate) struct ServerConfig(pub(crate) Config);

#[pymethods]
impl ServerConfig {
    /// Sets the named limits and time-outs.
    ///
    /// :raises TypeError: if there is none of a name, or it holds another kind of value.
    /// :raises ValueError: if no server could work with a value.
    #[new]
    #[pyo3(signature = (**settings))]
    fn new(settings: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        let mut config = Config::default();
        for (name, value) in settings.into_iter().flatten() {
            let name: String = name.extract()?;
            config
                .set(&name, read(&value)?)
                .map_err(|error| error::from_setting(&error))?;
        }
        Ok(Self(config))
    }

    /// All limits and time-outs by name: bytes, counts, seconds, and `None` for no limit.
    fn values<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let values = PyDict::new(py);
        for (name, value) in self.0.settings() {
            match value {
                Value::Number(number) => values.set_item(name, number)?,
                Value::Seconds(seconds) => values.set_item(name, seconds)?,
                Value::Flag(flag) => values.set_item(name, flag)?,
                Value::Unlimited => values.set_item(name, py.None())?,
            }
        }
        Ok(values)
    }
}

/// A value of Python's as the core knows it.
fn read(value: &Bound<'_, PyAny>) -> PyResult<Value> {
    if value.is_none() {
        return Ok(Value::Unlimited);
    }
    // A flag is a whole number too.
    if let Ok(flag) = value.cast::<PyBool>() {
        return Ok(Value::Flag(flag.is_true()));
    }
    if value.is_instance_of::<PyInt>() {
        // What has no room is out of every range as well.
        let beyond = if value.lt(0)? { i64::MIN } else { i64::MAX };
        return Ok(Value::Number(value.extract().unwrap_or(beyond)));
    }
    if let Ok(seconds) = value.cast::<PyFloat>() {
        return Ok(Value::Seconds(seconds.value()));
    }
    Err(pyo3::exceptions::PyTypeError::new_err(format!(
        "a number, a boolean or None is needed, not {}",
        value.get_type().name()?
    )))
}
