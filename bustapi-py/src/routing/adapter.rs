//! The native base of `bustapi.routing.MapAdapter`.

use std::sync::Arc;

use bustapi_router::{Bind, Build, BuildError, Match, MatchError, MatchRequest, Value};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyString, PyTuple};

use super::map::{RuleMap, Snapshot};
use super::object::{build_value, exception};
use super::references::References;
use crate::context::allocate;

type Slot = Option<Py<PyAny>>;

/// An argument that is only asked whether it is true.
#[derive(Clone, Copy)]
struct Truth(bool);

impl FromPyObject<'_, '_> for Truth {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, '_, PyAny>) -> PyResult<Self> {
        object.is_truthy().map(Self)
    }
}

/// Holds the attributes of Werkzeug's `MapAdapter`, for it to be made and used without Python.
#[pyclass(subclass, module = "bustapi._native", get_all, set_all)]
#[derive(Default)]
pub(crate) struct MapAdapterBase {
    map: Slot,
    server_name: Slot,
    script_name: Slot,
    subdomain: Slot,
    url_scheme: Slot,
    path_info: Slot,
    default_method: Slot,
    query_args: Slot,
    websocket: Slot,
}

/// Makes an adapter; `texts` are the scheme, the path and the default method.
///
/// # Errors
///
/// `BadHost` for a server name that is none, `RuntimeError` for a subdomain with host matching,
/// and what Python says about arguments that are no strings.
pub(crate) fn bind<'py>(
    map: &Bound<'py, RuleMap>,
    server_name: &Bound<'py, PyAny>,
    script_name: Bound<'py, PyAny>,
    subdomain: Option<Bound<'py, PyAny>>,
    texts: [Bound<'py, PyAny>; 3],
    query_args: Option<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = map.py();
    let known = References::get(py)?;
    let host_matching = map.getattr(intern!(py, "host_matching"))?.is_truthy()?;
    let subdomain = match (host_matching, subdomain) {
        (true, Some(_)) => {
            return Err(pyo3::exceptions::PyRuntimeError::new_err(
                "host matching enabled and a subdomain was provided",
            ));
        }
        (false, None) => Some(map.getattr(intern!(py, "default_subdomain"))?),
        (_, given) => given,
    };
    let script_name = if script_name
        .cast::<PyString>()
        .is_ok_and(|text| text.to_str().is_ok_and(|text| text.ends_with('/')))
    {
        script_name
    } else if script_name
        .call_method1(intern!(py, "endswith"), ("/",))?
        .is_truthy()?
    {
        script_name
    } else {
        script_name.add("/")?
    };
    let server_name = host_name(known, server_name)?;
    let [url_scheme, path_info, default_method] = texts;
    let websocket = url_scheme
        .cast::<PyString>()
        .is_ok_and(|scheme| matches!(scheme.to_str(), Ok("ws" | "wss")));
    let adapter = allocate(known.map_adapter.bind(py))?.cast_into::<MapAdapterBase>()?;
    *adapter.borrow_mut() = MapAdapterBase {
        map: Some(map.clone().into_any().unbind()),
        server_name: Some(server_name.unbind()),
        script_name: Some(script_name.unbind()),
        subdomain: subdomain.map(Bound::unbind),
        url_scheme: Some(url_scheme.unbind()),
        path_info: Some(path_info.unbind()),
        default_method: Some(default_method.unbind()),
        query_args: query_args.map(Bound::unbind),
        websocket: Some(PyBool::new(py, websocket).to_owned().into_any().unbind()),
    };
    Ok(adapter.into_any())
}

/// The server name in lower case and, below the port, in ASCII as IDNA has it.
fn host_name<'py>(
    known: &References,
    server_name: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = server_name.py();
    if let Ok(text) = server_name.cast_exact::<PyString>()
        && let Ok(text) = text.to_str()
        && bustapi_router::is_server_name(text)
    {
        return Ok(server_name.clone());
    }
    let lower: Bound<'py, PyString> = server_name
        .call_method0(intern!(py, "lower"))?
        .cast_into()?;
    let (host, separator, port): (
        Bound<'py, PyString>,
        Bound<'py, PyString>,
        Bound<'py, PyString>,
    ) = lower
        .call_method1(intern!(py, "partition"), (":",))?
        .extract()?;
    let encoded = host
        .call_method1(intern!(py, "encode"), ("idna",))
        .and_then(|host| host.call_method1(intern!(py, "decode"), ("ascii",)));
    match encoded {
        Ok(host) => host.add(separator)?.add(port),
        Err(error) if error.is_instance_of::<pyo3::exceptions::PyUnicodeError>(py) => {
            let raised = PyErr::from_value(known.bad_host.bind(py).call0()?);
            raised.set_cause(py, Some(error));
            Err(raised)
        }
        Err(error) => Err(error),
    }
}

