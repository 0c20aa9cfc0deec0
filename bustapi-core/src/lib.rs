//! An HTTP server on tokio and hyper, with limits, time-outs and an orderly end.
//!
//! A [`Listener`] and a [`Config`] make a [`Server`], whose requests go through a [`Dispatcher`]
//! to [`Handler`]s. Calls that may block are placed by the [`executor`]. Nothing here knows
//! Python.
//!
//! # The way of a request
//!
//! 1. The listener accepts a connection. The server ends it when its time is up, which it tells
//!    by comparing ticks: a timer per request would cost more.
//! 2. The connection's bytes pass the [`framing`] guard, which keeps from hyper what two
//!    parsers could read differently.
//! 3. hyper parses a head; the connection refuses what no handler should see, and reads small
//!    bodies beforehand.
//! 4. The handler completes its [`Responder`], here and now or from anywhere later. A panic or
//!    a dropped responder answers 500.
//! 5. What contradicts the framing of the answer is corrected, and hyper writes it. At the
//!    body's end the request is noted in the access log.
#![forbid(unsafe_code)]

mod config;
mod connection;
mod dispatch;
mod error;
mod exchange;
pub mod executor;
mod lock;
mod log;
mod serve;
mod static_files;

pub use bustapi_http as http_message;
pub use config::{Config, Value};
pub use connection::framing;
pub use dispatch::handler::Handler;
pub use dispatch::routed::{Matched, Routed};
pub use dispatch::routes::{Dispatcher, Routes};
pub use error::{ReadError, ServerError, SettingError};
pub use exchange::access_log::{AccessHook, AccessRecord, RequestLine};
pub use exchange::gathered::{Gathered, Gathering};
pub use exchange::incoming::IncomingBody;
pub use exchange::own_answers::internal_error;
pub use exchange::request_body::RequestBody;
pub use exchange::responder::{Answer, Responder, responder};
pub use log::{flush_log, log, set_logger};
#[cfg(unix)]
pub use serve::lifeline;
pub use serve::listener::{Address, Listener, UNIX_MODE};
pub use serve::running::{Interrupter, Running};
pub use serve::server::Server;
pub use serve::shutdown;
pub use static_files::{Coding, FileError, StaticFiles, accepted_codings, is_coded};

// The examples of the README are tested with the documentation's.
#[doc = include_str!("../README.md")]
#[cfg(doctest)]
struct Readme;
