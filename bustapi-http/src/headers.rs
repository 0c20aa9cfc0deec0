//! Header fields: text, validation, and the syntax that several fields share.
//!
//! Headers live in an [`http::HeaderMap`]. It keeps repeats in their order, and iterates over
//! names in the order of their first insertion as long as nothing is removed, so it is what
//! the wire sees; a test below holds it to that. Only repeats with another name between them
//! move together. [`remove_in_order`] removes without disturbing the order.
//!
//! Text is Latin-1, as in WSGI: each byte of a value is one `char` up to U+00FF.

mod list;
mod options;
mod quoted;

use std::borrow::Cow;

use http::header::{HeaderMap, HeaderName, HeaderValue};

pub use list::{dump_list, parse_dict, parse_list};
pub use options::{Options, dump_options, parse_options};

use crate::error::HttpError;

/// Names that the `http` crate has no constant for.
pub mod names {
    use http::header::HeaderName;

    /// `Keep-Alive`
    pub const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
    /// `Proxy-Connection`
    pub const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
    /// `X-Forwarded-For`
    pub const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
    /// `X-Request-Id`
    pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
    /// `X-Sendfile`
    pub const X_SENDFILE: HeaderName = HeaderName::from_static("x-sendfile");
}

/// The white space of header syntax (RFC 9110 section 5.6.3). Python's `str.strip` takes more,
/// and Werkzeug before 3.1.9 did.
pub(crate) const BLANKS: [char; 2] = [' ', '\t'];

/// Removes blanks at both ends.
pub(crate) fn trim(text: &str) -> &str {
    text.trim_matches(BLANKS)
}

/// A token character (RFC 9110 section 5.6.2).
pub(crate) fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// The most digits that Python's `int` takes, by default; Werkzeug reads an integer with more of
/// them as malformed.
const MAX_DIGITS: usize = 4300;

/// Parses an integer of ASCII digits with an optional `-`, blanks around it aside; the header
/// syntax has neither `+` nor `_`. Beyond 64 bits it saturates.
///
/// ```
/// use bustapi_http::headers::parse_plain_int;
///
/// assert_eq!(parse_plain_int(" -12"), Some(-12));
/// assert_eq!(parse_plain_int("1_000"), None);
/// ```
#[must_use]
pub fn parse_plain_int(text: &str) -> Option<i128> {
    let text = trim(text);
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    if digits.is_empty() || digits.len() > MAX_DIGITS {
        return None;
    }
    let mut value: i128 = 0;
    for byte in digits.bytes() {
        if !byte.is_ascii_digit() {
            return None;
        }
        value = value
            .saturating_mul(10)
            .saturating_add(i128::from(byte - b'0'));
    }
    Some(if negative { -value } else { value })
}

/// Bytes of a header as text, each byte one character.
///
/// ```
/// use bustapi_http::headers::latin1;
///
/// assert_eq!(latin1(b"caf\xe9"), "café");
/// ```
#[must_use]
pub fn latin1(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) if text.is_ascii() => Cow::Borrowed(text),
        _ => Cow::Owned(bytes.iter().map(|&byte| char::from(byte)).collect()),
    }
}

/// The first field called `name`, as text.
#[must_use]
pub fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<Cow<'a, str>> {
    headers.get(name).map(|value| latin1(value.as_bytes()))
}

/// All fields called `name`, joined by commas, as WSGI servers hand on repeats.
#[must_use]
pub fn joined_text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<Cow<'a, str>> {
    let mut values = headers.get_all(name).iter();
    let first = latin1(values.next()?.as_bytes());
    let mut joined: Option<String> = None;
    for value in values {
        let text = joined.get_or_insert_with(|| first.clone().into_owned());
        text.push(',');
        text.push_str(&latin1(value.as_bytes()));
    }
    Some(joined.map_or(first, Cow::Owned))
}

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

/// Removes all fields that `unwanted` picks and keeps the others in their order, which
/// [`HeaderMap::remove`] does not.
pub fn remove_in_order(headers: &mut HeaderMap, unwanted: impl Fn(&HeaderName) -> bool) {
    if !headers.keys().any(&unwanted) {
        return;
    }
    let mut kept = HeaderMap::with_capacity(headers.keys_len());
    for (name, value) in headers.iter() {
        if !unwanted(name) {
            kept.append(name.clone(), value.clone());
        }
    }
    *headers = kept;
}

/// Whether a field is for the next hop only, and never an application's to set (RFC 9110
/// section 7.6.1; the list is Werkzeug's).
#[must_use]
pub fn is_hop_by_hop(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "connection"
            | "keep-alive"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
    )
}

