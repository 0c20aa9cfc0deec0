//! A server and its end.

pub(crate) mod listener;
pub(crate) mod server;
pub mod shutdown;
