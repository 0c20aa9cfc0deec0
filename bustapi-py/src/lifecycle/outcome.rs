//! Where a request's steps end early, and the part of the package that goes on from there.

use pyo3::prelude::*;

/// What the road needs of the Python package.
pub(crate) struct Package {
    /// `bustapi.plan.describe`.
    pub(crate) describe: Py<PyAny>,
    /// `bustapi.plan.recover`.
    pub(crate) recover: Py<PyAny>,
    /// The variables of `bustapi.globals`.
    pub(crate) cv_app: Py<PyAny>,
    pub(crate) cv_request: Py<PyAny>,
}

/// How far a request got when an exception was raised; `bustapi.plan.recover` goes on there.
pub(crate) enum Failure {
    /// A hook or the view raised it: the application's error handlers are asked.
    Dispatching(PyErr),
    /// Making the response raised it, or pushing the context.
    Finalizing(PyErr),
}
