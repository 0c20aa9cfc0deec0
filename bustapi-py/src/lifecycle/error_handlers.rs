//! Whether the application handles an exception, as `bustapi.lifecycle` would find out.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use crate::lifecycle::hooks::Scopes;
use crate::lifecycle::plan::Plan;

/// What `handle_user_exception` would do with an exception.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Handling {
    /// It may call something of the application's, or decides by more than is looked at here.
    Calls,
    /// It returns the exception, which is an answer.
    Returns,
    /// It raises the exception again.
    Raises,
}

/// What is to be done with `error`, which was raised for an endpoint of these scopes.
///
/// # Errors
///
/// What looking at handlers or settings raises.
pub(crate) fn handling(
    plan: &Plan,
    scopes: &Scopes<'_>,
    error: &Bound<'_, PyAny>,
) -> PyResult<Handling> {
    let py = error.py();
    if plan.own_errors {
        return Ok(Handling::Calls);
    }
    let is_http = error.is_instance(plan.http_exception.bind(py))?;
    if is_http && !plan.leaves_http_exceptions(py)? {
        return Ok(Handling::Calls);
    }
    Ok(if has_handler(plan, scopes, error, is_http)? {
        Handling::Calls
    } else if is_http {
        Handling::Returns
    } else {
        Handling::Raises
    })
}

/// Whether a handler is registered for the class of `error`, or for its status.
fn has_handler(
    plan: &Plan,
    scopes: &Scopes<'_>,
    error: &Bound<'_, PyAny>,
    is_http: bool,
) -> PyResult<bool> {
    let py = error.py();
    let registered = plan.error_handlers.bind(py);
    let class = error.get_type();
    let code = if is_http {
        Some(class.getattr(intern!(py, "code"))?)
    } else {
        None
    };
    let none = py.None().into_bound(py);
    for scope in scopes.names() {
        let by_code = match scope {
            Some(name) => registered.get_item(name)?,
            None => registered.get_item(&none)?,
        };
        let Some(by_code) = by_code else {
            continue;
        };
        let by_code = by_code.cast_into::<PyDict>()?;
        for code in code.iter().chain([&none]) {
            let Some(handlers) = by_code.get_item(code)? else {
                continue;
            };
            let handlers = handlers.cast_into::<PyDict>()?;
            if handlers.is_empty() {
                continue;
            }
            for base in class.getattr(intern!(py, "__mro__"))?.cast::<PyTuple>()? {
                if handlers.contains(base)? {
                    return Ok(true);
                }
            }
        }
    }
    Ok(false)
}
