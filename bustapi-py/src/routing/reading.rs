//! Reads a bound `werkzeug.routing.Rule` into a rule of the router.

use std::sync::Arc;

use bustapi_router::{BoundRule, MethodSet, Rule, RuleId, Value};
use pyo3::exceptions::PyValueError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use super::converter::translate;
use super::object::{PythonObject, basic_value};

/// A Python rule, and what answers are made of, by the number of its rule.
#[derive(Debug)]
pub(crate) struct RuleEntry {
    pub(crate) id: RuleId,
    pub(crate) rule: Py<PyAny>,
    pub(crate) endpoint: Py<PyAny>,
    /// The names of a match's values, interned, in the router's order.
    pub(crate) names: Box<[Py<PyString>]>,
    /// The default that stands in for each value.
    pub(crate) defaults: Box<[Option<Py<PyAny>>]>,
    /// A callable `redirect_to`.
    pub(crate) redirect: Option<Py<PyAny>>,
    /// All other Python objects that the router holds for this rule.
    pub(crate) held: Vec<Arc<PythonObject>>,
    pub(crate) calls_python: bool,
    /// Whether building calls Python, whatever the values.
    pub(crate) builds_with_python: bool,
}

impl RuleEntry {
    /// Shows the garbage collector the objects that only this entry holds.
    pub(crate) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.rule)?;
        visit.call(&self.endpoint)?;
        visit.call(&self.redirect)?;
        for default in &self.defaults {
            visit.call(default)?;
        }
        for object in &self.held {
            visit.call(&object.0)?;
        }
        Ok(())
    }
}

/// A rule of the router that is not yet in a map, and what its entry will hold.
pub(crate) struct Reading {
    pub(crate) rule: Rule,
    pub(crate) rest: Rest,
}

/// What of a Python rule the router does not know.
#[derive(Default)]
pub(crate) struct Rest {
    redirect: Option<Py<PyAny>>,
    held: Vec<Arc<PythonObject>>,
    calls_python: bool,
    builds_with_python: bool,
}

fn unsuited(what: &str) -> PyErr {
    PyValueError::new_err(format!("the router cannot take {what}"))
}

/// Reads the attributes of `rule`; `endpoint` is the router's name for its endpoint.
///
/// # Errors
///
/// Where an attribute is not of the type that the router needs.
pub(crate) fn read(rule: &Bound<'_, PyAny>, endpoint: &str) -> PyResult<Reading> {
    let py = rule.py();
    let flag = |name: &Bound<'_, PyString>| rule.getattr(name)?.extract::<bool>();
    let text = |name: &Bound<'_, PyString>| rule.getattr(name)?.extract::<Option<String>>();
    let string: String = rule.getattr(intern!(py, "rule"))?.extract()?;
    let mut native = Rule::new(string)
        .endpoint(endpoint)
        .strict_slashes(rule.getattr(intern!(py, "strict_slashes"))?.is_truthy()?)
        .merge_slashes(flag(intern!(py, "merge_slashes"))?)
        .alias(flag(intern!(py, "alias"))?)
        .build_only(flag(intern!(py, "build_only"))?)
        .websocket(flag(intern!(py, "websocket"))?);
    if let Some(subdomain) = text(intern!(py, "subdomain"))? {
        native = native.subdomain(subdomain);
    }
    if let Some(host) = text(intern!(py, "host"))? {
        native = native.host(host);
    }
    let methods = rule.getattr(intern!(py, "methods"))?;
    if !methods.is_none() {
        native = native.method_set(read_methods(&methods)?);
    }

    let mut rest = Rest::default();
    native = rest.read_defaults(native, &rule.getattr(intern!(py, "defaults"))?)?;
    let target = rule.getattr(intern!(py, "redirect_to"))?;
    if let Ok(url) = target.cast::<PyString>() {
        native = native.redirect_to(url.to_str()?);
    } else if !target.is_none() {
        rest.redirect = Some(target.unbind());
        rest.calls_python = true;
    }
    let converters = rule
        .getattr(intern!(py, "_converters"))?
        .cast_into::<PyDict>()?;
    if count_variables(&rule.getattr(intern!(py, "_trace"))?)? > converters.len() {
        return Err(unsuited("two converters of one variable"));
    }
    for (name, object) in &converters {
        let name = name.cast_into::<PyString>()?;
        let translated = translate(&object)?;
        native = native.converter(name.to_str()?, translated.converter);
        rest.held.extend(translated.held);
        rest.calls_python |= translated.calls_python;
        rest.builds_with_python |= translated.builds_with_python;
    }
    Ok(Reading { rule: native, rest })
}

/// How many variables the rule string has, each time counted.
fn count_variables(trace: &Bound<'_, PyAny>) -> PyResult<usize> {
    let mut count = 0;
    for step in trace.try_iter()? {
        let (is_variable, _): (bool, Bound<'_, PyAny>) = step?.extract()?;
        count += usize::from(is_variable);
    }
    Ok(count)
}

fn read_methods(methods: &Bound<'_, PyAny>) -> PyResult<MethodSet> {
    let mut set = MethodSet::new();
    for method in methods.try_iter()? {
        let method: String = method?.extract()?;
        // Werkzeug compares methods as they are written. Those of a `Rule` are in upper case unless
        // the program has changed them.
        if method.to_uppercase() != method {
            return Err(unsuited("methods that are not in upper case"));
        }
        set.insert(&method);
    }
    Ok(set)
}

impl Rest {
    fn read_defaults(&mut self, mut native: Rule, defaults: &Bound<'_, PyAny>) -> PyResult<Rule> {
        if !defaults.is_truthy()? {
            return Ok(native);
        }
        let items = defaults.call_method0(intern!(defaults.py(), "items"))?;
        for item in items.try_iter()? {
            let (name, default): (Bound<'_, PyString>, Bound<'_, PyAny>) = item?.extract()?;
            let value = basic_value(&default).unwrap_or_else(|| {
                let object = PythonObject::new(&default);
                self.held.push(Arc::clone(&object));
                self.builds_with_python = true;
                Value::Object(object)
            });
            native = native.default(name.to_str()?, value);
        }
        Ok(native)
    }

    /// The entry for `rule`, now that the map has made `bound` of it.
    ///
    /// # Errors
    ///
    /// Where an attribute that was there is no more.
    pub(crate) fn entry(self, rule: &Bound<'_, PyAny>, bound: &BoundRule) -> PyResult<RuleEntry> {
        let py = rule.py();
        let defaults = rule.getattr(intern!(py, "defaults"))?;
        let has_defaults = !bound.defaults().is_empty();
        let default = |name: &str| -> PyResult<Option<Py<PyAny>>> {
            if !has_defaults || !bound.defaults().iter().any(|(of, _)| **of == *name) {
                return Ok(None);
            }
            Ok(Some(defaults.get_item(name)?.unbind()))
        };
        let names = bound.value_names();
        Ok(RuleEntry {
            id: bound.id(),
            names: names
                .iter()
                .map(|name| PyString::intern(py, name).unbind())
                .collect(),
            defaults: names
                .iter()
                .map(|name| default(name))
                .collect::<PyResult<_>>()?,
            endpoint: rule.getattr(intern!(py, "endpoint"))?.unbind(),
            rule: rule.clone().unbind(),
            redirect: self.redirect,
            held: self.held,
            calls_python: self.calls_python,
            builds_with_python: self.builds_with_python,
        })
    }
}
