//! Quoted strings (RFC 9110 section 5.6.4).

use std::borrow::Cow;

use super::is_token_byte;

/// Puts quotes around a value unless it is a token; the empty value is quoted.
pub(crate) fn quote(value: &str) -> Cow<'_, str> {
    if !value.is_empty() && value.bytes().all(is_token_byte) {
        return Cow::Borrowed(value);
    }
    let mut out = String::with_capacity(value.len() + 2);
    out.push('"');
    for c in value.chars() {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
    Cow::Owned(out)
}

/// Removes the quotes around a value, and the backslashes of its escapes.
pub(crate) fn unquote(value: &str) -> Cow<'_, str> {
    let Some(inner) = value
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
    else {
        return Cow::Borrowed(value);
    };
    if !inner.contains('\\') {
        return Cow::Borrowed(inner);
    }
    let mut out = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        match c {
            // A lone backslash at the end is kept, as is one before a line break, which a
            // header cannot hold.
            '\\' => match chars.next() {
                Some('\n') => out.push_str("\\\n"),
                Some(escaped) => out.push(escaped),
                None => out.push('\\'),
            },
            other => out.push(other),
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoting() {
        for (plain, quoted) in [
            ("", r#""""#),
            ("token", "token"),
            ("a b", r#""a b""#),
            (r#"a"\b"#, r#""a\"\\b""#),
        ] {
            assert_eq!(quote(plain), quoted);
            assert_eq!(unquote(quoted), plain);
        }
        assert_eq!(unquote("\""), "\"");
        assert_eq!(unquote(r#""a\""#), r"a\");
    }
}
