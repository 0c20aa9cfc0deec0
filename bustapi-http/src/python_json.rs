//! JSON text as Python's `json` module writes it: strings in ASCII, numbers as `repr` shows them.
//!
//! Signed cookies and stored answers are compared byte for byte with what Python wrote, so the
//! text has to be the same, not only the value.

/// What stands between items, and between a key and its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Separators {
    /// Between items.
    pub item: &'static str,
    /// Between a key and its value.
    pub key: &'static str,
}

/// `separators=(",", ":")`
pub const COMPACT: Separators = Separators {
    item: ",",
    key: ":",
};

/// What `json.dumps` writes by default.
pub const SPACED: Separators = Separators {
    item: ", ",
    key: ": ",
};

/// Whether a byte is, or belongs to, a character that is written as an escape.
const ESCAPED: [bool; 256] = {
    let mut escaped = [true; 256];
    let mut byte = b' ';
    while byte <= b'~' {
        escaped[byte as usize] = matches!(byte, b'"' | b'\\');
        byte += 1;
    }
    escaped
};

/// Where the first character stands that is written as an escape: beyond ASCII, a control
/// character, a quotation mark or a backslash. Looks at eight bytes at a time.
fn escape_at(text: &[u8]) -> Option<usize> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    // The high bit of each byte that is zero, and perhaps of bytes above one that is.
    let zero = |word: u64| word.wrapping_sub(ONES) & !word & HIGH;
    let equal = |word: u64, byte: u8| zero(word ^ (ONES * u64::from(byte)));
    let (words, rest) = text.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let control = word.wrapping_sub(ONES * 0x20) & !word;
        let special = equal(word, b'"') | equal(word, b'\\') | equal(word, 0x7f);
        let found = (word | control | special) & HIGH;
        if found != 0 {
            return Some(index * 8 + found.trailing_zeros() as usize / 8);
        }
    }
    let at = rest.iter().position(|byte| ESCAPED[usize::from(*byte)])?;
    Some(words.len() * 8 + at)
}

/// Writes a string, with quotes, and with escapes for all that is not printable ASCII.
///
/// ```
/// use bustapi_http::python_json::push_string;
///
/// let mut text = Vec::new();
/// push_string(&mut text, "caf\u{e9} \u{1f600}\n");
/// assert_eq!(text, br#""caf\u00e9 \ud83d\ude00\n""#);
/// ```
pub fn push_string(out: &mut Vec<u8>, text: &str) {
    out.reserve(text.len() + 2);
    out.push(b'"');
    let mut rest = text;
    while let Some(at) = escape_at(rest.as_bytes()) {
        let (plain, tail) = rest.split_at(at);
        out.extend_from_slice(plain.as_bytes());
        let mut chars = tail.chars();
        if let Some(c) = chars.next() {
            write_escape(out, c);
        }
        rest = chars.as_str();
    }
    out.extend_from_slice(rest.as_bytes());
    out.push(b'"');
}

fn write_escape(out: &mut Vec<u8>, c: char) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let short: &[u8; 2] = match c {
        '"' => b"\\\"",
        '\\' => b"\\\\",
        '\n' => b"\\n",
        '\r' => b"\\r",
        '\t' => b"\\t",
        '\u{8}' => b"\\b",
        '\u{c}' => b"\\f",
        _ => {
            for unit in c.encode_utf16(&mut [0; 2]) {
                out.extend_from_slice(b"\\u");
                out.extend([12, 8, 4, 0].map(|shift| HEX[usize::from(*unit >> shift & 0xf)]));
            }
            return;
        }
    };
    out.extend_from_slice(short);
}

