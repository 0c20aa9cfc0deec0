//! The steps of a request: the native half of `bustapi.plan` and `bustapi.lifecycle`.

mod ending;
pub(crate) mod error_handlers;
pub(crate) mod functions;
pub(crate) mod hooks;
pub(crate) mod outcome;
pub(crate) mod plan;
pub(crate) mod steps;
pub(crate) mod verdict;
