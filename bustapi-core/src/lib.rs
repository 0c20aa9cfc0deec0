//! An HTTP server on tokio and hyper, with limits, time-outs and an orderly end.
//!
//! Requests go to [`Handler`]s, natively written or otherwise; calls that may block are
//! placed by the [`executor`]. Nothing here knows Python.
#![forbid(unsafe_code)]

mod body;
mod config;
mod connection;
mod dispatch;
mod error;
pub mod executor;
mod fault;
mod handler;
mod listener;
mod server;
mod stream;
mod watch;

pub use body::{IncomingBody, RequestBody};
pub use bustapi_http as http_message;
pub use config::Config;
pub use dispatch::{Dispatcher, Routed};
pub use error::{ReadError, ServerError};
pub use fault::{internal_error, log, set_logger};
pub use handler::{Answer, Handler, Responder, responder};
pub use listener::{Address, Listener};
pub use server::Server;
