//! A server and its end.

mod clock;
mod entrance;
#[cfg(unix)]
pub mod lifeline;
pub(crate) mod listener;
pub(crate) mod running;
pub(crate) mod server;
pub mod shutdown;
