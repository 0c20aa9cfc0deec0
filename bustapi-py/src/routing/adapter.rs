//! The methods of `bustapi.routing.MapAdapter`'s native base.

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyString, PyTuple};

use super::bound_map::{MapAdapterBase, Slot};
use super::references::References;
use super::rule_map::RuleMap;
use super::work::{AdapterCall, BuildArguments, MatchArguments, Values};
use crate::ground::object::empty;

/// An argument that is only asked whether it is true.
#[derive(Clone, Copy)]
struct Truth(bool);

impl FromPyObject<'_, '_> for Truth {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, '_, PyAny>) -> PyResult<Self> {
        object.is_truthy().map(Self)
    }
}

fn or_text(slot: &Slot, default: &Bound<'_, PyString>) -> Py<PyAny> {
    match slot {
        Some(object) => object.clone_ref(default.py()),
        None => default.clone().into_any().unbind(),
    }
}

#[pymethods]
impl MapAdapterBase {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        Self::default()
    }

    /// Matches; arguments, result and exceptions are those of Werkzeug's `MapAdapter.match`.
    #[pyo3(
        name = "match",
        signature = (
            path_info=None, method=None, return_rule=Truth(false), query_args=None, websocket=None
        )
    )]
    fn find<'py>(
        slf: &Bound<'py, Self>,
        path_info: Option<&Bound<'py, PyAny>>,
        method: Option<&Bound<'py, PyAny>>,
        return_rule: Truth,
        query_args: Option<&Bound<'py, PyAny>>,
        websocket: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let known = References::get(py)?;
        let given = MatchArguments {
            path_info,
            method,
            return_rule: return_rule.0,
            query_args,
            websocket,
        };
        if known.leaves_natively(slf, References::MATCHES)? {
            let found = AdapterCall::with(
                slf,
                |snapshot| snapshot.calls_python,
                |call| call.find(&given),
            );
            if let Some(found) = found? {
                return Ok(found);
            }
        }
        let given = (slf, path_info, method, return_rule.0, query_args, websocket);
        known.foreign_match.bind(py).call1(given)
    }

    /// Builds a URL; arguments, result and exceptions are those of Werkzeug's
    /// `MapAdapter.build`.
    #[pyo3(signature = (
        endpoint, values=None, method=None, force_external=Truth(false),
        append_unknown=Truth(true), url_scheme=None
    ))]
    fn build<'py>(
        slf: &Bound<'py, Self>,
        endpoint: &Bound<'py, PyAny>,
        values: Option<&Bound<'py, PyAny>>,
        method: Option<&Bound<'py, PyAny>>,
        force_external: Truth,
        append_unknown: Truth,
        url_scheme: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let known = References::get(py)?;
        let given = BuildArguments {
            endpoint,
            method,
            force_external: force_external.0,
            append_unknown: append_unknown.0,
            url_scheme,
        };
        if known.leaves_natively(slf, References::BUILDS)?
            && let Some(mut values) = Values::read(values)?
            && let Some(url) = given.build(slf, &mut values)?
        {
            return Ok(url.into_any());
        }
        let given = (
            slf,
            endpoint,
            values,
            method,
            force_external.0,
            append_unknown.0,
            url_scheme,
        );
        known.foreign_build.bind(py).call1(given)
    }

    /// Leaves this adapter to Werkzeug's implementation from now on.
    fn _make_foreign(&mut self) {
        self.foreign = true;
    }

    #[getter]
    fn map(&self, py: Python<'_>) -> Slot {
        match &self.map {
            Some(map) => Some(map.clone_ref(py).into_any()),
            None => self.other_map.as_ref().map(|map| map.clone_ref(py)),
        }
    }

    #[setter]
    fn set_map(&mut self, map: Bound<'_, PyAny>) {
        (self.map, self.other_map) = match map.cast_into::<RuleMap>() {
            Ok(map) => (Some(map.unbind()), None),
            Err(other) => (None, Some(other.into_inner().unbind())),
        };
    }

    #[getter]
    fn script_name(&self, py: Python<'_>) -> Py<PyAny> {
        or_text(&self.script_name, intern!(py, "/"))
    }

    #[setter]
    fn set_script_name(&mut self, script_name: Py<PyAny>) {
        self.script_name = Some(script_name);
    }

    #[getter]
    fn path_info(&self, py: Python<'_>) -> Py<PyAny> {
        or_text(&self.path_info, intern!(py, "/"))
    }

    #[setter]
    fn set_path_info(&mut self, path_info: Py<PyAny>) {
        self.path_info = Some(path_info);
    }

    #[getter]
    fn url_scheme(&self, py: Python<'_>) -> Py<PyAny> {
        or_text(&self.url_scheme, intern!(py, "http"))
    }

    #[setter]
    fn set_url_scheme(&mut self, py: Python<'_>, url_scheme: Py<PyAny>) {
        // The scheme that the adapter was made with decides on `websocket`, which is therefore
        // noted before the scheme changes.
        if self.websocket.is_none() && self.server_name.is_some() {
            self.websocket = Some(self.websocket(py));
        }
        self.url_scheme = Some(url_scheme);
    }

    #[getter]
    fn default_method(&self, py: Python<'_>) -> Py<PyAny> {
        or_text(&self.default_method, intern!(py, "GET"))
    }

    #[setter]
    fn set_default_method(&mut self, default_method: Py<PyAny>) {
        self.default_method = Some(default_method);
    }

    #[getter]
    fn websocket(&self, py: Python<'_>) -> Py<PyAny> {
        match &self.websocket {
            Some(websocket) => websocket.clone_ref(py),
            None => PyBool::new(py, self.scheme_is_websocket(py))
                .to_owned()
                .into_any()
                .unbind(),
        }
    }

    #[setter]
    fn set_websocket(&mut self, websocket: Py<PyAny>) {
        self.websocket = Some(websocket);
    }

    #[deleter(map)]
    fn delete_map(&mut self) -> PyResult<()> {
        empty(&mut self.map, "map").or_else(|_| empty(&mut self.other_map, "map"))
    }

    #[deleter(server_name)]
    fn delete_server_name(&mut self) -> PyResult<()> {
        empty(&mut self.server_name, "server_name")
    }

    #[deleter(subdomain)]
    fn delete_subdomain(&mut self) -> PyResult<()> {
        empty(&mut self.subdomain, "subdomain")
    }

    #[deleter(script_name)]
    fn delete_script_name(&mut self) -> PyResult<()> {
        empty(&mut self.script_name, "script_name")
    }

    #[deleter(path_info)]
    fn delete_path_info(&mut self) -> PyResult<()> {
        empty(&mut self.path_info, "path_info")
    }

    #[deleter(url_scheme)]
    fn delete_url_scheme(&mut self) -> PyResult<()> {
        empty(&mut self.url_scheme, "url_scheme")
    }

    #[deleter(default_method)]
    fn delete_default_method(&mut self) -> PyResult<()> {
        empty(&mut self.default_method, "default_method")
    }

    #[deleter(query_args)]
    fn delete_query_args(&mut self) -> PyResult<()> {
        empty(&mut self.query_args, "query_args")
    }

    #[deleter(websocket)]
    fn delete_websocket(&mut self) -> PyResult<()> {
        empty(&mut self.websocket, "websocket")
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.map)?;
        let slots = [
            &self.other_map,
            &self.server_name,
            &self.script_name,
            &self.subdomain,
            &self.url_scheme,
            &self.path_info,
            &self.default_method,
            &self.query_args,
            &self.websocket,
        ];
        slots.into_iter().try_for_each(|slot| visit.call(slot))
    }

    fn __clear__(&mut self) {
        *self = Self::default();
    }
}
