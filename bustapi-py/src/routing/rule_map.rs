//! The rules of a map, shared with whoever serves it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use super::references::References;
use super::snapshot::{SharedMap, Snapshot};

/// The native base of `bustapi.routing.Map`.
#[pyclass(subclass, frozen, module = "bustapi._native")]
pub(crate) struct RuleMap {
    pub(super) shared: Arc<SharedMap>,
    pub(super) host_matching: AtomicBool,
    /// The setting as it was last assigned; `None` before that.
    pub(super) default_subdomain: Mutex<Option<Py<PyAny>>>,
    /// Endpoints that are no strings, and the names they have in the router.
    pub(super) other_endpoints: Py<PyDict>,
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

    /// The subdomain of rules and adapters that name none.
    ///
    /// # Errors
    ///
    /// What a property of a subclass raises.
    pub(crate) fn default_subdomain<'py>(
        map: &Bound<'py, Self>,
        known: &References,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = map.py();
        // A subclass may have a property of this name, so that only the package's own class is
        // known to give the setting as it was assigned.
        if std::ptr::eq(map.get_type_ptr(), known.maps.get().class(py).as_type_ptr())
            && let Some(assigned) = &*lock(&map.get().default_subdomain)
        {
            return Ok(assigned.bind(py).clone());
        }
        map.getattr(intern!(py, "default_subdomain"))
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

    pub(super) fn name_endpoint<'py>(
        &self,
        endpoint: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyString>> {
        if let Some(known) = self.endpoint_name(endpoint)? {
            return Ok(known);
        }
        let py = endpoint.py();
        let others = self.other_endpoints.bind(py);
        // Endpoints that begin with a NUL are given such names as well, so that no two names are
        // the same.
        let name = PyString::new(py, &format!("\0{}", others.len()));
        others.set_item(endpoint, &name)?;
        Ok(name)
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An endpoint that is its own name.
fn plain_text<'py>(endpoint: &Bound<'py, PyAny>) -> Option<Bound<'py, PyString>> {
    let text = endpoint.cast_exact::<PyString>().ok()?;
    let own = text.to_str().is_ok_and(|text| !text.starts_with('\0'));
    own.then(|| text.clone())
}
