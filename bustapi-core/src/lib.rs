//! An HTTP server on tokio and hyper, with limits, time-outs and an orderly end.
//!
//! Requests go to [`Handler`]s, natively written or otherwise; calls that may block are
//! placed by the [`executor`]. Nothing here knows Python.
#![forbid(unsafe_code)]

mod access_log;
mod answer;
mod body;
mod config;
mod connection;
mod dispatch;
mod error;
pub mod executor;
mod fault;
pub mod framing;
mod handler;
mod listener;
mod server;
pub mod shutdown;
mod static_files;
mod stream;
mod watch;

pub use access_log::{AccessHook, AccessRecord};
pub use body::{IncomingBody, RequestBody};
pub use bustapi_http as http_message;
pub use config::Config;
pub use dispatch::{Dispatcher, Routed};
pub use error::{ReadError, ServerError};
pub use fault::{internal_error, log, set_logger};
pub use handler::{Answer, Handler, Responder, responder};
pub use listener::{Address, Listener};
pub use server::Server;
pub use static_files::{FileError, StaticFiles};
