//! The application and the request that are current: the native half of `bustapi.ctx` and
//! `bustapi.globals`.

pub(crate) mod app;
pub(crate) mod proxy;
pub(crate) mod request;
pub(crate) mod url_for;
