//! Where a request's steps end early, and the part of the package that goes on from there.

use pyo3::prelude::*;

use crate::ground::context_variable;
use crate::ground::handed::Handed;

/// What the steps need of the Python package.
pub(crate) struct PythonNames {
    /// `bustapi.plan.describe`.
    pub(crate) describe: Py<PyAny>,
    /// The variables of `bustapi.globals`.
    pub(crate) cv_app: Py<PyAny>,
    pub(crate) cv_request: Py<PyAny>,
}

static PLAN: Handed<Py<PyAny>> = Handed::by("bustapi.plan");

/// Hands over `bustapi.plan.describe`; called once, where it is defined.
#[pyfunction]
pub(crate) fn set_plan(describe: &Bound<'_, PyAny>) -> PyResult<()> {
    PLAN.set(describe.py(), describe.clone().unbind())
}

impl PythonNames {
    /// What was handed over.
    ///
    /// # Errors
    ///
    /// `RuntimeError` before its modules were imported.
    pub(crate) fn of(py: Python<'_>) -> PyResult<Self> {
        let describe = PLAN.get(py)?;
        let variables = context_variable::variables(py)?;
        Ok(Self {
            describe: describe.clone_ref(py),
            cv_app: variables.app.clone_ref(py),
            cv_request: variables.request.clone_ref(py),
        })
    }
}

/// How far a request got when an exception was raised.
pub(crate) enum Failure {
    /// A hook or the view raised it: the application's error handlers are asked.
    Dispatching(PyErr),
    /// Making the response raised it, or pushing the context.
    Finalizing(PyErr),
}
