//! What modules of the Python package hand over when they are imported.
//!
//! The extension looks up none of them by name. So it depends on what it is given, and a module
//! may be called and placed as the package likes.

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

/// A place for what one module hands over, once.
pub(crate) struct Handed<T> {
    cell: PyOnceLock<T>,
    module: &'static str,
}

impl<T> Handed<T> {
    /// A place for what `module` hands over.
    pub(crate) const fn by(module: &'static str) -> Self {
        Self {
            cell: PyOnceLock::new(),
            module,
        }
    }

    /// What was handed over.
    ///
    /// # Errors
    ///
    /// `RuntimeError` before the module was imported.
    pub(crate) fn get(&self, py: Python<'_>) -> PyResult<&T> {
        self.cell.get(py).ok_or_else(|| {
            PyRuntimeError::new_err(format!("{} has not been imported", self.module))
        })
    }

    /// Keeps what is handed over.
    ///
    /// # Errors
    ///
    /// `RuntimeError` if something was before.
    pub(crate) fn set(&self, py: Python<'_>, handed: T) -> PyResult<()> {
        self.cell.set(py, handed).map_err(|_| {
            let module = self.module;
            PyRuntimeError::new_err(format!("{module} has handed over its part before"))
        })
    }
}
