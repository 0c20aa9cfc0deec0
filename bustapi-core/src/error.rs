//! What can go wrong before a request is answered.

use std::io;

/// Why a server could not start or go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// The address could not be listened on: in use, not permitted, or not of this machine.
    #[error("cannot listen on `{address}`: {source}")]
    Bind {
        /// The address as configured.
        address: String,
        /// The system's reason.
        source: io::Error,
    },
    /// The asynchronous runtime could not be made.
    #[error("cannot start the runtime: {0}")]
    Runtime(io::Error),
    /// The listening socket failed for good while serving.
    #[error("cannot accept connections: {0}")]
    Accept(io::Error),
}

/// Why a setting cannot have a value.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettingError {
    /// Nothing has this name.
    #[error("there is no setting `{name}`")]
    Unknown {
        /// The name as given.
        name: String,
    },
    /// It holds another kind of value.
    #[error("`{name}` must be {expected}")]
    Kind {
        /// The setting.
        name: &'static str,
        /// What it holds.
        expected: &'static str,
    },
    /// It is less or more than a server can work with.
    #[error("`{name}` must be {least} to {most}, not {given}")]
    Range {
        /// The setting.
        name: &'static str,
        /// The smallest value.
        least: i64,
        /// The largest value.
        most: i64,
        /// The value as given.
        given: String,
    },
}

/// Why a request's body could not be read to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// More bytes came than the limit allows; answers 413.
    #[error("the body is longer than {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// The client closed the connection or broke the message framing; answers 400.
    #[error("the body broke off: {0}")]
    Broken(#[from] hyper::Error),
    /// What had been received of it could not be kept in a file, or read from there.
    #[error("the body cannot be kept in a temporary file: {0}")]
    Store(io::Error),
    /// The request has been answered, and the connection has taken back what was left of the body.
    #[error("the body cannot be read any more, as its request has been answered")]
    Answered,
}
