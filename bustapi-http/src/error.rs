//! What can be wrong with a message, and the status that each fault is answered with.
//!
//! Faults of the peer and of the application share one type, so that a caller can pass any of
//! them on; [`HttpError::status_hint`] tells them apart: the application's are 500.

use http::StatusCode;

/// A fault in a message, with the input that shows it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// Text that must be UTF-8 is not; 400.
    #[error("{what} is not UTF-8: invalid byte at {position}")]
    InvalidUtf8 {
        /// Which text: `query string`, `cookie`, `form`, ...
        what: &'static str,
        /// Offset in bytes of the first invalid byte.
        position: usize,
    },

    /// A `multipart` content type without a usable `boundary`; 400.
    #[error("missing or invalid multipart boundary `{boundary}`")]
    InvalidBoundary {
        /// The parameter as received; empty where it is missing.
        boundary: String,
    },

    /// A `multipart` content type with a `boundary` beyond the limit; 400.
    #[error("the multipart boundary has {length} bytes, and {limit} at most are read")]
    BoundaryTooLong {
        /// Its length in bytes.
        length: usize,
        /// The limit in bytes.
        limit: usize,
    },

    /// A multipart body that cannot be parsed any further; 400.
    #[error("malformed multipart body: {detail}")]
    MalformedMultipart {
        /// What is wrong.
        detail: String,
    },

    /// Form fields that would take more memory than allowed; 413.
    #[error("the form's fields are longer than {limit} bytes")]
    FormTooLarge {
        /// The limit in bytes.
        limit: usize,
    },

    /// More parts in a multipart body than allowed; 413.
    #[error("the form has more than {limit} parts")]
    TooManyParts {
        /// The limit.
        limit: usize,
    },

    /// A `Range` that is malformed or lies outside the representation; 416.
    #[error("no satisfiable range in a length of {length} bytes")]
    RangeNotSatisfiable {
        /// The complete length in bytes, for `Content-Range: bytes */length`.
        length: u64,
    },

    /// The application set a header with a name that is not a token; 500.
    #[error("invalid header name `{}`", .name.escape_debug())]
    InvalidHeaderName {
        /// The name.
        name: String,
    },

    /// The application set a header with CR, LF, NUL or text beyond Latin-1; 500.
    #[error("invalid value `{}` of header `{name}`", .value.escape_debug())]
    InvalidHeaderValue {
        /// The header.
        name: String,
        /// The value.
        value: String,
    },

    /// The application used an entity tag with a quote inside; 500.
    #[error("invalid entity tag `{tag}`")]
    InvalidEtag {
        /// The tag.
        tag: String,
    },

    /// The application set a cookie that cannot be written; 500.
    #[error("invalid {part} of a cookie: `{}`", .value.escape_debug())]
    InvalidCookie {
        /// The part at fault: `name`, `domain` or `SameSite`.
        part: &'static str,
        /// Its value.
        value: String,
    },

    /// A signed value was not signed here, is too old, or was changed; 400. Neither the value nor
    /// what is wrong with it is told, as that would help to forge one.
    #[error("invalid signature")]
    InvalidSignature,

    /// The application offered something other than `type/subtype`; 500.
    #[error("invalid media type `{media_type}`")]
    InvalidMediaType {
        /// The text.
        media_type: String,
    },

    /// Events were given to a multipart encoder in an impossible order; 500.
    #[error("a multipart encoder cannot write {event} {state}")]
    MultipartOrder {
        /// The event refused.
        event: &'static str,
        /// Where the encoder was.
        state: &'static str,
    },
}

impl HttpError {
    /// The status that answers this fault: 4xx where the peer is at fault, 500 where the
    /// application is.
    ///
    /// ```
    /// use bustapi_http::HttpError;
    ///
    /// assert_eq!(HttpError::FormTooLarge { limit: 10 }.status_hint(), 413);
    /// ```
    #[must_use]
    pub fn status_hint(&self) -> StatusCode {
        match self {
            Self::InvalidUtf8 { .. }
            | Self::InvalidSignature
            | Self::InvalidBoundary { .. }
            | Self::BoundaryTooLong { .. }
            | Self::MalformedMultipart { .. } => StatusCode::BAD_REQUEST,
            Self::FormTooLarge { .. } | Self::TooManyParts { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::RangeNotSatisfiable { .. } => StatusCode::RANGE_NOT_SATISFIABLE,
            Self::InvalidHeaderName { .. }
            | Self::InvalidHeaderValue { .. }
            | Self::InvalidEtag { .. }
            | Self::InvalidCookie { .. }
            | Self::InvalidMediaType { .. }
            | Self::MultipartOrder { .. } => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The fault of `what`, which `error` found not to be UTF-8.
    pub(crate) fn invalid_utf8(what: &'static str, error: &std::str::Utf8Error) -> Self {
        Self::InvalidUtf8 {
            what,
            position: error.valid_up_to(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_faults_are_client_errors_and_ours_are_not() {
        let peer = [
            (
                HttpError::InvalidBoundary {
                    boundary: "a b ".into(),
                },
                400,
            ),
            (HttpError::InvalidSignature, 400),
            (HttpError::TooManyParts { limit: 3 }, 413),
            (HttpError::FormTooLarge { limit: 3 }, 413),
            (HttpError::RangeNotSatisfiable { length: 3 }, 416),
        ];
        for (error, status) in peer {
            assert_eq!(error.status_hint().as_u16(), status, "{error}");
        }
        let ours = HttpError::InvalidHeaderName { name: "a b".into() };
        assert_eq!(ours.status_hint(), StatusCode::INTERNAL_SERVER_ERROR);
    }

    #[test]
    fn messages_escape_what_would_break_a_log_line() {
        let error = HttpError::InvalidHeaderValue {
            name: "x".into(),
            value: "a\r\nb".into(),
        };
        assert_eq!(error.to_string(), r"invalid value `a\r\nb` of header `x`");
    }
}
