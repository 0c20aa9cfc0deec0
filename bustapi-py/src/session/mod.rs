//! The session in its cookie: the native half of `bustapi.sessions`.

pub(crate) mod cookie;
pub(crate) mod signer;
