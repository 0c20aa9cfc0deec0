//! Responses.

use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderValue};

use crate::body::Body;

/// A response: status, header fields (repeats and order kept) and body.
pub type Response = http::Response<Body>;

/// A plain-text response, for answers made by the server itself.
///
/// ```
/// let response = bustapi_http::text_response(http::StatusCode::NOT_FOUND, "Not Found\n");
/// assert_eq!(response.headers()["content-type"], "text/plain; charset=utf-8");
/// ```
#[must_use]
pub fn text_response(status: StatusCode, text: &'static str) -> Response {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    response
}
