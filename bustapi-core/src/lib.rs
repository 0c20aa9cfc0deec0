//! An HTTP server on tokio and hyper, with limits, time-outs and an orderly end.
//!
//! A [`Listener`] and a [`Config`] make a [`Server`], whose requests go through a [`Dispatcher`]
//! to [`Handler`]s. Calls that may block are placed by the [`executor`]. Nothing here knows
//! Python.
//!
//! # The road of a request
//!
//! 1. The listener accepts a connection and puts it under the watch, which ends it when its
//!    time is up. The watch costs no timer per request: it compares ticks.
//! 2. The connection's bytes pass the [`framing`] guard, which keeps from hyper what two
//!    parsers could read differently.
//! 3. hyper parses a head; the connection refuses what no handler should see, and reads small
//!    bodies beforehand.
//! 4. The handler completes its [`Responder`], here and now or from anywhere later. A panic or
//!    a dropped responder answers 500.
//! 5. What contradicts the framing of the answer is corrected, and hyper writes it. At the
//!    body's end the request is noted in the access log.
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
mod file_body;
pub mod framing;
mod habit;
mod handler;
mod listener;
mod lock;
mod pool;
mod server;
pub mod shutdown;
mod static_files;
mod stream;
mod turn;
mod usage;
mod watch;

pub use access_log::{AccessHook, AccessRecord};
pub use body::{IncomingBody, RequestBody};
pub use bustapi_http as http_message;
pub use config::Config;
pub use dispatch::{Dispatcher, Matched, Routed, Routes};
pub use error::{ReadError, ServerError};
pub use fault::{internal_error, log, set_logger};
pub use handler::{Answer, Handler, Responder, responder};
pub use listener::{Address, Listener};
pub use server::Server;
pub use static_files::{Coding, FileError, StaticFiles, accepted_codings, is_coded};

// The examples of the README are tested with the documentation's.
#[doc = include_str!("../README.md")]
#[cfg(doctest)]
struct Readme;
