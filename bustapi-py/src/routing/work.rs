//! One call of an adapter: its attributes and arguments for the router, and the answer.

use std::sync::Arc;

use bustapi_router::{Bind, Build, BuildError, Match, MatchRequest, Value};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyString};
use smallvec::SmallVec;

use super::bound_map::{MapAdapterBase, Slot};
use super::missed::raised;
use super::object::{build_value, exception};
use super::references::References;
use super::rule_map::RuleMap;
use super::snapshot::Snapshot;

/// The arguments of `MapAdapter.match`.
pub(crate) struct MatchArguments<'a, 'py> {
    pub(crate) path_info: Option<&'a Bound<'py, PyAny>>,
    pub(crate) method: Option<&'a Bound<'py, PyAny>>,
    pub(crate) return_rule: bool,
    pub(crate) query_args: Option<&'a Bound<'py, PyAny>>,
    pub(crate) websocket: Option<&'a Bound<'py, PyAny>>,
}

/// The arguments of `MapAdapter.build`.
pub(crate) struct BuildArguments<'a, 'py> {
    pub(crate) endpoint: &'a Bound<'py, PyAny>,
    pub(crate) method: Option<&'a Bound<'py, PyAny>>,
    pub(crate) force_external: bool,
    pub(crate) append_unknown: bool,
    pub(crate) url_scheme: Option<&'a Bound<'py, PyAny>>,
}

/// An adapter at work.
pub(crate) struct AdapterCall<'a, 'py> {
    adapter: &'a Bound<'py, MapAdapterBase>,
    fields: &'a MapAdapterBase,
    map: &'a RuleMap,
    snapshot: &'a Snapshot,
    known: &'static References,
}

fn text_of<'a>(object: &'a Bound<'_, PyAny>) -> Option<&'a str> {
    object.cast::<PyString>().ok()?.to_str().ok()
}

/// The text of a slot, or of its default; `None` where it is none.
fn text_in<'a, 'py: 'a>(py: Python<'py>, slot: &'a Slot, default: &'static str) -> Option<&'a str> {
    match slot {
        Some(object) => text_of(object.bind(py)),
        None => Some(default),
    }
}

