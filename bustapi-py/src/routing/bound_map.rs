//! A map bound to the place where its application is reached: what an adapter holds, and how one
//! is made.

use bustapi_router::is_server_name;
use pyo3::exceptions::{PyRuntimeError, PyUnicodeError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyString;

use super::references::References;
use super::rule_map::RuleMap;
use crate::ground::object::allocate;

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
pub(crate) struct Binding<'a, 'py> {
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
    binding: &Binding<'_, 'py>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = map.py();
    let known = References::get(py)?;
    let subdomain = match (map.get().is_host_matching(), binding.subdomain) {
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
        script_name: match binding.script_name {
            Some(given) => with_slash(given)?.map(Bound::unbind),
            None => None,
        },
        path_info: keep(binding.path_info),
        url_scheme: keep(binding.url_scheme),
        default_method: keep(binding.default_method),
        query_args: keep(binding.query_args),
        websocket: None,
        foreign: false,
    };
    let adapter = allocate(known.adapters.get().class(py))?;
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
