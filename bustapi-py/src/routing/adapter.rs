//! The native base of `bustapi.routing.MapAdapter`.

use bustapi_router::is_server_name;
use pyo3::exceptions::{PyRuntimeError, PyUnicodeError};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyString, PyTuple};

use super::map::RuleMap;
use super::references::References;
use super::work::{BuildArguments, Call, MatchArguments, Values};
use crate::ground::object::{allocate, empty};

pub(crate) type Slot = Option<Py<PyAny>>;

/// Holds the attributes of Werkzeug's `MapAdapter`, so that an adapter is made and used without
/// Python.
///
/// Those that an adapter seldom has values of its own for are made when they are read.
#[pyclass(subclass, module = "bustapi._native")]
#[derive(Default)]
pub(crate) struct MapAdapterBase {
    pub(crate) map: Option<Py<RuleMap>>,
    /// A map of another class, or whatever else was assigned.
    pub(crate) other_map: Slot,
    #[pyo3(get, set)]
    pub(crate) server_name: Slot,
    #[pyo3(get, set)]
    pub(crate) subdomain: Slot,
    /// `None` for `/`; so for the path.
    pub(crate) script_name: Slot,
    pub(crate) path_info: Slot,
    /// `None` for `http`.
    pub(crate) url_scheme: Slot,
    /// `None` for `GET`.
    pub(crate) default_method: Slot,
    #[pyo3(get, set)]
    pub(crate) query_args: Slot,
    /// `None` for what the scheme says.
    pub(crate) websocket: Slot,
    /// Whether this very adapter has been given a method of its own.
    pub(crate) foreign: bool,
}

/// What a map is bound to; a `None` is the default.
#[derive(Default)]
pub(crate) struct Place<'a, 'py> {
    pub(crate) script_name: Option<&'a Bound<'py, PyAny>>,
    pub(crate) subdomain: Option<&'a Bound<'py, PyAny>>,
    pub(crate) url_scheme: Option<&'a Bound<'py, PyAny>>,
    pub(crate) default_method: Option<&'a Bound<'py, PyAny>>,
    pub(crate) path_info: Option<&'a Bound<'py, PyAny>>,
    pub(crate) query_args: Option<&'a Bound<'py, PyAny>>,
}

/// Makes an adapter.
///
/// # Errors
///
/// `BadHost` for a server name that is none, `RuntimeError` for a subdomain with host matching,
/// and what Python says about arguments that are no strings.
pub(crate) fn bind<'py>(
    map: &Bound<'py, RuleMap>,
    server_name: &Bound<'py, PyAny>,
    place: &Place<'_, 'py>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = map.py();
    let known = References::get(py)?;
    let subdomain = match (map.get().is_host_matching(), place.subdomain) {
        (true, Some(_)) => {
            return Err(PyRuntimeError::new_err(
                "host matching enabled and a subdomain was provided",
            ));
        }
        (false, None) => Some(RuleMap::default_subdomain(map, known)?),
        (_, given) => given.cloned(),
    };
    let keep = |given: Option<&Bound<'py, PyAny>>| given.map(|given| given.clone().unbind());
    let own = MapAdapterBase {
        map: Some(map.clone().unbind()),
        other_map: None,
        server_name: Some(host_name(known, server_name)?.unbind()),
        subdomain: subdomain.map(Bound::unbind),
        script_name: match place.script_name {
            Some(given) => with_slash(given)?.map(Bound::unbind),
            None => None,
        },
        path_info: keep(place.path_info),
        url_scheme: keep(place.url_scheme),
        default_method: keep(place.default_method),
        query_args: keep(place.query_args),
        websocket: None,
        foreign: false,
    };
    let adapter = allocate(known.map_adapter.bind(py))?;
    *adapter.cast::<MapAdapterBase>()?.borrow_mut() = own;
    Ok(adapter)
}

/// The script name with a slash at its end; `None` for nothing but the slash.
fn with_slash<'py>(script_name: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
    if let Ok(text) = script_name.cast_exact::<PyString>()
        && let Ok(text) = text.to_str()
    {
        return match text {
            "" | "/" => Ok(None),
            text if text.ends_with('/') => Ok(Some(script_name.clone())),
            _ => script_name.add("/").map(Some),
        };
    }
    let ends = script_name.call_method1(intern!(script_name.py(), "endswith"), ("/",))?;
    Ok(Some(if ends.is_truthy()? {
        script_name.clone()
    } else {
        script_name.add("/")?
    }))
}

/// The server name in lower case and, apart from the port, in ASCII as IDNA has it.
fn host_name<'py>(
    known: &References,
    server_name: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = server_name.py();
    if let Ok(text) = server_name.cast_exact::<PyString>()
        && text.to_str().is_ok_and(is_server_name)
    {
        return Ok(server_name.clone());
    }
    let lower = server_name.call_method0(intern!(py, "lower"))?;
    let parts: [Bound<'py, PyAny>; 3] = lower
        .call_method1(intern!(py, "partition"), (":",))?
        .extract()?;
    let [host, separator, port] = parts;
    let encoded = host
        .call_method1(intern!(py, "encode"), ("idna",))
        .and_then(|host| host.call_method1(intern!(py, "decode"), ("ascii",)));
    match encoded {
        Ok(host) => host.add(separator)?.add(port),
        Err(error) if error.is_instance_of::<PyUnicodeError>(py) => {
            let raised = PyErr::from_value(known.bad_host.bind(py).call0()?);
            raised.set_cause(py, Some(error));
            Err(raised)
        }
        Err(error) => Err(error),
    }
}

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

impl MapAdapterBase {
    /// A copy to work on while code that is called may assign to the adapter.
    pub(crate) fn clone_ref(&self, py: Python<'_>) -> Self {
        let copy = |slot: &Slot| slot.as_ref().map(|object| object.clone_ref(py));
        Self {
            map: self.map.as_ref().map(|map| map.clone_ref(py)),
            other_map: copy(&self.other_map),
            server_name: copy(&self.server_name),
            script_name: copy(&self.script_name),
            subdomain: copy(&self.subdomain),
            url_scheme: copy(&self.url_scheme),
            path_info: copy(&self.path_info),
            default_method: copy(&self.default_method),
            query_args: copy(&self.query_args),
            websocket: copy(&self.websocket),
            foreign: self.foreign,
        }
    }

    /// Whether the scheme is one of `WebSocket`s.
    pub(crate) fn scheme_is_websocket(&self, py: Python<'_>) -> bool {
        self.url_scheme.as_ref().is_some_and(|scheme| {
            let scheme = scheme.bind(py).cast::<PyString>();
            scheme.is_ok_and(|scheme| matches!(scheme.to_str(), Ok("ws" | "wss")))
        })
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
        if known.is_plain(slf, &known.matches_natively)? {
            let found = Call::with(
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
        if known.is_plain(slf, &known.builds_natively)?
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
        // It was the scheme at first that decided.
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