/// Writes an integer.
pub fn push_int(out: &mut Vec<u8>, value: i64) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// Writes a number as `repr` shows a float: the shortest digits that give it back, with an
/// exponent below 1e-4 and from 1e16 on, of at least two digits; `NaN`, `Infinity` and
/// `-Infinity` for what is no number of JSON, which Python writes and reads.
///
/// ```
/// use bustapi_http::python_json::push_float;
///
/// let mut text = Vec::new();
/// push_float(&mut text, 1.5e-5);
/// assert_eq!(text, b"1.5e-05");
/// ```
pub fn push_float(out: &mut Vec<u8>, value: f64) {
    if value.is_nan() {
        out.extend_from_slice(b"NaN");
        return;
    }
    if value.is_sign_negative() {
        out.push(b'-');
    }
    let value = value.abs();
    if value.is_infinite() {
        out.extend_from_slice(b"Infinity");
        return;
    }
    let mut buffer = zmij::Buffer::new();
    let text = buffer.format_finite(value);
    if value == 0.0 || value >= SMALLEST_SAME {
        out.extend_from_slice(text.as_bytes());
        return;
    }
    if let Some((digits, exponent)) = text.split_once("e-") {
        out.extend_from_slice(digits.as_bytes());
        out.extend_from_slice(if exponent.len() == 1 { b"e-0" } else { b"e-" });
        out.extend_from_slice(exponent.as_bytes());
        return;
    }
    // Between 1e-5 and 1e-4, written as a fraction with four zeros behind the point.
    let digits = text.trim_start_matches(['0', '.']).as_bytes();
    let (first, rest) = digits.split_at(1);
    out.extend_from_slice(first);
    if !rest.is_empty() {
        out.push(b'.');
        out.extend_from_slice(rest);
    }
    out.extend_from_slice(b"e-05");
}

/// From here on `zmij` writes what Python does.
const SMALLEST_SAME: f64 = 1e-4;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn string(text: &str) -> String {
        let mut out = Vec::new();
        push_string(&mut out, text);
        String::from_utf8(out).unwrap()
    }

    fn float(value: f64) -> String {
        let mut out = Vec::new();
        push_float(&mut out, value);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn strings() {
        for (text, written) in [
            ("", r#""""#),
            ("plain / text", r#""plain / text""#),
            ("\"\\", r#""\"\\""#),
            ("\n\r\t\u{8}\u{c}", r#""\n\r\t\b\f""#),
            ("\0\x1f\x7f", r#""\u0000\u001f\u007f""#),
            ("caf\u{e9}", r#""caf\u00e9""#),
            ("1234567\u{e9}", r#""1234567\u00e9""#),
            ("12345678\u{20ac}", r#""12345678\u20ac""#),
            ("\u{1f600}\u{ffff}", r#""\ud83d\ude00\uffff""#),
        ] {
            assert_eq!(string(text), written);
        }
    }

    // What CPython's `repr` shows.
    #[test]
    fn floats() {
        for (value, written) in [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (0.1, "0.1"),
            (-2.5, "-2.5"),
            (0.0001, "0.0001"),
            (9.999e-5, "9.999e-05"),
            (5e-5, "5e-05"),
            (-1.5e-5, "-1.5e-05"),
            (1e-5, "1e-05"),
            (1e-6, "1e-06"),
            (1.25e-7, "1.25e-07"),
            (1e-10, "1e-10"),
            (2.5e-123, "2.5e-123"),
            (5e-324, "5e-324"),
            (123_456.789, "123456.789"),
            (9_007_199_254_740_993.0, "9007199254740992.0"),
            (1e16, "1e+16"),
            (1.5e22, "1.5e+22"),
            (f64::MAX, "1.7976931348623157e+308"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "Infinity"),
            (f64::NEG_INFINITY, "-Infinity"),
        ] {
            assert_eq!(float(value), written);
        }
    }

    proptest! {
        #[test]
        fn strings_are_ascii_and_read_back(text in any::<String>()) {
            let written = string(&text);
            prop_assert!(written.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
            prop_assert_eq!(serde_json::from_str::<String>(&written).unwrap(), text);
        }

        #[test]
        fn numbers_read_back(value in any::<f64>(), small in -1e-3..1e-3, whole in any::<i64>()) {
            for value in [value, small] {
                let written = float(value);
                if value.is_finite() {
                    let read: f64 = written.parse().unwrap();
                    prop_assert_eq!(read.to_bits(), value.to_bits());
                    prop_assert_eq!(
                        written.contains('e'),
                        value != 0.0 && !(1e-4..1e16).contains(&value.abs())
                    );
                    prop_assert!(written.contains(['.', 'e']));
                }
            }
            let mut out = Vec::new();
            push_int(&mut out, whole);
            prop_assert_eq!(String::from_utf8(out).unwrap(), whole.to_string());
        }
    }
}
