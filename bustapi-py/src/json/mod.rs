//! JSON between Python's objects and text: the native half of `bustapi.json`.

pub(crate) mod provider;
pub(crate) mod read;
pub(crate) mod write;
