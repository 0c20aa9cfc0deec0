//! Header fields: text, validation, and the syntax that several fields share.
//!
//! Headers live in an [`http::HeaderMap`]. It keeps repeats in their order, and iterates over
//! names in the order of their first insertion as long as nothing is removed, so it is what
//! the wire sees; a test below holds it to that. Only repeats with another name between them
//! move together.
//!
//! Text is Latin-1, as in WSGI: each byte of a value is one `char` up to U+00FF.

mod application;
mod list;
mod options;
mod quoted;

use std::borrow::Cow;

use http::header::{HeaderMap, HeaderName};

pub use application::{header_map, header_name, header_value, is_of_the_connection};
pub use list::{dump_list, parse_dict, parse_list};
pub use options::{Options, dump_options, parse_options};

/// Names that the `http` crate has no constant for.
pub mod names {
    use http::header::HeaderName;

    /// `Keep-Alive`
    pub const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
    /// `Proxy-Connection`
    pub const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
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
    use http::HeaderValue;
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