fn text_in<'a, 'py: 'a>(py: Python<'py>, slot: &'a Slot) -> Option<&'a str> {
    text_of(slot.as_ref()?.bind(py))
}

fn text_of<'a>(object: &'a Bound<'_, PyAny>) -> Option<&'a str> {
    object.cast::<PyString>().ok()?.to_str().ok()
}

fn text_if<'a>(object: &'a Option<Bound<'_, PyAny>>) -> Option<&'a str> {
    object.as_ref().and_then(text_of)
}

/// The arguments of `MapAdapter.match`.
struct MatchArguments<'py> {
    path_info: Option<Bound<'py, PyAny>>,
    method: Option<Bound<'py, PyAny>>,
    return_rule: bool,
    query_args: Option<Bound<'py, PyAny>>,
    websocket: Option<Bound<'py, PyAny>>,
}

/// An adapter at work: its attributes as they were when it was called.
struct Call<'a, 'py> {
    adapter: &'a Bound<'py, MapAdapterBase>,
    fields: MapAdapterBase,
    map: Bound<'py, RuleMap>,
    snapshot: Arc<Snapshot>,
    known: &'py References,
}

impl<'a, 'py> Call<'a, 'py> {
    /// `None` where Werkzeug's implementation has to answer.
    fn new(
        adapter: &'a Bound<'py, MapAdapterBase>,
        question: impl FnOnce(&References) -> &Py<PyAny>,
    ) -> PyResult<Option<Self>> {
        let py = adapter.py();
        let known = References::get(py)?;
        let class = adapter.get_type();
        if !class.is(&known.map_adapter)
            && !question(known).bind(py).call1((class,))?.is_truthy()?
        {
            return Ok(None);
        }
        let fields = adapter.borrow().clone_ref(py);
        let Some(map) = fields.map.as_ref() else {
            return Ok(None);
        };
        let Ok(map) = map.bind(py).clone().cast_into::<RuleMap>() else {
            return Ok(None);
        };
        let snapshot = map.get().snapshot();
        let host_matching = snapshot.map.options().host_matching;
        // Without a subdomain Werkzeug takes the server name for one.
        let known_domain = host_matching || fields.subdomain.is_some();
        Ok((!snapshot.foreign && known_domain).then_some(Self {
            adapter,
            fields,
            map,
            snapshot,
            known,
        }))
    }