impl<'py> AdapterCall<'_, 'py> {
    /// Runs `work`, which gives `None` where Werkzeug's implementation has to answer. If `calls`
    /// says that it may run code of the program, it has copies of the adapter's attributes.
    pub(crate) fn with<T>(
        adapter: &Bound<'py, MapAdapterBase>,
        calls: impl FnOnce(&Snapshot) -> bool,
        work: impl FnOnce(&AdapterCall<'_, 'py>) -> PyResult<Option<T>>,
    ) -> PyResult<Option<T>> {
        let py = adapter.py();
        let borrowed = adapter.borrow();
        let Some(map) = borrowed.map.as_ref().filter(|_| !borrowed.foreign) else {
            return Ok(None);
        };
        let snapshot: Arc<Snapshot> = map.get().snapshot();
        if snapshot.foreign {
            return Ok(None);
        }
        let known = References::get(py)?;
        if !calls(&snapshot) {
            return work(&AdapterCall {
                adapter,
                fields: &borrowed,
                map: map.get(),
                snapshot: &snapshot,
                known,
            });
        }
        let fields = borrowed.clone_ref(py);
        drop(borrowed);
        let Some(map) = &fields.map else {
            return Ok(None);
        };
        work(&AdapterCall {
            adapter,
            fields: &fields,
            map: map.get(),
            snapshot: &snapshot,
            known,
        })
    }

    fn py(&self) -> Python<'py> {
        self.adapter.py()
    }

    /// Where the application is reached; `None` where an attribute is no text.
    fn place(&self) -> Option<Bind<'_>> {
        let py = self.py();
        let fields = self.fields;
        let subdomain = match &fields.subdomain {
            _ if self.snapshot.map.options().host_matching => None,
            Some(subdomain) => Some(text_of(subdomain.bind(py))?),
            // Without a subdomain, Werkzeug takes the server name for it.
            None => return None,
        };
        Some(Bind {
            server_name: text_of(fields.server_name.as_ref()?.bind(py))?,
            // Werkzeug drops the last character of an assigned name, even where it is no slash;
            // such names are left to it.
            script_name: text_in(py, &fields.script_name, "/")
                .filter(|name| name.ends_with('/'))?,
            subdomain,
            url_scheme: text_in(py, &fields.url_scheme, "http")?,
            default_method: text_in(py, &fields.default_method, "GET")?,
            query: None,
        })
    }

    /// The answer of `match`.
    pub(crate) fn find(
        &self,
        given: &MatchArguments<'_, 'py>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = self.py();
        let Some(place) = self.place() else {
            return Ok(None);
        };
        let path = match given.path_info {
            Some(path) => text_of(path),
            None => text_in(py, &self.fields.path_info, "/"),
        };
        let method = match given.method {
            Some(method) if method.is_truthy()? => text_of(method),
            _ => Some(place.default_method),
        };
        let (Some(path), Some(method)) = (path, method) else {
            return Ok(None);
        };
        let websocket = match (given.websocket, &self.fields.websocket) {
            (Some(websocket), _) => Some(websocket),
            (None, own) => own.as_ref().map(|websocket| websocket.bind(py)),
        };
        let websocket = match websocket.map(|websocket| websocket.cast::<PyBool>()) {
            Some(Ok(websocket)) => websocket.is_true(),
            // Werkzeug compares other objects with the rule's `websocket`.
            Some(Err(_)) => return Ok(None),
            None => matches!(place.url_scheme, "ws" | "wss"),
        };
        let query = match (given.query_args, &self.fields.query_args) {
            (Some(query), _) => Some(query),
            (None, Some(query)) => Some(query.bind(py)),
            (None, None) => None,
        };
        let encoded;
        let query = match query {
            None => None,
            Some(query) if query.is_instance_of::<PyString>() => match text_of(query) {
                None => return Ok(None),
                query => query,
            },
            Some(query) if !query.is_truthy()? => None,
            Some(query) => {
                let encode = intern!(py, "encode_query_args");
                // Arguments that cannot be encoded are an error only where there is a redirect,
                // which Werkzeug finds out.
                let Ok(text) = self.adapter.call_method1(encode, (query,)) else {
                    return Ok(None);
                };
                encoded = text;
                match text_of(&encoded) {
                    // For an empty query Werkzeug writes a question mark in some redirects, and
                    // none in others.
                    None | Some("") => return Ok(None),
                    query => query,
                }
            }
        };
        let request = MatchRequest {
            method,
            path,
            server_name: place.server_name,
            subdomain: place.subdomain,
            script_name: place.script_name,
            url_scheme: place.url_scheme,
            query,
            websocket,
        };
        match self.snapshot.map.match_path(&request) {
            Ok(found) => self.found(&found, given.return_rule).map(Some),
            Err(error) => match raised(self.py(), &error)? {
                Some(raised) => Err(raised),
                None => Ok(None),
            },
        }
    }

    fn found(&self, found: &Match, return_rule: bool) -> PyResult<Bound<'py, PyAny>> {
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
        Ok((first, args).into_pyobject(py)?.into_any())
    }

    /// The redirect that a callable `redirect_to` asks for.
    fn redirected(
        &self,
        redirect: &Bound<'py, PyAny>,
        args: &Bound<'py, PyDict>,
    ) -> PyResult<PyErr> {
        let py = self.py();
        let target = redirect.call((self.adapter,), Some(args))?;
        let adapter = self.adapter;
        let text = |name| -> PyResult<String> {
            let text: Option<String> = adapter.getattr(name)?.extract()?;
            Ok(text.unwrap_or_default())
        };
        let mut base = text("url_scheme")?;
        if base.is_empty() {
            base.push_str("http");
        }
        base.push_str("://");
        let subdomain = text("subdomain")?;
        if !subdomain.is_empty() {
            base.push_str(&subdomain);
            base.push('.');
        }
        base.push_str(&text("server_name")?);
        base.push_str(&text("script_name")?);
        let url = self.known.urljoin.bind(py).call1((base, target))?;
        let class = self.known.request_redirect.bind(py);
        Ok(PyErr::from_value(class.call1((url,))?))
    }

    /// The URL; also without one, Werkzeug's implementation says so.
    fn build(&self, build: &Build<'_>) -> PyResult<Option<String>> {
        let options = self.snapshot.map.options();
        if options.sort_parameters && self.snapshot.has_sort_key {
            return Ok(None);
        }
        let Some(place) = self.place() else {
            return Ok(None);
        };
        match self.snapshot.map.try_build(&place, build) {
            Ok(url) => Ok(url),
            Err(BuildError::Failed { source, .. }) => {
                exception(self.py(), &source).map_or(Ok(None), Err)
            }
            Err(_) => Ok(None),
        }
    }
}

