//! JSON providers that are the package's own.
//!
//! `bustapi.json.provider` names the class; applications have subclasses of it, and replace
//! attributes of either.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::ground::handed::Handed;
use crate::ground::overrides::Defaults;

/// The default class of JSON providers.
static PROVIDER: Handed<Py<Defaults>> = Handed::by("bustapi.json");

/// The bits of the groups of attributes that write responses, and that read.
const WRITES: u32 = 1;
const READS: u32 = 1 << 1;

/// Names the default class of JSON providers; called once, where it is defined.
#[pyfunction]
pub(crate) fn set_json_provider(provider: &Bound<'_, Defaults>) -> PyResult<()> {
    provider.get().expect(&["writes", "reads"])?;
    PROVIDER.set(provider.py(), provider.clone().unbind())
}

/// Tell whether a JSON provider is of the default class, or of one that writes responses like it,
/// and nothing but its application is set on it.
///
/// # Errors
///
/// `RuntimeError` before the package has named the default class.
#[pyfunction]
pub(crate) fn is_default_provider(provider: &Bound<'_, PyAny>) -> PyResult<bool> {
    keeps(provider, WRITES)
}

/// Whether `provider.loads` is the default class's.
///
/// # Errors
///
/// `RuntimeError` before the package has named the default class.
pub(crate) fn reads_by_default(provider: &Bound<'_, PyAny>) -> PyResult<bool> {
    keeps(provider, READS)
}

fn keeps(provider: &Bound<'_, PyAny>, group: u32) -> PyResult<bool> {
    let py = provider.py();
    let defaults = PROVIDER.get(py)?.get();
    if defaults.kept_by(&provider.get_type())? & group == 0 {
        return Ok(false);
    }
    let set = provider.getattr(intern!(py, "__dict__"))?;
    Ok(set.cast::<PyDict>()?.len() <= 1)
}
