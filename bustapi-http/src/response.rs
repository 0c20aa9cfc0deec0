//! Responses.

use bytes::Bytes;
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderValue};

use crate::body::Body;

/// A response: status, header fields (repeats and order kept) and body.
pub type Response = http::Response<Body>;

/// The reason phrase of a status line, where it is not the usual one: an extension of a
/// [`Response`].
///
/// ```
/// use bustapi_http::ReasonPhrase;
///
/// assert_eq!(ReasonPhrase::new("NOT FOUND").unwrap().as_bytes(), b"NOT FOUND");
/// assert!(ReasonPhrase::new("a\r\nb").is_none());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReasonPhrase(Bytes);

impl ReasonPhrase {
    /// `None` where `text` holds characters that a status line must not (RFC 9112, section 4).
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let sendable = |byte: u8| matches!(byte, b'\t' | b' '..=b'~' | 0x80..);
        text.bytes()
            .all(sendable)
            .then(|| Self(Bytes::copy_from_slice(text.as_bytes())))
    }

    /// The phrase as it is sent.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The phrase as it is sent.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        self.0
    }
}

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
