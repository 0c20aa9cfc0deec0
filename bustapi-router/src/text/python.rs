//! How Python writes numbers and strings, and reads numbers.
//!
//! URLs built here must equal the ones Werkzeug builds, and Werkzeug writes values with `str()`:
//! `1e16` is `1e+16`, `True` is `True`. Converter arguments and values given as text are read
//! with `int()` and `float()`, which skip white space, allow `_` between digits, and take the
//! decimal digits of every script.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::LazyLock;

use regex::Regex;

/// Decides about one character; the tables of Unicode's `Nd` come with the `regex` crate.
static DECIMAL_DIGIT: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\A\d\z").expect("a constant expression compiles"));

/// Whether `character` is a decimal digit in any script (category `Nd`), as `\d` is in Python.
pub(crate) fn is_digit(character: char) -> bool {
    character.is_ascii_digit()
        || (!character.is_ascii()
            && character.is_numeric()
            && DECIMAL_DIGIT.is_match(character.encode_utf8(&mut [0; 4])))
}

/// Whether `str.isspace()` says so of `character`: the separators of ASCII are white space, too.
fn is_space(character: char) -> bool {
    character.is_whitespace() || matches!(character, '\x1c'..='\x1f')
}

/// The value of a decimal digit; Unicode keeps each script's ten digits in a row, zero first.
fn digit_value(digit: char) -> u8 {
    if digit.is_ascii_digit() {
        return digit as u8 - b'0';
    }
    let mut run_start = digit as u32;
    while let Some(previous) = char::from_u32(run_start - 1) {
        if !is_digit(previous) {
            break;
        }
        run_start -= 1;
    }
    u8::try_from((digit as u32 - run_start) % 10).unwrap_or(0)
}

/// Replaces the digits of other scripts by ASCII ones.
pub(crate) fn ascii_digits(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return Cow::Borrowed(text);
    }
    let replaced = text.chars().map(|character| {
        if is_digit(character) {
            char::from(b'0' + digit_value(character))
        } else {
            character
        }
    });
    Cow::Owned(replaced.collect())
}

/// Drops `_` between digits; `None` where Python's number syntax forbids it.
fn without_underscores(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('_') {
        return Some(Cow::Borrowed(text));
    }
    let bytes = text.as_bytes();
    for (index, byte) in bytes.iter().enumerate() {
        let digit_at = |at: Option<usize>| {
            at.and_then(|at| bytes.get(at))
                .is_some_and(u8::is_ascii_digit)
        };
        if *byte == b'_' && !(digit_at(index.checked_sub(1)) && digit_at(Some(index + 1))) {
            return None;
        }
    }
    Some(Cow::Owned(text.replace('_', "")))
}

/// Reads an integer as `int(text)` does and gives it in canonical decimal form: no `+`, no
/// leading zeros, no `-0`.
pub(crate) fn parse_int(text: &str) -> Option<String> {
    let text = ascii_digits(text.trim_matches(is_space));
    let text = without_underscores(&text)?;
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, &text[..]),
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let digits = digits.trim_start_matches('0');
    Some(match (digits, negative) {
        ("", _) => "0".to_owned(),
        (digits, true) => format!("-{digits}"),
        (digits, false) => digits.to_owned(),
    })
}

/// Reads a floating point number as `float(text)` does.
pub(crate) fn parse_float(text: &str) -> Option<f64> {
    let text = ascii_digits(text.trim_matches(is_space));
    let text = without_underscores(&text)?;
    text.parse().ok()
}

/// Writes a floating point number as `repr` does: the shortest digits that read back the same,
/// with an exponent below 1e-4 and from 1e16.
pub(crate) fn float_text(number: f64) -> String {
    if number.is_nan() {
        return "nan".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    let scientific = format!("{number:e}");
    let (digits, exponent) = scientific
        .split_once('e')
        .expect("`LowerExp` always writes an exponent");
    let exponent: i32 = exponent
        .parse()
        .expect("`LowerExp` writes an integer exponent");
    if (-4..16).contains(&exponent) {
        let plain = format!("{number}");
        return if plain.contains('.') {
            plain
        } else {
            plain + ".0"
        };
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

/// Writes a string as `repr` does, for messages and for lists among URL values.
pub(crate) fn repr_str(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') {
        '"'
    } else {
        '\''
    };
    let mut out = String::with_capacity(text.len() + 2);
    out.push(quote);
    for character in text.chars() {
        match character {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c == quote => {
                out.push('\\');
                out.push(c);
            }
            c if c.is_control() => {
                let code = c as u32;
                write!(out, "\\x{code:02x}").expect("writing to a String cannot fail");
            }
            c => out.push(c),
        }
    }
    out.push(quote);
    out
}

/// Writes a list of strings as `repr` does.
pub(crate) fn repr_list(items: &[String]) -> String {
    let items: Vec<String> = items.iter().map(|item| repr_str(item)).collect();
    format!("[{}]", items.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_written_as_in_python() {
        for (number, text) in [
            (1.0, "1.0"),
            (0.5, "0.5"),
            (1e16, "1e+16"),
            (1e15, "1000000000000000.0"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (1.5e300, "1.5e+300"),
            (-0.0, "-0.0"),
            (f64::INFINITY, "inf"),
        ] {
            assert_eq!(float_text(number), text);
        }
    }

    #[test]
    fn integers_are_read_as_in_python() {
        assert_eq!(parse_int(" 007\x1f").as_deref(), Some("7"));
        assert_eq!(parse_int("-0").as_deref(), Some("0"));
        assert_eq!(parse_int("+1_000").as_deref(), Some("1000"));
        assert_eq!(parse_int("٣٤").as_deref(), Some("34"));
        assert_eq!(parse_int("𝟙𝟚").as_deref(), Some("12"));
        for bad in ["", "-", "1__0", "_1", "1_", "1.0", "x", "²"] {
            assert_eq!(parse_int(bad), None, "{bad}");
        }
    }

    #[test]
    fn strings_are_quoted_as_in_python() {
        assert_eq!(repr_str("a"), "'a'");
        assert_eq!(repr_str("it's"), "\"it's\"");
        assert_eq!(repr_str("'\""), "'\\'\"'");
        assert_eq!(repr_str("\n\u{7f}"), "'\\n\\x7f'");
    }
}
