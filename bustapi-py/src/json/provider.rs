//! JSON providers that are the package's own.
//!
//! `bustapi.json.provider` names the class; applications have subclasses of it, and replace
//! attributes of either.

use pyo3::exceptions::PyRuntimeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyType};

use crate::ground::overrides::Defaults;

/// The default class of JSON providers.
static PROVIDER: PyOnceLock<Defaults> = PyOnceLock::new();

/// What decides how a provider writes a response.
const PROVIDER_STEPS: [&str; 8] = [
    "response",
    "dumps",
    "_prepare_response_obj",
    "default",
    "compact",
    "ensure_ascii",
    "mimetype",
    "sort_keys",
];

/// What reads JSON.
const PROVIDER_READER: [&str; 1] = ["loads"];

/// Names the default class of JSON providers; called once, where it is defined.
#[pyfunction]
pub(crate) fn set_json_provider(provider: &Bound<'_, PyType>) -> PyResult<()> {
    let defaults = Defaults::note(provider, &[&PROVIDER_STEPS, &PROVIDER_READER])?;
    PROVIDER
        .set(provider.py(), defaults)
        .map_err(|_| PyRuntimeError::new_err("the class of JSON providers is set already"))
}

/// Tell whether a JSON provider is of the default class, or of one that writes responses like it,
/// and nothing but its application is set on it.
///
/// # Errors
///
/// `RuntimeError` before the package has named the default class.
#[pyfunction]
pub(crate) fn is_default_provider(provider: &Bound<'_, PyAny>) -> PyResult<bool> {
    keeps(provider, 1)
}

/// Whether `provider.loads` is the default class's.
///
/// # Errors
///
/// `RuntimeError` before the package has named the default class.
pub(crate) fn reads_by_default(provider: &Bound<'_, PyAny>) -> PyResult<bool> {
    keeps(provider, 1 << 1)
}

fn keeps(provider: &Bound<'_, PyAny>, group: u8) -> PyResult<bool> {
    let py = provider.py();
    let defaults = PROVIDER
        .get(py)
        .ok_or_else(|| PyRuntimeError::new_err("bustapi.json has not been imported"))?;
    if defaults.kept_by(&provider.get_type())? & group == 0 {
        return Ok(false);
    }
    let set = provider.getattr(intern!(py, "__dict__"))?;
    Ok(set.cast::<PyDict>()?.len() <= 1)
}
