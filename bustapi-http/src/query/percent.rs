//! Percent-encoding, with the semantics of Python's `urllib.parse.quote` and `unquote`.
//!
//! `unquote` decodes the runs of ASCII characters one by one: escapes on the two sides of a raw
//! non-ASCII character never combine. A `%` without two hexadecimal digits stays.

use std::borrow::Cow;

const HEX: &[u8; 16] = b"0123456789ABCDEF";

/// How bytes that are not text become text.
#[derive(Clone, Copy)]
enum Invalid {
    /// UTF-8; invalid bytes stay percent-encoded.
    Requote,
    /// UTF-8; each invalid sequence becomes U+FFFD.
    Replace,
    /// ASCII; each other byte becomes U+FFFD.
    ReplaceNonAscii,
    /// Latin-1: nothing is invalid.
    Latin1,
}

fn hex_digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

/// Decodes the escapes in `run` onto the end of `out`; with `plus`, a `+` is a space.
fn decode_run(run: &[u8], plus: bool, out: &mut Vec<u8>) {
    let mut rest = run;
    while let [byte, tail @ ..] = rest {
        rest = tail;
        match (byte, tail) {
            (b'+', _) if plus => out.push(b' '),
            (b'%', [high, low, after @ ..]) => {
                if let Some((high, low)) = hex_digit(*high).zip(hex_digit(*low)) {
                    out.push(high << 4 | low);
                    rest = after;
                } else {
                    out.push(b'%');
                }
            }
            _ => out.push(*byte),
        }
    }
}

fn push_text(bytes: &[u8], invalid: Invalid, out: &mut String) {
    match invalid {
        Invalid::Replace => out.push_str(&String::from_utf8_lossy(bytes)),
        Invalid::Requote => {
            for chunk in bytes.utf8_chunks() {
                out.push_str(chunk.valid());
                for &byte in chunk.invalid() {
                    push_escape(byte, out);
                }
            }
        }
        Invalid::ReplaceNonAscii => out.extend(bytes.iter().map(|&byte| {
            if byte.is_ascii() {
                char::from(byte)
            } else {
                char::REPLACEMENT_CHARACTER
            }
        })),
        Invalid::Latin1 => out.extend(bytes.iter().map(|&byte| char::from(byte))),
    }
}

fn decode(text: &str, plus: bool, invalid: Invalid) -> Cow<'_, str> {
    let encoded = |byte: u8| byte == b'%' || (plus && byte == b'+');
    if !text.bytes().any(encoded) {
        return Cow::Borrowed(text);
    }
    let mut decoded = Vec::with_capacity(text.len());
    if text.is_ascii() && matches!(invalid, Invalid::Requote | Invalid::Replace) {
        // One run; nearly always it is good UTF-8, and then its bytes are the answer.
        decode_run(text.as_bytes(), plus, &mut decoded);
        return Cow::Owned(String::from_utf8(decoded).unwrap_or_else(|error| {
            let mut out = String::with_capacity(text.len());
            push_text(error.as_bytes(), invalid, &mut out);
            out
        }));
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let ascii = rest.bytes().position(|byte| !byte.is_ascii());
        let (run, tail) = rest.split_at(ascii.unwrap_or(rest.len()));
        decoded.clear();
        decode_run(run.as_bytes(), plus, &mut decoded);
        push_text(&decoded, invalid, &mut out);
        let raw = tail.bytes().position(|byte| byte.is_ascii());
        let (raw, tail) = tail.split_at(raw.unwrap_or(tail.len()));
        out.push_str(raw);
        rest = tail;
    }
    Cow::Owned(out)
}

/// Decodes escapes as UTF-8; what is not UTF-8 stays percent-encoded.
///
/// ```
/// use bustapi_http::query::percent_decode;
///
/// assert_eq!(percent_decode("a%20%C3%A9%ff"), "a é%FF");
/// ```
#[must_use]
pub fn percent_decode(text: &str) -> Cow<'_, str> {
    decode(text, false, Invalid::Requote)
}

/// Decodes escapes as UTF-8; what is not UTF-8 becomes U+FFFD. This is how a path is read.
#[must_use]
pub fn percent_decode_lossy(text: &str) -> Cow<'_, str> {
    decode(text, false, Invalid::Replace)
}

