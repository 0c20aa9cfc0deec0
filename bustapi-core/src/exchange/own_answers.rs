//! Answers that the server makes itself: to requests that it refuses or cannot read, that no rule
//! of a Rust handler's map matches, or whose handler failed.

use bustapi_http::{Response, text_response};
use bustapi_router::{MatchError, MethodSet};
use http::StatusCode;
use http::header::{ALLOW, CONNECTION, HeaderName, HeaderValue, LOCATION};

use crate::error::ReadError;
use crate::log::log;

/// The answer to a request whose handler failed without one.
#[must_use]
pub fn internal_error() -> Response {
    text_response(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error\n")
}

/// The answer to a target that is neither a path nor an absolute URL.
pub(crate) fn bad_target() -> Response {
    closing(
        StatusCode::BAD_REQUEST,
        "Bad Request: the target is neither a path nor a URL\n",
    )
}

/// The answer to an absolute URL whose authority is no host.
pub(crate) fn bad_authority() -> Response {
    closing(
        StatusCode::BAD_REQUEST,
        "Bad Request: the target names no host, or names a user\n",
    )
}

/// The answer to a body that breaks off or breaks the rules of HTTP.
fn bad_body() -> Response {
    closing(
        StatusCode::BAD_REQUEST,
        "Bad Request: the body broke off or is malformed\n",
    )
}

/// The answer to a target beyond the limit.
pub(crate) fn target_too_long() -> Response {
    closing(StatusCode::URI_TOO_LONG, "Request-URI Too Long\n")
}

/// The answer to CONNECT, as this is no proxy.
pub(crate) fn no_tunnel() -> Response {
    closing(StatusCode::NOT_IMPLEMENTED, "Not Implemented\n")
}

/// The answer when a request's body cannot be read: 413 or 400. It closes the connection,
/// as what is left of the body would be taken for the next request.
pub(crate) fn unreadable_body(error: &ReadError) -> Response {
    match error {
        ReadError::TooLarge { .. } => {
            closing(StatusCode::PAYLOAD_TOO_LARGE, "Request Entity Too Large\n")
        }
        ReadError::Store(_) => internal_error(),
        ReadError::Broken(_) | ReadError::Answered => bad_body(),
    }
}

/// The answer to a request that no rule matches: 404, 405 with the methods that are allowed, 308
/// to the canonical URL, 400 or 500.
pub(crate) fn unmatched(error: &MatchError) -> Response {
    let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let response = text_response(status, "");
    match error {
        MatchError::MethodNotAllowed { allowed } => {
            with_header(response, ALLOW, &allowed.to_string())
        }
        MatchError::RequestRedirect { url } => with_header(response, LOCATION, url),
        MatchError::Failed { .. } => {
            log(&format!("a request could not be routed: {error}"));
            internal_error()
        }
        _ => response,
    }
}

/// The answer to OPTIONS for a path whose rules allow these methods.
pub(crate) fn allowed_methods(allowed: &MethodSet) -> Response {
    let mut allowed = allowed.clone();
    allowed.insert("OPTIONS");
    with_header(
        text_response(StatusCode::OK, ""),
        ALLOW,
        &allowed.to_string(),
    )
}

/// `response` with another field; or 400 where the value cannot be sent in one, as that of a
/// redirect to a malformed host.
fn with_header(mut response: Response, name: HeaderName, value: &str) -> Response {
    match HeaderValue::from_str(value) {
        Ok(value) => {
            response.headers_mut().insert(name, value);
            response
        }
        Err(_) => bad_target(),
    }
}

/// An answer after which the connection is closed.
fn closing(status: StatusCode, text: &'static str) -> Response {
    let mut response = text_response(status, text);
    response
        .headers_mut()
        .insert(CONNECTION, HeaderValue::from_static("close"));
    response
}
