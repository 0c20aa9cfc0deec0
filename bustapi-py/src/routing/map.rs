//! The native base of `bustapi.routing.Map`, and the state that is read without Python.
//!
//! # Theory of operation
//!
//! Requests read a [`Snapshot`], which never changes. Rules are added to a working copy, which
//! becomes the next snapshot when one is next asked for; the first rule after that copies it
//! again. So any number of rules added in a row costs one copy, and a map that has come to rest
//! is held once.
//!
//! The Python objects that a snapshot holds belong to the map, and are shown to the garbage
//! collector as its own as long as nobody else shares the snapshot.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::{self, ThreadId};

use bustapi_router::{Map, Match, RuleErrorKind, RuleId};
use pyo3::exceptions::PyRuntimeError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::MutexExt;
use pyo3::types::{PyDict, PyString, PyTuple};

use super::adapter::{self, Place};
use super::converter::PythonEngine;
use super::environ;
use super::object::{exception, to_python};
use super::reading::{Reading, RuleEntry, read};

/// A state of a map, to be matched without the interpreter.
#[derive(Clone)]
pub(crate) struct Snapshot {
    /// The rules.
    pub(crate) map: Map,
    /// Whether matching may call Python; it attaches by itself where it does.
    pub(crate) calls_python: bool,
    /// Whether only Werkzeug's implementation gives the right answers, by the adapter's
    /// methods. The rules are then not complete.
    pub(crate) foreign: bool,
    /// Whether built query strings are sorted by a function.
    pub(crate) has_sort_key: bool,
    entries: Vec<Arc<RuleEntry>>,
}

impl Default for Snapshot {
    fn default() -> Self {
        let mut map = Map::default();
        map.set_engine(Arc::new(PythonEngine));
        Self {
            map,
            calls_python: false,
            foreign: false,
            has_sort_key: false,
            entries: Vec::new(),
        }
    }
}

impl Snapshot {
    /// The Python rule of this number.
    pub(crate) fn rule<'py>(&self, py: Python<'py>, id: RuleId) -> Bound<'py, PyAny> {
        self.entries[id.index()].rule.bind(py).clone()
    }

    /// The endpoint of the rule of this number, as it was given.
    pub(crate) fn endpoint<'py>(&self, py: Python<'py>, id: RuleId) -> Bound<'py, PyAny> {
        self.entries[id.index()].endpoint.bind(py).clone()
    }

    /// A callable `redirect_to` of the rule of this number, which the router knows nothing of.
    pub(crate) fn redirect<'py>(&self, py: Python<'py>, id: RuleId) -> Option<Bound<'py, PyAny>> {
        let redirect = self.entries[id.index()].redirect.as_ref();
        redirect.map(|call| call.bind(py).clone())
    }

    /// Whether this rule's requests can be answered only by asking the Python adapter.
    pub(crate) fn rule_calls_python(&self, id: RuleId) -> bool {
        self.entries[id.index()].calls_python
    }

    /// The values of a match, as Werkzeug's converters give them.
    ///
    /// # Errors
    ///
    /// Where memory runs out, or an integer has more digits than Python converts.
    pub(crate) fn view_args<'py>(
        &self,
        py: Python<'py>,
        found: &Match,
    ) -> PyResult<Bound<'py, PyDict>> {
        let entry = &self.entries[found.rule.index()];
        let args = PyDict::new(py);
        let slots = entry.names.iter().zip(&entry.defaults);
        for ((name, default), value) in slots.zip(&found.values) {
            match default {
                Some(default) => args.set_item(name, default)?,
                None => args.set_item(name, to_python(py, value)?)?,
            }
        }
        Ok(args)
    }

    fn add(&mut self, rule: &Bound<'_, PyAny>, endpoint: &str) -> PyResult<()> {
        // Once one rule is missing, numbers are of no use.
        if self.foreign {
            return Ok(());
        }
        let py = rule.py();
        let Ok(reading) = read(rule, endpoint) else {
            self.foreign = true;
            return Ok(());
        };
        let (native, (redirect, held, calls_python)) = reading.split();
        let id = match self.map.add(native) {
            Ok(id) => id,
            Err(error) => {
                self.foreign = true;
                return match &error.kind {
                    RuleErrorKind::Default { source, .. }
                    | RuleErrorKind::ConverterArguments { source, .. } => {
                        exception(py, source).map_or(Ok(()), Err)
                    }
                    _ => Ok(()),
                };
            }
        };
        let entry = Reading::entry(redirect, held, calls_python, rule, self.map.rule(id))?;
        self.calls_python |= entry.calls_python;
        self.entries.push(Arc::new(entry));
        Ok(())
    }

    /// The same rules with the attributes that they have now.
    fn read_again(&self, py: Python<'_>) -> Self {
        let mut fresh = Self {
            foreign: self.foreign,
            has_sort_key: self.has_sort_key,
            ..Self::default()
        };
        *fresh.map.options_mut() = self.map.options().clone();
        for entry in &self.entries {
            let endpoint = self.map.rule(entry.id).endpoint();
            // What a converter says about a default is said when the default is used.
            if fresh.add(entry.rule.bind(py), endpoint).is_err() {
                fresh.foreign = true;
            }
        }
        fresh
    }

    fn set_option(&mut self, name: &str, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let options = self.map.options_mut();
        match name {
            "default_subdomain" => match value.extract() {
                Ok(subdomain) => options.default_subdomain = subdomain,
                Err(_) => self.foreign = true,
            },
            "merge_slashes" => options.merge_slashes = value.is_truthy()?,
            "redirect_defaults" => options.redirect_defaults = value.is_truthy()?,
            "host_matching" => options.host_matching = value.is_truthy()?,
            "sort_parameters" => options.sort_parameters = value.is_truthy()?,
            "sort_key" => self.has_sort_key = !value.is_none(),
            // Rules have their own, which they take from the map in Python.
            _ => {}
        }
        Ok(())
    }
}