/// Decodes escapes as ASCII (`latin1` false: other bytes become U+FFFD) or as Latin-1; for the
/// charsets that RFC 8187 parameters may name.
#[must_use]
pub fn percent_decode_latin1(text: &str, latin1: bool) -> Cow<'_, str> {
    decode(
        text,
        false,
        if latin1 {
            Invalid::Latin1
        } else {
            Invalid::ReplaceNonAscii
        },
    )
}

/// As [`percent_decode`], and `+` is a space: names and values of queries and forms.
#[must_use]
pub fn percent_decode_plus(text: &str) -> Cow<'_, str> {
    decode(text, true, Invalid::Requote)
}

/// Decodes escapes to bytes, without looking at what they mean.
#[must_use]
pub fn percent_decode_bytes(bytes: &[u8]) -> Cow<'_, [u8]> {
    if !bytes.contains(&b'%') {
        return Cow::Borrowed(bytes);
    }
    let mut out = Vec::with_capacity(bytes.len());
    decode_run(bytes, false, &mut out);
    Cow::Owned(out)
}

fn push_escape(byte: u8, out: &mut String) {
    out.push('%');
    out.push(char::from(HEX[usize::from(byte >> 4)]));
    out.push(char::from(HEX[usize::from(byte & 15)]));
}

/// RFC 3986's unreserved characters.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-' | b'~')
}

/// Percent-encodes the UTF-8 of `text`, apart from letters, digits, `_.-~` and the ASCII
/// characters in `safe`.
///
/// ```
/// use bustapi_http::query::percent_encode;
///
/// assert_eq!(percent_encode("a/b ü", "/"), "a/b%20%C3%BC");
/// ```
#[must_use]
pub fn percent_encode<'a>(text: &'a str, safe: &str) -> Cow<'a, str> {
    let is_safe =
        |byte: u8| is_unreserved(byte) || (byte.is_ascii() && safe.as_bytes().contains(&byte));
    let Some(first) = text.bytes().position(|byte| !is_safe(byte)) else {
        return Cow::Borrowed(text);
    };
    let mut out = String::with_capacity(text.len() + 16);
    out.push_str(&text[..first]);
    for byte in text[first..].bytes() {
        if is_safe(byte) {
            out.push(char::from(byte));
        } else {
            push_escape(byte, &mut out);
        }
    }
    Cow::Owned(out)
}

/// As [`percent_encode`], with `+` for a space: names and values of queries and forms.
#[must_use]
pub fn percent_encode_plus<'a>(text: &'a str, safe: &str) -> Cow<'a, str> {
    if !text.contains(' ') {
        return percent_encode(text, safe);
    }
    // The spaces survive the encoding, and no other space can appear in it.
    Cow::Owned(percent_encode(text, &format!("{safe} ")).replace(' ', "+"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn incomplete_escapes_stay() {
        for text in ["%", "%4", "%g1", "%1g", "100%", "%%"] {
            assert_eq!(percent_decode(text), text);
        }
        assert_eq!(percent_decode("%%41"), "%A");
    }

    #[test]
    fn invalid_bytes() {
        assert_eq!(percent_decode("%e2%28%a1"), "%E2(%A1");
        assert_eq!(percent_decode_lossy("%e2%28%a1"), "\u{fffd}(\u{fffd}");
        assert_eq!(percent_decode_latin1("%e9", true), "é");
        assert_eq!(percent_decode_latin1("%e9!", false), "\u{fffd}!");
        assert_eq!(*percent_decode_bytes(b"%e9%"), *b"\xe9%");
    }

    #[test]
    fn encoding() {
        assert_eq!(percent_encode("~a_B-9.", ""), "~a_B-9.");
        assert_eq!(percent_encode("a+b c%", "%"), "a%2Bb%20c%");
        assert_eq!(percent_encode("\0\u{7f}é", ""), "%00%7F%C3%A9");
        assert_eq!(percent_encode_plus("a+b c", ""), "a%2Bb+c");
        assert_eq!(percent_encode_plus("a+b c", "+"), "a+b+c");
        assert!(matches!(percent_encode("abc", ""), Cow::Borrowed(_)));
    }
}