    fn py(&self) -> Python<'py> {
        self.adapter.py()
    }

    /// The subdomain for the router; the outer `None` where it is no text.
    fn subdomain(&self) -> Option<Option<&str>> {
        if self.snapshot.map.options().host_matching {
            return Some(None);
        }
        text_in(self.py(), &self.fields.subdomain).map(Some)
    }

    /// The answer of `match`, or `None` as above.
    fn find(&self, given: &MatchArguments<'py>) -> PyResult<Option<Bound<'py, PyTuple>>> {
        let py = self.py();
        let chosen = |given: &Option<Bound<'py, PyAny>>, own: &Slot| match (given, own) {
            (Some(given), _) => Some(given.clone()),
            (None, own) => own.as_ref().map(|own| own.bind(py).clone()),
        };
        let path = chosen(&given.path_info, &self.fields.path_info);
        let method = match &given.method {
            Some(method) if method.is_truthy()? => Some(method.clone()),
            _ => chosen(&None, &self.fields.default_method),
        };
        let query = self.query(chosen(&given.query_args, &self.fields.query_args))?;
        let websocket = match chosen(&given.websocket, &self.fields.websocket) {
            Some(websocket) => websocket.is_truthy()?,
            None => false,
        };
        let (Some(path), Some(method), Some(subdomain)) =
            (text_if(&path), text_if(&method), self.subdomain())
        else {
            return Ok(None);
        };
        let own = |slot| text_in(py, slot);
        let (Some(server_name), Some(script_name), Some(url_scheme)) = (
            own(&self.fields.server_name),
            own(&self.fields.script_name),
            own(&self.fields.url_scheme),
        ) else {
            return Ok(None);
        };
        let request = MatchRequest {
            method,
            path,
            server_name,
            subdomain,
            script_name,
            url_scheme,
            query: text_if(&query),
            websocket,
        };
        match self.snapshot.map.match_path(&request) {
            Ok(found) => self.found(&found, given.return_rule).map(Some),
            Err(error) => match self.raised(&error)? {
                Some(raised) => Err(raised),
                None => Ok(None),
            },
        }
    }

    /// The query string for redirects.
    fn query(&self, given: Option<Bound<'py, PyAny>>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let Some(query) = given else {
            return Ok(None);
        };
        if query.is_instance_of::<PyString>() {
            return Ok(Some(query));
        }
        if !query.is_truthy()? {
            return Ok(None);
        }
        let encode = intern!(self.py(), "encode_query_args");
        Ok(Some(self.adapter.call_method1(encode, (query,))?))
    }

    fn found(&self, found: &Match, return_rule: bool) -> PyResult<Bound<'py, PyTuple>> {
        let py = self.py();
        let args = self.snapshot.view_args(py, found)?;
        if let Some(redirect) = self.snapshot.redirect(py, found.rule) {
            return Err(self.redirected(&redirect, &args)?);
        }
        let first = if return_rule {
            self.snapshot.rule(py, found.rule)
        } else {
            self.snapshot.endpoint(py, found.rule)
        };
        (first, args).into_pyobject(py)
    }

    /// The redirect that a callable `redirect_to` asks for.
    fn redirected(
        &self,
        redirect: &Bound<'py, PyAny>,
        args: &Bound<'py, PyDict>,
    ) -> PyResult<PyErr> {
        let py = self.py();
        let target = redirect.call((self.adapter,), Some(args))?;
        let text = |slot| text_in(py, slot).unwrap_or_default();
        let mut base = match text(&self.fields.url_scheme) {
            "" => "http://".to_owned(),
            scheme => format!("{scheme}://"),
        };
        let subdomain = text(&self.fields.subdomain);
        if !subdomain.is_empty() {
            base.push_str(subdomain);
            base.push('.');
        }
        base.push_str(text(&self.fields.server_name));
        base.push_str(text(&self.fields.script_name));
        let url = self.known.urljoin.bind(py).call1((base, target))?;
        self.raising(&self.known.request_redirect, (url,))
    }

    fn raising(
        &self,
        class: &Py<PyAny>,
        args: impl pyo3::call::PyCallArgs<'py>,
    ) -> PyResult<PyErr> {
        Ok(PyErr::from_value(class.bind(self.py()).call1(args)?))
    }

    /// The exception for a verdict; `None` where Werkzeug's implementation has to raise it.
    fn raised(&self, error: &MatchError) -> PyResult<Option<PyErr>> {
        let known = self.known;
        Ok(Some(match error {
            MatchError::NotFound => self.raising(&known.not_found, ())?,
            MatchError::MethodNotAllowed { allowed } => {
                let allowed: Vec<&str> = allowed.iter().collect();
                self.raising(&known.method_not_allowed, (allowed,))?
            }
            MatchError::RequestRedirect { url } => self.raising(&known.request_redirect, (url,))?,
            MatchError::WebsocketMismatch => self.raising(&known.websocket_mismatch, ())?,
            MatchError::Failed { source, .. } => return Ok(exception(self.py(), source)),
            _ => return Ok(None),
        }))
    }

    /// The URL of `build`, or `None` as above: also where there is none, for Werkzeug to say so.
    fn build(
        &self,
        endpoint: &Bound<'py, PyAny>,
        values: Option<&Bound<'py, PyAny>>,
        method: Option<&Bound<'py, PyAny>>,
        url_scheme: Option<&Bound<'py, PyAny>>,
        (force_external, append_unknown): (bool, bool),
    ) -> PyResult<Option<String>> {
        let py = self.py();
        let own = |slot| text_in(py, slot);
        let sorted_by_function =
            self.snapshot.has_sort_key && self.snapshot.map.options().sort_parameters;
        let (
            Some(server_name),
            Some(script_name),
            Some(own_scheme),
            Some(default_method),
            Some(subdomain),
            Some(endpoint),
            false,
        ) = (
            own(&self.fields.server_name),
            own(&self.fields.script_name),
            own(&self.fields.url_scheme),
            own(&self.fields.default_method),
            self.subdomain(),
            self.map.get().endpoint_name(endpoint)?,
            sorted_by_function,
        )
        else {
            return Ok(None);
        };
        let (method, url_scheme) = (method.map(text_of), url_scheme.map(text_of));
        if method == Some(None) || url_scheme == Some(None) {
            return Ok(None);
        }
        let Some(values) = read_values(values)? else {
            return Ok(None);
        };
        let mut named: Vec<(&str, Value)> = Vec::with_capacity(values.len());
        for (name, value) in &values {
            let Ok(name) = name.to_str() else {
                return Ok(None);
            };
            named.push((name, value.clone()));
        }
        let bind = Bind {
            server_name,
            script_name,
            subdomain,
            url_scheme: own_scheme,
            default_method,
            query: None,
        };
        let build = Build {
            method: method.flatten(),
            force_external,
            append_unknown,
            url_scheme: url_scheme.flatten(),
            ..Build::new(endpoint.to_str()?, &named)
        };
        match self.snapshot.map.try_build(&bind, &build) {
            Ok(url) => Ok(url),
            Err(BuildError::Failed { source, .. }) => exception(py, &source).map_or(Ok(None), Err),
            Err(_) => Ok(None),
        }
    }
}