/// The part of a map that threads share.
#[derive(Default)]
pub(crate) struct SharedMap {
    published: RwLock<Arc<Snapshot>>,
    /// Whether there is a working copy to publish.
    changed: AtomicBool,
    working: Mutex<Option<Snapshot>>,
    /// Whether the rules' attributes have to be read again.
    stale: AtomicBool,
    /// The thread that works on the copy: user code called by it may want to match.
    writer: Mutex<Option<ThreadId>>,
}

impl SharedMap {
    /// The present state; attaches to the interpreter only after a change.
    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        if self.changed.load(Ordering::Acquire) {
            Python::attach(|py| self.publish(py));
        }
        self.published()
    }

    fn published(&self) -> Arc<Snapshot> {
        let published = self.published.read();
        Arc::clone(&published.unwrap_or_else(PoisonError::into_inner))
    }

    fn is_own_work(&self) -> bool {
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        *writer == Some(thread::current().id())
    }

    fn publish(&self, py: Python<'_>) {
        if self.is_own_work() {
            return;
        }
        if self.stale.swap(false, Ordering::AcqRel) {
            let read_again = self.change(py, |working| {
                *working = working.read_again(py);
                Ok(())
            });
            // Only this thread could have been in the way.
            read_again.expect("this thread works on no copy");
        }
        let taken = self
            .working
            .lock_py_attached(py)
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        self.changed.store(false, Ordering::Release);
        if let Some(snapshot) = taken {
            self.replace(snapshot);
        }
    }

    fn replace(&self, snapshot: Snapshot) {
        let mut published = self
            .published
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let old = std::mem::replace(&mut *published, Arc::new(snapshot));
        drop(published);
        // Outside of the lock: dropping Python objects can run anything.
        drop(old);
    }

    /// Changes the working copy. Readers see all of the change or nothing.
    fn change<T>(
        &self,
        py: Python<'_>,
        change: impl FnOnce(&mut Snapshot) -> PyResult<T>,
    ) -> PyResult<T> {
        if self.is_own_work() {
            return Err(PyRuntimeError::new_err(
                "a URL map cannot be changed by a converter of the rule being added to it",
            ));
        }
        let mut working = self
            .working
            .lock_py_attached(py)
            .unwrap_or_else(PoisonError::into_inner);
        let set_writer = |writer| {
            *self.writer.lock().unwrap_or_else(PoisonError::into_inner) = writer;
        };
        set_writer(Some(thread::current().id()));
        let changed = change(working.get_or_insert_with(|| Snapshot::clone(&self.published())));
        set_writer(None);
        self.changed.store(true, Ordering::Release);
        changed
    }
}

