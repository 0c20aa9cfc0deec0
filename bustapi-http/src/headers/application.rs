//! Header fields that an application sets: which names and values may be sent, and which fields
//! are not its own to set.

use http::header::{CONNECTION, HeaderMap, HeaderName, HeaderValue, TE, TRAILER};
use http::header::{TRANSFER_ENCODING, UPGRADE};

use super::names::{KEEP_ALIVE, PROXY_CONNECTION};
use crate::error::HttpError;

/// Checks a name that the application set.
///
/// # Errors
///
/// [`HttpError::InvalidHeaderName`] unless it is a token.
pub fn header_name(name: &str) -> Result<HeaderName, HttpError> {
    HeaderName::from_bytes(name.as_bytes()).map_err(|_| HttpError::InvalidHeaderName {
        name: name.to_owned(),
    })
}

/// Checks a value that the application set for `name`, and encodes it as Latin-1.
///
/// White space at the ends would not survive the wire (RFC 9110 section 5.5) and is removed.
///
/// # Errors
///
/// [`HttpError::InvalidHeaderValue`] for control characters (CR, LF and NUL above all: they
/// would end the field) and for characters beyond U+00FF.
///
/// ```
/// use bustapi_http::headers::header_value;
///
/// assert_eq!(header_value("x", "caf\u{e9}").unwrap().as_bytes(), b"caf\xe9");
/// assert!(header_value("x", "a\r\nSet-Cookie: b").is_err());
/// ```
pub fn header_value(name: &str, value: &str) -> Result<HeaderValue, HttpError> {
    let trimmed = value.trim_matches([' ', '\t']);
    let parsed = if trimmed.is_ascii() {
        HeaderValue::from_str(trimmed).ok()
    } else {
        trimmed
            .chars()
            .map(|c| u8::try_from(u32::from(c)).ok())
            .collect::<Option<Vec<u8>>>()
            .and_then(|bytes| HeaderValue::from_maybe_shared(bytes::Bytes::from(bytes)).ok())
    };
    parsed.ok_or_else(|| HttpError::InvalidHeaderValue {
        name: name.to_owned(),
        value: value.to_owned(),
    })
}

/// Builds a map from the application's pairs; repeats are kept.
///
/// # Errors
///
/// As [`header_name`] and [`header_value`].
pub fn header_map<'a>(
    pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Result<HeaderMap, HttpError> {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(header_name(name)?, header_value(name, value)?);
    }
    Ok(headers)
}

/// Whether a field is the connection's, and so the server's to write: it says how this hop frames
/// and keeps what it sends, which an application cannot know (PEP 3333, "other HTTP features";
/// RFC 9110 section 7.6.1). The two fields by which proxies ask for credentials are for the next
/// hop as well, but an application that is a proxy answers with them.
#[must_use]
pub fn is_of_the_connection(name: &HeaderName) -> bool {
    [
        CONNECTION,
        KEEP_ALIVE,
        PROXY_CONNECTION,
        TE,
        TRAILER,
        TRANSFER_ENCODING,
        UPGRADE,
    ]
    .contains(name)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_would_split_a_response_is_refused() {
        for value in [
            "a\r\nb", "a\nb", "a\rb", "a\0b", "a\u{7f}", "a\u{100}", "a\x1bb",
        ] {
            let error = header_value("x-name", value).unwrap_err();
            assert_eq!(
                error,
                HttpError::InvalidHeaderValue {
                    name: "x-name".into(),
                    value: value.into()
                }
            );
        }
        for name in ["", "a b", "a:", "a\n", "é"] {
            assert!(header_name(name).is_err(), "{name:?}");
        }
        assert_eq!(header_value("x", " \ta b\t ").unwrap(), "a b");
    }

    #[test]
    fn fields_of_the_connection() {
        for name in [
            "Connection",
            "keep-alive",
            "TE",
            "proxy-connection",
            "transfer-encoding",
        ] {
            assert!(is_of_the_connection(&header_name(name).unwrap()), "{name}");
        }
        for name in [
            "content-length",
            "date",
            "proxy-authenticate",
            "x-connection",
            "t",
        ] {
            assert!(!is_of_the_connection(&header_name(name).unwrap()), "{name}");
        }
    }

    proptest! {
        #[test]
        fn what_is_taken_cannot_end_its_field(name in any::<String>(), value in any::<String>()) {
            if let Ok(name) = header_name(&name) {
                let is_token = |byte: u8| byte.is_ascii_graphic() && !b"\"(),/:;<=>?@[\\]{}".contains(&byte);
                prop_assert!(!name.as_str().is_empty() && name.as_str().bytes().all(is_token));
            }
            if let Ok(taken) = header_value("x", &value) {
                prop_assert!(taken.as_bytes().iter().all(|byte| *byte == b'\t' || (*byte >= b' ' && *byte != 0x7f)));
                let text: String = taken.as_bytes().iter().map(|byte| char::from(*byte)).collect();
                prop_assert_eq!(text, value.trim_matches([' ', '\t']));
            }
        }
    }
}