type Values<'py> = Vec<(Bound<'py, PyString>, Value)>;

/// The values of a plain dictionary; `None` for any other mapping, and for values that the
/// router does not know.
fn read_values<'py>(values: Option<&Bound<'py, PyAny>>) -> PyResult<Option<Values<'py>>> {
    let Some(values) = values else {
        return Ok(Some(Vec::new()));
    };
    let Ok(values) = values.cast_exact::<PyDict>() else {
        return Ok((!values.is_truthy()?).then(Vec::new));
    };
    let mut read = Vec::with_capacity(values.len());
    for (name, value) in values {
        let (Ok(name), Some(value)) = (name.cast_into::<PyString>(), build_value(&value)) else {
            return Ok(None);
        };
        read.push((name, value));
    }
    Ok(Some(read))
}

impl MapAdapterBase {
    fn clone_ref(&self, py: Python<'_>) -> Self {
        let copy = |slot: &Slot| slot.as_ref().map(|object| object.clone_ref(py));
        Self {
            map: copy(&self.map),
            server_name: copy(&self.server_name),
            script_name: copy(&self.script_name),
            subdomain: copy(&self.subdomain),
            url_scheme: copy(&self.url_scheme),
            path_info: copy(&self.path_info),
            default_method: copy(&self.default_method),
            query_args: copy(&self.query_args),
            websocket: copy(&self.websocket),
        }
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
        path_info: Option<Bound<'py, PyAny>>,
        method: Option<Bound<'py, PyAny>>,
        return_rule: Truth,
        query_args: Option<Bound<'py, PyAny>>,
        websocket: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let given = MatchArguments {
            path_info,
            method,
            return_rule: return_rule.0,
            query_args,
            websocket,
        };
        if let Some(call) = Call::new(slf, |known| &known.matches_natively)?
            && let Some(found) = call.find(&given)?
        {
            return Ok(found.into_any());
        }
        let py = slf.py();
        References::get(py)?.foreign_match.bind(py).call1((
            slf,
            given.path_info,
            given.method,
            given.return_rule,
            given.query_args,
            given.websocket,
        ))
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
        let flags = (force_external.0, append_unknown.0);
        if let Some(call) = Call::new(slf, |known| &known.builds_natively)?
            && let Some(url) = call.build(endpoint, values, method, url_scheme, flags)?
        {
            return Ok(PyString::new(py, &url).into_any());
        }
        References::get(py)?.foreign_build.bind(py).call1((
            slf,
            endpoint,
            values,
            method,
            force_external.0,
            append_unknown.0,
            url_scheme,
        ))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        let slots = [
            &self.map,
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