/// The names and values of a URL to build; up to four need no memory of their own.
#[derive(Default)]
pub(crate) struct Values<'py> {
    names: SmallVec<[Bound<'py, PyString>; 4]>,
    given: SmallVec<[Value; 4]>,
    /// Whether some are objects of the program's own, whose text is asked for.
    calls_python: bool,
}

impl<'py> Values<'py> {
    /// Adds a value; `None` for one that only Werkzeug knows how to take apart.
    pub(crate) fn push(
        &mut self,
        name: Bound<'py, PyString>,
        value: &Bound<'py, PyAny>,
    ) -> Option<()> {
        let value = build_value(value)?;
        self.calls_python |= matches!(value, Value::Object(_) | Value::List(_));
        self.names.push(name);
        self.given.push(value);
        Some(())
    }

    /// The names and values of a plain dictionary; `None` for any other mapping.
    ///
    /// # Errors
    ///
    /// What asking the mapping for its truth raises.
    pub(crate) fn read(values: Option<&Bound<'py, PyAny>>) -> PyResult<Option<Self>> {
        let mut read = Self::default();
        let Some(values) = values else {
            return Ok(Some(read));
        };
        let Ok(values) = values.cast_exact::<PyDict>() else {
            return Ok((!values.is_truthy()?).then_some(read));
        };
        for (name, value) in values {
            let name = name.cast_into::<PyString>().ok();
            if name.and_then(|name| read.push(name, &value)).is_none() {
                return Ok(None);
            }
        }
        Ok(Some(read))
    }
}

impl<'py> BuildArguments<'_, 'py> {
    /// The URL; `None` where Werkzeug's implementation has to build it or to say why not.
    /// Takes the values out.
    ///
    /// # Errors
    ///
    /// What a converter or a value raises.
    pub(crate) fn build(
        &self,
        adapter: &Bound<'py, MapAdapterBase>,
        values: &mut Values<'py>,
    ) -> PyResult<Option<Bound<'py, PyString>>> {
        let (method, url_scheme) = (self.method.map(text_of), self.url_scheme.map(text_of));
        if method == Some(None) || url_scheme == Some(None) {
            return Ok(None);
        }
        let mut named: SmallVec<[(&str, Value); 4]> = SmallVec::with_capacity(values.names.len());
        for (name, value) in values.names.iter().zip(values.given.drain(..)) {
            let Ok(name) = name.to_str() else {
                return Ok(None);
            };
            named.push((name, value));
        }
        // Looking up an endpoint that is no string calls its own `__hash__` and `__eq__`.
        let calls_python = values.calls_python || !self.endpoint.is_exact_instance_of::<PyString>();
        let url = AdapterCall::with(
            adapter,
            |snapshot| calls_python || snapshot.builds_with_python,
            |call| {
                let Some(endpoint) = call.map.endpoint_name(self.endpoint)? else {
                    return Ok(None);
                };
                let build = Build {
                    method: method.flatten(),
                    force_external: self.force_external,
                    append_unknown: self.append_unknown,
                    url_scheme: url_scheme.flatten(),
                    ..Build::new(endpoint.to_str()?, &named)
                };
                call.build(&build)
            },
        );
        Ok(url?.map(|url| PyString::new(adapter.py(), &url)))
    }
}
