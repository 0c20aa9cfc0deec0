//! The state of a map that is read without Python.
//!
//! # Theory of operation
//!
//! Requests read a [`Snapshot`], which never changes. Rules are added to a working copy, which
//! becomes the next snapshot when one is next asked for; the first rule after that copies it
//! again. So any number of rules added in a row costs one copy, and a map that has come to rest
//! is held once.
//!
//! The Python objects that the snapshot and the working copy hold belong to the map, and are
//! shown to the garbage collector as its own as long as nobody else shares them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::{self, ThreadId};

use bustapi_router::{Map, Match, RuleErrorKind, RuleId};
use pyo3::exceptions::PyRuntimeError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::sync::MutexExt;
use pyo3::types::PyDict;

use super::converter::PythonEngine;
use super::object::{exception, to_python};
use super::reading::{Reading, RuleEntry, read};

/// A state of a map, to be matched without the interpreter.
#[derive(Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a property of the rules of its own"
)]
pub(crate) struct Snapshot {
    /// The rules.
    pub(crate) map: Map,
    /// Whether matching may call code of the program; it attaches by itself where it does, and
    /// also for expressions that only Python's `re` knows.
    pub(crate) calls_python: bool,
    /// Whether building may call code of the program for values of the basic types.
    pub(crate) builds_with_python: bool,
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
            builds_with_python: false,
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

    /// Takes a rule, or becomes foreign by one that the router does not know.
    ///
    /// # Errors
    ///
    /// What a converter says of the rule's defaults.
    pub(crate) fn add(&mut self, rule: &Bound<'_, PyAny>, endpoint: &str) -> PyResult<()> {
        // Once one rule is missing, the router's numbers no longer fit the map's rules.
        if self.foreign {
            return Ok(());
        }
        let py = rule.py();
        let Ok(Reading { rule: native, rest }) = read(rule, endpoint) else {
            self.foreign = true;
            return Ok(());
        };
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
        let entry = rest.entry(rule, self.map.rule(id))?;
        self.calls_python |= entry.calls_python;
        self.builds_with_python |= entry.builds_with_python;
        self.entries.push(Arc::new(entry));
        Ok(())
    }

    /// The Python rules in the order of adding; of a foreign map not all.
    pub(crate) fn rules(&self) -> impl Iterator<Item = &Py<PyAny>> {
        self.entries.iter().map(|entry| &entry.rule)
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
            // A converter that refuses a default makes the map foreign: Werkzeug's implementation
            // then raises its error when the default is used.
            if fresh.add(entry.rule.bind(py), endpoint).is_err() {
                fresh.foreign = true;
            }
        }
        fresh
    }

    /// Notes a changed setting of the map.
    ///
    /// # Errors
    ///
    /// What asking the value for its truth raises.
    pub(crate) fn set_option(&mut self, name: &str, value: &Bound<'_, PyAny>) -> PyResult<()> {
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
            // The other settings only matter to rules, which take them from the map in Python.
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

/// Names this thread as the writer for as long as it lives.
struct Writing<'a>(&'a SharedMap);

impl<'a> Writing<'a> {
    fn new(map: &'a SharedMap) -> Self {
        let writing = Self(map);
        writing.set(Some(thread::current().id()));
        writing
    }

    fn set(&self, writer: Option<ThreadId>) {
        let slot = self.0.writer.lock();
        *slot.unwrap_or_else(PoisonError::into_inner) = writer;
    }
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        self.set(None);
    }
}

impl SharedMap {
    /// The present state; attaches to the interpreter only after a change.
    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        if self.changed.load(Ordering::Acquire) {
            Python::attach(|py| self.publish(py));
        }
        self.published()
    }

    /// The present state, or `None` after a change: the interpreter is never waited for.
    pub(crate) fn settled(&self) -> Option<Arc<Snapshot>> {
        (!self.changed.load(Ordering::Acquire)).then(|| self.published())
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
            // `change` fails only where this very thread is in the middle of a change.
            read_again.expect("this thread works on no copy");
        }
        let mut working = self
            .working
            .lock_py_attached(py)
            .unwrap_or_else(PoisonError::into_inner);
        let old = working.take().map(|snapshot| self.replace(snapshot));
        self.changed.store(false, Ordering::Release);
        drop(working);
        // Outside of the locks: dropping Python objects can run anything.
        drop(old);
    }

    fn replace(&self, snapshot: Snapshot) -> Arc<Snapshot> {
        let mut published = self
            .published
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *published, Arc::new(snapshot))
    }

    /// Lets go of all that is held.
    pub(crate) fn clear(&self) {
        let working = self.working.lock();
        let working = working.unwrap_or_else(PoisonError::into_inner).take();
        drop((working, self.replace(Snapshot::default())));
    }

    /// Has the rules' attributes read again before the next match.
    pub(crate) fn forget(&self) {
        self.stale.store(true, Ordering::Release);
        self.changed.store(true, Ordering::Release);
    }

    /// Shows the garbage collector the objects that nobody but the one owner of this holds.
    pub(crate) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        let (published, working) = (self.published.try_read(), self.working.try_lock());
        let working: &[_] = match &working {
            Ok(working) => working.as_ref().map_or(&[], |working| &working.entries),
            Err(_) => &[],
        };
        if let Ok(published) = published
            && Arc::strong_count(&published) == 1
        {
            for (place, entry) in published.entries.iter().enumerate() {
                let copied = working.get(place);
                let copied = copied.is_some_and(|copy| Arc::ptr_eq(copy, entry));
                if Arc::strong_count(entry) == 1 + usize::from(copied) {
                    entry.traverse(visit)?;
                }
            }
        }
        // Of the working copy, only entries that nothing else holds.
        let mut own = working.iter().filter(|entry| Arc::strong_count(entry) == 1);
        own.try_for_each(|entry| entry.traverse(visit))
    }

    /// Changes the working copy. Readers see all of the change or nothing.
    ///
    /// # Errors
    ///
    /// What the change gives, and `RuntimeError` for a change made by another.
    pub(crate) fn change<T>(
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
        let _writing = Writing::new(self);
        self.changed.store(true, Ordering::Release);
        change(working.get_or_insert_with(|| Snapshot::clone(&self.published())))
    }
}