/// The native base of `bustapi.routing.Map`.
#[pyclass(subclass, frozen, module = "bustapi._native")]
pub(crate) struct RuleMap {
    shared: Arc<SharedMap>,
    host_matching: AtomicBool,
    /// Endpoints that are no strings, and the names they have in the router.
    other_endpoints: Py<PyDict>,
}

impl RuleMap {
    /// What matching needs of this map, to be kept by whoever serves it.
    pub(crate) fn shared(&self) -> Arc<SharedMap> {
        Arc::clone(&self.shared)
    }

    /// The present state.
    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        self.shared.snapshot()
    }

    /// Whether hosts are matched instead of subdomains.
    pub(crate) fn is_host_matching(&self) -> bool {
        self.host_matching.load(Ordering::Relaxed)
    }

    /// The router's name for an endpoint, if it has one.
    ///
    /// # Errors
    ///
    /// Where the endpoint cannot be hashed.
    pub(crate) fn endpoint_name<'py>(
        &self,
        endpoint: &Bound<'py, PyAny>,
    ) -> PyResult<Option<Bound<'py, PyString>>> {
        if let Some(text) = plain_text(endpoint) {
            return Ok(Some(text));
        }
        let named = self
            .other_endpoints
            .bind(endpoint.py())
            .get_item(endpoint)?;
        Ok(named.map(Bound::cast_into).transpose()?)
    }

    fn name_endpoint<'py>(&self, endpoint: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyString>> {
        if let Some(known) = self.endpoint_name(endpoint)? {
            return Ok(known);
        }
        let py = endpoint.py();
        let others = self.other_endpoints.bind(py);
        // Strings with such a beginning are not taken as they are, so names do not meet.
        let name = PyString::new(py, &format!("\0{}", others.len()));
        others.set_item(endpoint, &name)?;
        Ok(name)
    }
}

/// An endpoint that is its own name.
fn plain_text<'py>(endpoint: &Bound<'py, PyAny>) -> Option<Bound<'py, PyString>> {
    let text = endpoint.cast_exact::<PyString>().ok()?;
    let own = text.to_str().is_ok_and(|text| !text.starts_with('\0'));
    own.then(|| text.clone())
}

#[pymethods]
impl RuleMap {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(
        py: Python<'_>,
        _args: &Bound<'_, PyTuple>,
        _kwargs: Option<&Bound<'_, PyDict>>,
    ) -> Self {
        Self {
            shared: Arc::default(),
            host_matching: AtomicBool::new(false),
            other_endpoints: PyDict::new(py).unbind(),
        }
    }

    /// Takes a rule that is bound to this map; without `plain`, its class overrides how rules
    /// match or are built.
    ///
    /// :raises Exception: what a converter raises for a default of the rule.
    fn _take(&self, rule: &Bound<'_, PyAny>, plain: bool) -> PyResult<()> {
        let py = rule.py();
        let name = self.name_endpoint(&rule.getattr(intern!(py, "endpoint"))?)?;
        self.shared.change(py, |working| {
            if plain {
                working.add(rule, name.to_str()?)
            } else {
                working.foreign = true;
                Ok(())
            }
        })
    }

    /// Has the rules' attributes read again before the next match.
    fn _forget(&self) {
        self.shared.stale.store(true, Ordering::Release);
        self.shared.changed.store(true, Ordering::Release);
    }

