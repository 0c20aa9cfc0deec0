//! The methods of `bustapi.routing.Map`'s native base.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use bustapi_router::{Rule, UnreachableCause};
use pyo3::exceptions::PyRuntimeError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use super::bound_map::{self, Binding};
use super::environ;
use super::rule_map::{RuleMap, lock};

/// A rule that never matches, why, and the rule that takes its requests.
type Report<'py> = (Bound<'py, PyAny>, String, Option<Bound<'py, PyAny>>);

/// An argument for which `None` is no default, but a value like any other.
#[derive(Clone, Copy)]
struct Given<'a, 'py>(Option<Borrowed<'a, 'py, PyAny>>);

impl<'a, 'py> FromPyObject<'a, 'py> for Given<'a, 'py> {
    type Error = PyErr;

    fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        Ok(Self(Some(object)))
    }
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
            default_subdomain: Mutex::new(None),
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

    /// Where the variable of this number begins in a rule string, in characters, be it malformed
    /// or not; `None` where there are fewer.
    #[staticmethod]
    fn _variable_position(rule: &str, number: usize) -> Option<usize> {
        let position = Rule::variable_position(rule, number)?;
        Some(rule[..position].chars().count())
    }

    /// Has the rules' attributes read again before the next match.
    fn _forget(&self) {
        self.shared.forget();
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
        snapshot.rules().map(|rule| rule.clone_ref(py)).collect()
    }

    /// The rules that can never match, in the order of adding: each with the cause, and with the
    /// rule that takes its requests where there is one. Rules that are only for building are left
    /// out; not every rule that never matches is found.
    ///
    /// :raises `RuntimeError`: a class of this map, or of its rules, changes how they match.
    fn unreachable_rules<'py>(slf: &Bound<'py, Self>) -> PyResult<Vec<Report<'py>>> {
        let py = slf.py();
        let snapshot = slf.get().snapshot();
        if snapshot.foreign {
            return Err(PyRuntimeError::new_err(
                "nothing is known of rules or a map that match in a way of their own",
            ));
        }
        let report = snapshot.map.unreachable_rules().into_iter().map(|found| {
            let taker = match found.cause {
                UnreachableCause::TakenBy(taker) => Some(snapshot.rule(py, taker)),
                _ => None,
            };
            (
                snapshot.rule(py, found.rule),
                found.cause.to_string(),
                taker,
            )
        });
        Ok(report.collect())
    }

    /// Binds the map; arguments and errors are those of Werkzeug's `Map.bind`.
    #[pyo3(signature = (
        server_name, script_name=None, subdomain=None, url_scheme=Given(None),
        default_method=Given(None), path_info=None, query_args=None
    ))]
    #[expect(clippy::too_many_arguments, reason = "they are Werkzeug's")]
    fn bind<'py>(
        slf: &Bound<'py, Self>,
        server_name: &Bound<'py, PyAny>,
        script_name: Option<&Bound<'py, PyAny>>,
        subdomain: Option<&Bound<'py, PyAny>>,
        url_scheme: Given<'_, 'py>,
        default_method: Given<'_, 'py>,
        path_info: Option<&Bound<'py, PyAny>>,
        query_args: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let binding = Binding {
            script_name,
            subdomain,
            url_scheme: url_scheme.0.as_deref(),
            default_method: default_method.0.as_deref(),
            path_info,
            query_args,
        };
        bound_map::bind(slf, server_name, &binding)
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
        } else if name == "default_subdomain" {
            let old = lock(&self.default_subdomain).replace(value.clone().unbind());
            // Outside of the lock: dropping a Python object can run anything.
            drop(old);
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
        if let Ok(assigned) = self.default_subdomain.try_lock() {
            visit.call(&*assigned)?;
        }
        // Shared with a server or a request under way, the objects are held from outside.
        if Arc::strong_count(&self.shared) > 1 {
            return Ok(());
        }
        self.shared.traverse(&visit)
    }

    fn __clear__(&self) {
        let assigned = lock(&self.default_subdomain).take();
        drop(assigned);
        self.shared.clear();
    }
}
