//! A server and its end.

#[cfg(unix)]
pub mod lifeline;
pub(crate) mod listener;
pub(crate) mod server;
pub mod shutdown;
