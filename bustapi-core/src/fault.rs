//! Answers to requests that never reach a handler, or whose handler failed.

use std::sync::OnceLock;

use bustapi_http::{Response, text_response};
use http::StatusCode;
use http::header::{CONNECTION, HeaderValue};

use crate::error::ReadError;

/// Where the server's own messages go: set once by the embedding program.
static LOGGER: OnceLock<fn(&str)> = OnceLock::new();

/// Sends the server's own messages to `logger` instead of standard error. Only the first
/// call has an effect; it returns whether this was it.
pub fn set_logger(logger: fn(&str)) -> bool {
    LOGGER.set(logger).is_ok()
}

/// Reports a fault of the server's own.
pub fn log(message: &str) {
    match LOGGER.get() {
        Some(logger) => logger(message),
        None => write_stderr(message),
    }
}

#[expect(
    clippy::print_stderr,
    reason = "the last resort, when no logger is set"
)]
fn write_stderr(message: &str) {
    eprintln!("bustapi: {message}");
}

/// The answer to a request whose handler failed without one.
#[must_use]
pub fn internal_error() -> Response {
    text_response(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error\n")
}

/// The answer when a request's body cannot be read: 413 or 400. It closes the connection,
/// as what is left of the body would be taken for the next request.
#[must_use]
pub(crate) fn unreadable_body(error: &ReadError) -> Response {
    let mut response = match error {
        ReadError::TooLarge { .. } => {
            text_response(StatusCode::PAYLOAD_TOO_LARGE, "Request Entity Too Large\n")
        }
        ReadError::Broken(_) => text_response(StatusCode::BAD_REQUEST, "Bad Request\n"),
    };
    response
        .headers_mut()
        .insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

/// What is written by hand to a connection whose head did not arrive in time.
pub(crate) const HEAD_TIMEOUT_ANSWER: &[u8] = b"HTTP/1.1 408 Request Timeout\r\n\
    content-type: text/plain; charset=utf-8\r\ncontent-length: 16\r\n\
    connection: close\r\n\r\nRequest Timeout\n";