    /// Leaves this map to Werkzeug's implementation from now on.
    fn _make_foreign(&self, py: Python<'_>) -> PyResult<()> {
        self.shared.change(py, |working| {
            working.foreign = true;
            Ok(())
        })
    }

    /// The rules taken, in the order of adding; of a foreign map not all.
    fn _taken_rules(&self, py: Python<'_>) -> Vec<Py<PyAny>> {
        let snapshot = self.snapshot();
        let rules = snapshot.entries.iter();
        rules.map(|entry| entry.rule.clone_ref(py)).collect()
    }

    /// Binds the map; arguments and errors are those of Werkzeug's `Map.bind`.
    #[pyo3(signature = (
        server_name, script_name=None, subdomain=None, url_scheme=None, default_method=None,
        path_info=None, query_args=None
    ))]
    #[expect(clippy::too_many_arguments, reason = "they are Werkzeug's")]
    fn bind<'py>(
        slf: &Bound<'py, Self>,
        server_name: &Bound<'py, PyAny>,
        script_name: Option<&Bound<'py, PyAny>>,
        subdomain: Option<&Bound<'py, PyAny>>,
        url_scheme: Option<&Bound<'py, PyAny>>,
        default_method: Option<&Bound<'py, PyAny>>,
        path_info: Option<&Bound<'py, PyAny>>,
        query_args: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let place = Place {
            script_name,
            subdomain,
            url_scheme,
            default_method,
            path_info,
            query_args,
        };
        adapter::bind(slf, server_name, &place)
    }

    /// Binds the map to the request of a WSGI environment, or of a request object.
    ///
    /// :param `server_name`: name of the server, with the port unless it is the scheme's own;
    ///     the rest of the request's host becomes the subdomain. The request's own host if
    ///     `None`.
    /// :param subdomain: takes the place of the one found so.
    /// :raises werkzeug.exceptions.BadHost: the server name is none.
    #[pyo3(signature = (environ, server_name=None, subdomain=None))]
    fn bind_to_environ<'py>(
        slf: &Bound<'py, Self>,
        environ: &Bound<'py, PyAny>,
        server_name: Option<&Bound<'py, PyAny>>,
        subdomain: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        environ::bind_to_environ(slf, environ, server_name, subdomain)
    }

    /// Notes a changed setting of the map.
    fn _set_option(&self, name: &str, value: &Bound<'_, PyAny>) -> PyResult<()> {
        if name == "host_matching" {
            let on = value.is_truthy()?;
            self.host_matching.store(on, Ordering::Relaxed);
        }
        self.shared
            .change(value.py(), |working| working.set_option(name, value))
    }

    /// Whether Werkzeug's implementation matches and builds for this map.
    #[getter]
    fn _is_foreign(&self) -> bool {
        self.snapshot().foreign
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.other_endpoints)?;
        // Shared with a server or a request under way, the objects are held from outside.
        if Arc::strong_count(&self.shared) > 1 {
            return Ok(());
        }
        if let Ok(published) = self.shared.published.try_read()
            && Arc::strong_count(&published) == 1
        {
            published.traverse(&visit)?;
        }
        if let Ok(working) = self.shared.working.try_lock()
            && let Some(working) = &*working
        {
            working.traverse(&visit)?;
        }
        Ok(())
    }

    fn __clear__(&self) {
        let working = self.shared.working.lock();
        let working = working.unwrap_or_else(PoisonError::into_inner).take();
        drop(working);
        self.shared.replace(Snapshot::default());
    }
}

impl Snapshot {
    /// Shows the garbage collector the objects that are held here and nowhere else.
    fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        for entry in &self.entries {
            if Arc::strong_count(entry) > 1 {
                continue;
            }
            visit.call(&entry.rule)?;
            visit.call(&entry.endpoint)?;
            visit.call(&entry.redirect)?;
            for default in &entry.defaults {
                visit.call(default)?;
            }
            for object in &entry.held {
                visit.call(&object.0)?;
            }
        }
        Ok(())
    }
}