/// Whether a field describes the content, and so has no place in a 304; `Expires` and
/// `Content-Location` stay, as in Werkzeug.
#[must_use]
pub fn is_dropped_by_not_modified(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "allow"
            | "content-encoding"
            | "content-language"
            | "content-length"
            | "content-md5"
            | "content-range"
            | "content-type"
            | "last-modified"
    )
}

/// The declared length of a body in bytes: `None` where there is none or the body is chunked,
/// and 0 for anything but a non-negative integer, as Werkzeug reads it.
#[must_use]
pub fn content_length(
    content_length: Option<&str>,
    transfer_encoding: Option<&str>,
) -> Option<u64> {
    let chunked = transfer_encoding.is_some_and(|value| {
        parse_list(value)
            .iter()
            .any(|item| item.eq_ignore_ascii_case("chunked"))
    });
    if chunked {
        return None;
    }
    let length = parse_plain_int(content_length?).unwrap_or(0);
    Some(u64::try_from(length.max(0)).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::header::{SET_COOKIE, VARY};

    #[test]
    fn maps_keep_order_and_repeats() {
        let mut headers = HeaderMap::new();
        // Enough names for the map to grow, and to rehash, several times.
        for n in 0..200 {
            let name = header_name(&format!("x-{}", (n * 7919) % 200)).unwrap();
            headers.append(name, HeaderValue::from(n));
        }
        let order: Vec<_> = headers
            .values()
            .map(|v| v.to_str().unwrap().to_owned())
            .collect();
        let expected: Vec<_> = (0..200).map(|n| n.to_string()).collect();
        assert_eq!(order, expected);

        let headers = header_map([("Set-Cookie", "a=1"), ("Vary", "x"), ("set-cookie", "b=2")]);
        let headers = headers.unwrap();
        let seen: Vec<_> = headers
            .iter()
            .map(|(k, v)| (k.clone(), v.to_str().unwrap()))
            .collect();
        assert_eq!(
            seen,
            [(SET_COOKIE, "a=1"), (SET_COOKIE, "b=2"), (VARY, "x")]
        );
    }

    #[test]
    fn removal_in_order() {
        let mut headers =
            header_map([("a", "1"), ("b", "2"), ("c", "3"), ("a", "4"), ("d", "5")]).unwrap();
        remove_in_order(&mut headers, |name| name == "b");
        let seen: Vec<_> = headers.values().map(|v| v.to_str().unwrap()).collect();
        assert_eq!(seen, ["1", "4", "3", "5"]);
    }

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
    fn values_as_text() {
        let mut headers = HeaderMap::new();
        assert_eq!(joined_text(&headers, &VARY), None);
        headers.append(VARY, HeaderValue::from_bytes(b"caf\xe9").unwrap());
        assert_eq!(joined_text(&headers, &VARY).unwrap(), "café");
        headers.append(VARY, HeaderValue::from_static("b"));
        assert_eq!(joined_text(&headers, &VARY).unwrap(), "café,b");
        assert_eq!(text(&headers, &VARY).unwrap(), "café");
    }

    #[test]
    fn integers() {
        for (text, value) in [
            ("0", Some(0)),
            (" 12\t", Some(12)),
            ("-7", Some(-7)),
            ("007", Some(7)),
            ("99999999999999999999", Some(99_999_999_999_999_999_999)),
            ("", None),
            ("-", None),
            ("+1", None),
            ("1_0", None),
            ("1 0", None),
            ("٣", None),
            ("\x0b1", None),
            ("1\u{a0}", None),
        ] {
            assert_eq!(parse_plain_int(text), value, "{text:?}");
        }
        let digits = "1".repeat(MAX_DIGITS);
        assert_eq!(parse_plain_int(&digits), Some(i128::MAX));
        assert_eq!(parse_plain_int(&format!("-{digits}")), Some(-i128::MAX));
        assert_eq!(parse_plain_int(&format!("{digits}1")), None);
    }

    #[test]
    fn lengths() {
        assert_eq!(content_length(None, None), None);
        assert_eq!(content_length(Some("12"), None), Some(12));
        assert_eq!(content_length(Some("-12"), None), Some(0));
        assert_eq!(content_length(Some("x"), None), Some(0));
        assert_eq!(content_length(Some("12"), Some("gzip, Chunked")), None);
        assert_eq!(content_length(Some("12"), Some("gzip")), Some(12));
        let most = u64::MAX.to_string();
        assert_eq!(content_length(Some(&most), None), Some(u64::MAX));
        assert_eq!(content_length(Some(&"9".repeat(4301)), None), Some(0));
    }
}
