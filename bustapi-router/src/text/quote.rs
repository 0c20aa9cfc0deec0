//! Percent-encoding, as Python's `urllib.parse.quote`, `quote_plus` and `unquote` do it.

use std::borrow::Cow;

/// Marks, beside letters, digits and `_.-~`, that stay as they are in a path:
/// <https://url.spec.whatwg.org/#url-path-segment-string>.
const PATH_MARKS: &[u8] = b"!$&'()*+,/:;=@";
/// The same for names and values of a query string, which keep `+`, `&` and `=` for syntax.
const QUERY_MARKS: &[u8] = b"!$'()*,/:;?@";
/// The same for a fragment; `%` stays, so that encoded anchors are not encoded again.
const ANCHOR_MARKS: &[u8] = b"%!#$&'()*+,/:;=?@";

const HEX: &[u8; 16] = b"0123456789ABCDEF";

const fn table(marks: &[u8]) -> [bool; 256] {
    let mut safe = [false; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        let plain = byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-' | b'~');
        safe[byte as usize] = plain;
        byte += 1;
    }
    let mut index = 0;
    while index < marks.len() {
        safe[marks[index] as usize] = true;
        index += 1;
    }
    safe
}

static PATH_SAFE: [bool; 256] = table(PATH_MARKS);
static QUERY_SAFE: [bool; 256] = table(QUERY_MARKS);
static ANCHOR_SAFE: [bool; 256] = table(ANCHOR_MARKS);

fn push_quoted(out: &mut String, bytes: &[u8], safe: &[bool; 256], plus: bool) {
    let mut rest = bytes;
    while let Some(byte) = rest.first() {
        // Most text is one safe run; safe bytes are ASCII.
        let run = rest.iter().take_while(|byte| safe[usize::from(**byte)]);
        let (run, unsafe_rest) = rest.split_at(run.count());
        if !run.is_empty() {
            out.push_str(str::from_utf8(run).expect("safe bytes are ASCII"));
            rest = unsafe_rest;
            continue;
        }
        rest = &rest[1..];
        if plus && *byte == b' ' {
            out.push('+');
        } else {
            out.push('%');
            out.push(char::from(HEX[usize::from(byte >> 4)]));
            out.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
}

/// Percent-encodes text for a path; slashes stay.
#[must_use]
pub fn quote_path(text: &str) -> String {
    let mut out = String::new();
    push_quoted_path(&mut out, text);
    out
}

/// Writes what [`quote_path`] gives to the end of `out`.
pub fn push_quoted_path(out: &mut String, text: &str) {
    if text.bytes().all(|byte| PATH_SAFE[usize::from(byte)]) {
        out.push_str(text);
    } else {
        push_quoted(out, text.as_bytes(), &PATH_SAFE, false);
    }
}

/// Percent-encodes a name or value of a query string; a space becomes `+`.
pub(crate) fn push_query(out: &mut String, bytes: &[u8]) {
    push_quoted(out, bytes, &QUERY_SAFE, true);
}

pub(crate) fn push_anchor(out: &mut String, text: &str) {
    push_quoted(out, text.as_bytes(), &ANCHOR_SAFE, false);
}

/// Decodes `%XX` once, as a WSGI server does before Werkzeug sees the path.
///
/// `%2F` becomes a slash like any other; a `%` that no two hexadecimal digits follow stays;
/// bytes that are not UTF-8 become U+FFFD. Without a `%` nothing is copied.
///
/// ```
/// use bustapi_router::decode_path;
/// assert_eq!(decode_path("/a%2Fb/%C3%BC/100%"), "/a/b/ü/100%");
/// assert_eq!(decode_path("/%ff"), "/\u{fffd}");
/// ```
#[must_use]
pub fn decode_path(raw: &str) -> Cow<'_, str> {
    let Some(first) = memchr::memchr(b'%', raw.as_bytes()) else {
        return Cow::Borrowed(raw);
    };
    let bytes = raw.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    decoded.extend_from_slice(&bytes[..first]);
    let mut at = first;
    while let Some(&byte) = bytes.get(at) {
        if byte == b'%'
            && let (Some(high), Some(low)) = (hex(bytes.get(at + 1)), hex(bytes.get(at + 2)))
        {
            decoded.push((high << 4) | low);
            at += 3;
        } else {
            decoded.push(byte);
            at += 1;
        }
    }
    Cow::Owned(match String::from_utf8(decoded) {
        Ok(text) => text,
        Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
    })
}

fn hex(byte: Option<&u8>) -> Option<u8> {
    let digit = char::from(*byte?).to_digit(16)?;
    u8::try_from(digit).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_as_python_does() {
        assert_eq!(
            quote_path("/a b/ü?#%&=+@:;,!~"),
            "/a%20b/%C3%BC%3F%23%25&=+@:;,!~"
        );
        let mut query = String::new();
        push_query(&mut query, "a b&c=d+e/f?ü".as_bytes());
        assert_eq!(query, "a+b%26c%3Dd%2Be/f?%C3%BC");
        let mut anchor = String::new();
        push_anchor(&mut anchor, "x y%20z#ü");
        assert_eq!(anchor, "x%20y%20z#%C3%BC");
    }

    #[test]
    fn decodes_what_is_encoded_and_nothing_else() {
        assert!(matches!(decode_path("/plain/ü"), Cow::Borrowed(_)));
        assert_eq!(decode_path("/%41%4a%4A"), "/AJJ");
        assert_eq!(decode_path("/%zz%1%"), "/%zz%1%");
        assert_eq!(decode_path("/%2525"), "/%25");
        assert_eq!(decode_path("/ü%C3"), "/ü\u{fffd}");
    }
}
