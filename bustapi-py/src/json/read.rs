//! JSON as `json.loads` reads it.
//!
//! The text is read by `jiter`, which knows less than Python: no `NaN`, no integers beyond 64
//! bits, no surrogates on their own, no UTF-16, no byte order mark, and no nesting beyond 200.
//! What it refuses is given to Python, whose answer or error then counts; a test compares both
//! on what either could take differently.

use jiter::{FloatMode, PartialMode, PythonParse, StringCacheMode};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};

/// The value of JSON text in UTF-8; `None` where Python has to read it.
pub(crate) fn parse<'py>(py: Python<'py>, text: &[u8]) -> Option<Bound<'py, PyAny>> {
    let parse = PythonParse {
        allow_inf_nan: false,
        cache_mode: StringCacheMode::Keys,
        partial_mode: PartialMode::Off,
        catch_duplicate_keys: false,
        float_mode: FloatMode::Float,
    };
    parse.python_parse(py, text).ok()
}

/// Reads a value from JSON text.
///
/// # Errors
///
/// `ValueError` for what is not JSON; `RecursionError` for what is nested too deeply.
#[pyfunction]
pub(crate) fn load_json<'py>(text: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let py = text.py();
    let bytes = if let Ok(bytes) = text.cast_exact::<PyBytes>() {
        Some(bytes.as_bytes())
    } else if let Ok(text) = text.cast_exact::<PyString>() {
        text.to_str().ok().map(str::as_bytes)
    } else {
        None
    };
    if let Some(value) = bytes.and_then(|bytes| parse(py, bytes)) {
        return Ok(value);
    }
    py.import(intern!(py, "json"))?
        .call_method1(intern!(py, "loads"), (text,))
}
