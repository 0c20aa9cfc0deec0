//! Comma-separated lists and dictionaries (RFC 9110 section 5.6.1).

use std::borrow::Cow;

use super::options::{Options, decode_extended};
use super::quoted::{quote, unquote};
use super::trim;

/// Splits a list at its commas, those inside quoted strings aside. Empty items are left out,
/// and the quotes of an item that is quoted as a whole are removed. A quoted string that never
/// ends makes the whole list invalid: the result is empty.
///
/// ```
/// use bustapi_http::headers::parse_list;
///
/// assert_eq!(parse_list(r#"token, "quoted, value",, a="b,c""#), ["token", "quoted, value", r#"a="b,c""#]);
/// ```
#[must_use]
pub fn parse_list(value: &str) -> Vec<Cow<'_, str>> {
    let mut items = Vec::new();
    let mut start = 0;
    let mut quoted = false;
    let mut escaped = false;
    for (at, byte) in value.bytes().enumerate() {
        if escaped {
            escaped = false;
        } else if quoted {
            match byte {
                b'\\' => escaped = true,
                b'"' => quoted = false,
                _ => {}
            }
        } else if byte == b',' {
            items.push(&value[start..at]);
            start = at + 1;
        } else if byte == b'"' {
            quoted = true;
        }
    }
    if quoted {
        return Vec::new();
    }
    items.push(&value[start..]);
    items
        .into_iter()
        .map(trim)
        .filter(|item| !item.is_empty())
        .map(unquote)
        .collect()
}

/// Writes a list; items that are not tokens are quoted.
///
/// ```
/// use bustapi_http::headers::dump_list;
///
/// assert_eq!(dump_list(["a", "b c"]), r#"a, "b c""#);
/// ```
pub fn dump_list<'a>(items: impl IntoIterator<Item = &'a str>) -> String {
    let mut out = String::new();
    for item in items {
        if !out.is_empty() {
            out.push_str(", ");
        }
        out.push_str(&quote(item));
    }
    out
}

/// Reads a list whose items are `key` or `key=value`, such as `Cache-Control`. A later item
/// replaces an earlier one of the same key, in its place. `key*=charset''value` (RFC 8187) is
/// decoded to `key`.
///
/// ```
/// use bustapi_http::headers::parse_dict;
///
/// let control = parse_dict("no-cache, max-age=5");
/// assert_eq!(control.get("max-age"), Some(&Some("5".to_owned())));
/// assert_eq!(control.get("no-cache"), Some(&None));
/// ```
#[must_use]
pub fn parse_dict(value: &str) -> Options<Option<String>> {
    let mut result = Options::default();
    for item in parse_list(value) {
        let (key, value) = match item.split_once('=') {
            Some((key, value)) => (trim(key), Some(trim(value))),
            None => (trim(&item), None),
        };
        if key.is_empty() {
            continue;
        }
        let Some(value) = value else {
            result.set(key.to_owned(), None);
            continue;
        };
        if let Some(key) = key.strip_suffix('*') {
            let (_, decoded) = decode_extended(value, None);
            result.set(key.to_owned(), Some(unquote(&decoded).into_owned()));
        } else {
            result.set(key.to_owned(), Some(unquote(value).into_owned()));
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists() {
        assert_eq!(parse_list(""), [""; 0]);
        assert_eq!(parse_list(" , ,"), [""; 0]);
        assert_eq!(parse_list(r#"a, "b"#), [""; 0]);
        assert_eq!(parse_list(r#""""#), [""]);
        assert_eq!(parse_list(r#""a\"b", c"#), [r#"a"b"#, "c"]);
        assert_eq!(parse_list(r#"x"a,b"y"#), [r#"x"a,b"y"#]);
        assert_eq!(parse_list(r"a\,b"), [r"a\", "b"]);
        assert_eq!(parse_list("é, ü"), ["é", "ü"]);
    }

    #[test]
    fn dictionaries() {
        let parsed = parse_dict(r#"a=b, c="d, e", f, =g, h*=UTF-8''%C3%A9, a=z"#);
        let items: Vec<_> = parsed
            .iter()
            .map(|(key, value)| (key, value.as_deref()))
            .collect();
        assert_eq!(
            items,
            [
                ("a", Some("z")),
                ("c", Some("d, e")),
                ("f", None),
                ("h", Some("é"))
            ]
        );
    }
}
