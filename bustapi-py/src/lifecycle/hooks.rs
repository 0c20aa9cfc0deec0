//! The functions that run before and after a view, in `bustapi.lifecycle`'s order.

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString, PyTuple};

use crate::lifecycle::plan::Plan;

/// Where hooks may be registered, for one endpoint.
pub(crate) struct Scopes<'py> {
    /// The names of the endpoint's blueprint and of those it is nested in, innermost first.
    blueprints: Vec<Bound<'py, PyString>>,
}

impl<'py> Scopes<'py> {
    /// The scopes of `endpoint` (the application's alone without one): `a.b.view` is of the blueprints `a.b` and `a`.
    pub(crate) fn of(endpoint: Option<&Bound<'py, PyString>>) -> PyResult<Self> {
        let mut blueprints = Vec::new();
        let Some(endpoint) = endpoint else {
            return Ok(Self { blueprints });
        };
        let py = endpoint.py();
        let mut name = endpoint.to_str()?;
        while let Some((outer, _)) = name.rsplit_once('.') {
            blueprints.push(PyString::new(py, outer));
            name = outer;
        }
        Ok(Self { blueprints })
    }

    /// The hooks of each scope that has any: the application's first, then from the outermost
    /// blueprint inwards.
    fn outside_in(
        &self,
        hooks: &Bound<'py, PyDict>,
    ) -> impl Iterator<Item = PyResult<Bound<'py, PyList>>> {
        let blueprints = self.blueprints.iter().rev().map(Some);
        std::iter::once(None)
            .chain(blueprints)
            .filter_map(|name| hooks_of(hooks, name).transpose())
    }

    /// The names of the scopes from the innermost blueprint to the application, which has none.
    pub(crate) fn names(&self) -> impl Iterator<Item = Option<&Bound<'py, PyString>>> {
        self.blueprints
            .iter()
            .map(Some)
            .chain(std::iter::once(None))
    }

    /// As [`Scopes::outside_in`], the other way round.
    fn inside_out(
        &self,
        hooks: &Bound<'py, PyDict>,
    ) -> impl Iterator<Item = PyResult<Bound<'py, PyList>>> {
        self.names()
            .filter_map(|name| hooks_of(hooks, name).transpose())
    }
}

/// The hooks of a blueprint, or of the application.
fn hooks_of<'py>(
    hooks: &Bound<'py, PyDict>,
    blueprint: Option<&Bound<'py, PyString>>,
) -> PyResult<Option<Bound<'py, PyList>>> {
    let found = match blueprint {
        Some(name) => hooks.get_item(name),
        None => hooks.get_item(hooks.py().None()),
    };
    match found? {
        Some(list) => Ok(Some(list.cast_into::<PyList>()?)),
        None => Ok(None),
    }
}

/// Runs the functions before the view, of an endpoint unless no rule matched; the first `before_request` function to return
/// something ends it with that.
///
/// # Errors
///
/// What a function raises.
pub(crate) fn before<'py>(
    plan: &Plan,
    app: &Bound<'py, PyAny>,
    scopes: &Scopes<'py>,
    endpoint: Option<&Bound<'py, PyString>>,
    view_args: Option<&Bound<'py, PyDict>>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = app.py();
    let preprocessors = plan.url_value_preprocessors.bind(py);
    if !preprocessors.is_empty() {
        for list in scopes.outside_in(preprocessors) {
            for function in list?.iter() {
                function.call1((endpoint, view_args))?;
            }
        }
    }
    let hooks = plan.before.bind(py);
    if hooks.is_empty() {
        return Ok(None);
    }
    let none = PyTuple::empty(py);
    for list in scopes.outside_in(hooks) {
        for function in list?.iter() {
            let value = plan
                .functions
                .call(app, plan.own_ensure_sync, &function, &none, None)?;
            if !value.is_none() {
                return Ok(Some(value));
            }
        }
    }
    Ok(None)
}

/// Gives the response to the functions after the view: those registered for this request,
/// then each scope's backwards, from the innermost blueprint outwards.
///
/// # Errors
///
/// What a function raises.
pub(crate) fn after<'py>(
    plan: &Plan,
    app: &Bound<'py, PyAny>,
    scopes: &Scopes<'py>,
    of_this_request: Option<&Bound<'py, PyList>>,
    mut response: Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = app.py();
    let own_ensure_sync = plan.own_ensure_sync;
    for function in of_this_request.into_iter().flatten() {
        let args = PyTuple::new(py, [response])?;
        response = plan
            .functions
            .call_passing(app, own_ensure_sync, &function, &args)?;
    }
    let hooks = plan.after.bind(py);
    if hooks.is_empty() {
        return Ok(response);
    }
    for list in scopes.inside_out(hooks) {
        let list = list?;
        for index in (0..list.len()).rev() {
            let args = PyTuple::new(py, [response])?;
            let function = list.get_item(index)?;
            response = plan
                .functions
                .call(app, own_ensure_sync, &function, &args, None)?;
        }
    }
    Ok(response)
}
