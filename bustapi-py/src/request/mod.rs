//! A request as Python sees it: the native half of `bustapi.request`.

pub(crate) mod attributes;
pub(crate) mod base;
pub(crate) mod body;
pub(crate) mod class;
pub(crate) mod environ;
pub(crate) mod form;
pub(crate) mod headers;
pub(crate) mod multi_dict;
pub(crate) mod object;
pub(crate) mod raw;
