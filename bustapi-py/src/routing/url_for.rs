//! Builds the URLs of `url_for` in a request, where an application does nothing of its own to
//! them.

use std::sync::{Mutex, PoisonError};

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyType};

use super::adapter::MapAdapterBase;
use super::call::{BuildArguments, Call};
use super::references::References;
use crate::defaults::version_of;

/// The methods of applications that have a say in URLs, and the modules they are written in.
const METHODS: [(&str, &str); 2] = [
    ("url_for", "bustapi.app"),
    ("inject_url_defaults", "bustapi.sansio.app"),
];

/// The class of applications seen last, as it was then: its address, the version that CPython
/// gave its attributes, and whether it has the package's own methods.
static LAST: Mutex<(usize, u32, bool)> = Mutex::new((0, 0, false));

/// Whether the class of an application leaves URLs as they are.
fn is_plain_class(class: &Bound<'_, PyType>) -> PyResult<bool> {
    let key = (class.as_ptr() as usize, version_of(class));
    let lock = || LAST.lock().unwrap_or_else(PoisonError::into_inner);
    let (address, version, plain) = *lock();
    if key == (address, version) && version != 0 {
        return Ok(plain);
    }
    let mut plain = true;
    for (name, module) in METHODS {
        plain &= is_written_in(&class.getattr(name)?, module)?;
    }
    // Looking the methods up gives the class a version, if it had none.
    *lock() = (key.0, version_of(class), plain);
    Ok(plain)
}

/// Whether a function's code is from this module. A patch may carry the name of what it takes the
/// place of, but not its code.
fn is_written_in(function: &Bound<'_, PyAny>, module: &str) -> PyResult<bool> {
    let py = function.py();
    let Some(code) = function.getattr_opt(intern!(py, "__code__"))? else {
        return Ok(false);
    };
    let file = py.import(module)?.getattr(intern!(py, "__file__"))?;
    code.getattr(intern!(py, "co_filename"))?.eq(file)
}

/// Whether nothing of the application or its blueprints changes URLs or their values.
fn is_plain(app: &Bound<'_, PyAny>) -> PyResult<bool> {
    let py = app.py();
    if !is_plain_class(&app.get_type())? {
        return Ok(false);
    }
    let own = app
        .getattr(intern!(py, "__dict__"))?
        .cast_into::<PyDict>()?;
    for name in [intern!(py, "url_for"), intern!(py, "inject_url_defaults")] {
        if own.contains(name)? {
            return Ok(false);
        }
    }
    match own.get_item(intern!(py, "url_default_functions"))? {
        Some(functions) => Ok(!functions.is_truthy()?),
        None => Ok(false),
    }
}

/// The URL of an endpoint in a request context, or `None` where the application's `url_for` has
/// to make it.
///
/// :raises Exception: what a converter raises.
#[pyfunction]
#[pyo3(signature = (context, endpoint, values, method, scheme, external, /))]
pub(crate) fn build_in_request<'py>(
    context: &Bound<'py, PyAny>,
    endpoint: &Bound<'py, PyAny>,
    values: &Bound<'py, PyDict>,
    method: Option<&Bound<'py, PyAny>>,
    scheme: Option<&Bound<'py, PyAny>>,
    external: Option<&Bound<'py, PyAny>>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = context.py();
    let relative = |endpoint: &str| endpoint.is_empty() || endpoint.starts_with('.');
    let Ok(name) = endpoint.cast_exact::<PyString>() else {
        return Ok(None);
    };
    let force_external = match external {
        Some(external) => external.is_truthy()?,
        None => scheme.is_some(),
    };
    if name.to_str().is_ok_and(relative) || (scheme.is_some() && !force_external) {
        return Ok(None);
    }
    let app = context.getattr(intern!(py, "app"))?;
    if !is_plain(&app)? {
        return Ok(None);
    }
    let adapter = context.getattr(intern!(py, "url_adapter"))?;
    let Ok(adapter) = adapter.cast::<MapAdapterBase>() else {
        return Ok(None);
    };
    let known = References::get(py)?;
    if !known.is_plain(adapter, &known.builds_natively)? {
        return Ok(None);
    }
    let given = BuildArguments {
        endpoint,
        values: Some(values.as_any()),
        method,
        force_external,
        append_unknown: true,
        url_scheme: scheme,
    };
    match Call::with(adapter, |_| true, |call| call.build(&given)) {
        Ok(url) => Ok(url.map(|url| PyString::new(py, &url).into_any())),
        // A handler of the application may know better.
        Err(error) if error.is_instance(py, known.build_error.bind(py)) => Ok(None),
        Err(error) => Err(error),
    }
}
