//! Functions of the application: called as they are, or through `ensure_sync`.

use std::sync::{Mutex, PoisonError};

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use rustc_hash::FxHashMap;

/// How a function is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Plain,
    /// An `async def` function.
    Coroutine,
}

/// What is known of the functions met so far.
///
/// Asking `inspect.iscoroutinefunction` takes longer than many a hook; the answer never
/// changes, so it is kept, with a reference that keeps the function's address its own.
pub(crate) struct Functions {
    is_coroutine_function: Py<PyAny>,
    known: Mutex<FxHashMap<usize, (Py<PyAny>, Kind)>>,
}

impl Functions {
    pub(crate) fn new(py: Python<'_>) -> PyResult<Self> {
        let inspect = py.import(intern!(py, "inspect"))?;
        Ok(Self {
            is_coroutine_function: inspect.getattr("iscoroutinefunction")?.unbind(),
            known: Mutex::default(),
        })
    }

    pub(crate) fn kind(&self, function: &Bound<'_, PyAny>) -> PyResult<Kind> {
        let lock = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let address = function.as_ptr() as usize;
        if let Some((_, kind)) = lock().get(&address) {
            return Ok(*kind);
        }
        let kind = self.kind_of_passing(function)?;
        lock().insert(address, (function.clone().unbind(), kind));
        Ok(kind)
    }

    /// As [`Functions::kind`], for a function that may be made anew by each request: nothing of it
    /// is kept.
    pub(crate) fn kind_of_passing(&self, function: &Bound<'_, PyAny>) -> PyResult<Kind> {
        let py = function.py();
        let asked = self.is_coroutine_function.bind(py).call1((function,))?;
        Ok(if asked.is_truthy()? {
            Kind::Coroutine
        } else {
            Kind::Plain
        })
    }

    /// Calls `function`; one that is `async def`, or any if the application has an
    /// `ensure_sync` of its own, as that says.
    pub(crate) fn call<'py>(
        &self,
        app: &Bound<'py, PyAny>,
        own_ensure_sync: bool,
        function: &Bound<'py, PyAny>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        if !own_ensure_sync && self.kind(function)? == Kind::Plain {
            return function.call(args, kwargs);
        }
        ensure_sync(app, function)?.call(args, kwargs)
    }

    /// As [`Functions::call`], for a function that was registered for one request.
    pub(crate) fn call_passing<'py>(
        &self,
        app: &Bound<'py, PyAny>,
        own_ensure_sync: bool,
        function: &Bound<'py, PyAny>,
        args: &Bound<'py, PyTuple>,
    ) -> PyResult<Bound<'py, PyAny>> {
        if !own_ensure_sync && self.kind_of_passing(function)? == Kind::Plain {
            return function.call1(args);
        }
        ensure_sync(app, function)?.call1(args)
    }
}

fn ensure_sync<'py>(
    app: &Bound<'py, PyAny>,
    function: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    app.call_method1(intern!(app.py(), "ensure_sync"), (function,))
}
