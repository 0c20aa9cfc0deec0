//! Values with parameters: `type/subtype; key=value` (RFC 9110 section 5.6.6), with the
//! charsets of RFC 8187 and the continuations of RFC 2231.
//!
//! Parameters that are malformed are left out. A quote inside a quoted value may be written
//! `\"` (RFC 9110) or `%22` (the HTML standard, in multipart forms).

use std::borrow::Cow;
use std::collections::HashMap;

use super::quoted::{quote, unquote};
use super::{BLANKS, is_token_byte, trim};
use crate::query::{percent_decode_latin1, percent_decode_lossy};

/// Up to this many keys are found by looking at each; a header has two or three. Beyond, an
/// index keeps hostile headers linear.
const SCAN_LIMIT: usize = 16;

/// Keys with values, in the order of their first appearance; setting a key again replaces its
/// value in place, as in Python's `dict`.
#[derive(Debug, Clone)]
pub struct Options<V = String> {
    /// `None` where a key was removed.
    items: Vec<Option<(String, V)>>,
    /// The places of the keys, once there are many.
    index: HashMap<String, usize>,
    holes: usize,
}

impl<V> Default for Options<V> {
    fn default() -> Self {
        Self {
            items: Vec::new(),
            index: HashMap::new(),
            holes: 0,
        }
    }
}

impl<V: PartialEq> PartialEq for Options<V> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl<V> Options<V> {
    fn position(&self, key: &str) -> Option<usize> {
        if self.items.len() <= SCAN_LIMIT {
            let has_key = |item: &Option<(String, V)>| item.as_ref().is_some_and(|(k, _)| k == key);
            self.items.iter().position(has_key)
        } else {
            self.index.get(key).copied()
        }
    }

    /// The value of `key`.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&V> {
        let item = self.items[self.position(key)?].as_ref();
        item.map(|(_, value)| value)
    }

    /// The value of `key`, to be changed.
    fn get_mut(&mut self, key: &str) -> Option<&mut V> {
        let at = self.position(key)?;
        self.items[at].as_mut().map(|(_, value)| value)
    }

    /// Sets the value of `key`.
    pub fn set(&mut self, key: String, value: V) {
        if let Some(known) = self.get_mut(&key) {
            *known = value;
            return;
        }
        self.items.push(Some((key, value)));
        let last = self.items.len() - 1;
        if last >= SCAN_LIMIT {
            let from = if last == SCAN_LIMIT { 0 } else { last };
            for (at, item) in self.items.iter().enumerate().skip(from) {
                if let Some((key, _)) = item {
                    self.index.insert(key.clone(), at);
                }
            }
        }
    }

    /// Removes `key` and returns its value.
    pub fn remove(&mut self, key: &str) -> Option<V> {
        let at = self.position(key)?;
        self.index.remove(key);
        let (_, value) = self.items[at].take()?;
        self.holes += 1;
        Some(value)
    }

    /// The keys and values, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &V)> {
        let items = self.items.iter().flatten();
        items.map(|(key, value)| (key.as_str(), value))
    }

    /// How many keys there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.items.len() - self.holes
    }

    /// Whether there are no keys.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The length of the token at the start of `text`.
fn token_len(text: &str) -> usize {
    text.bytes()
        .position(|byte| !is_token_byte(byte))
        .unwrap_or(text.len())
}

/// The length of the quoted string at the start of `text`, which begins with a quote; `None`
/// if it never ends.
fn quoted_len(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = 1;
    while at < bytes.len() {
        match (bytes[at], bytes.get(at + 1)) {
            (b'\\', Some(b'\\' | b'"')) => at += 2,
            (b'"', _) => return Some(at + 1),
            _ => at += 1,
        }
    }
    None
}

/// Splits `charset'language'text`, where `text` is a token.
fn split_charset(value: &str) -> Option<(&str, &str)> {
    let is_part = |text: &str| text.bytes().all(is_token_byte);
    let (charset, rest) = value.split_once('\'')?;
    let (language, text) = rest.split_once('\'')?;
    (is_part(charset) && is_part(language) && !text.is_empty() && is_part(text))
        .then_some((charset, text))
}

/// Decodes the value of a key that ended in `*`; returns the charset in lower case, too.
/// `continued` is the charset of the earlier parts of a continuation, of which this one need not
/// name it again. An unknown charset leaves the value as it is.
pub(super) fn decode_extended<'a>(
    value: &'a str,
    continued: Option<&str>,
) -> (Option<String>, Cow<'a, str>) {
    let (named, text) = match split_charset(value) {
        Some((named, text)) => (named.to_ascii_lowercase(), text),
        None => (String::new(), value),
    };
    let charset = Some(named)
        .filter(|named| !named.is_empty())
        .or_else(|| continued.map(str::to_owned));
    let decoded = match charset.as_deref() {
        Some("utf-8") => percent_decode_lossy(text),
        Some("ascii" | "us-ascii") => percent_decode_latin1(text, false),
        Some("iso-8859-1") => percent_decode_latin1(text, true),
        _ => Cow::Borrowed(text),
    };
    (charset, decoded)
}

/// Collects the well-formed `key=value` pairs of `rest`, values still quoted. A quoted value that
/// never ends is the end of them all.
fn split_parameters(mut rest: &str) -> Vec<(String, &str)> {
    let mut parts = Vec::new();
    loop {
        let key = token_len(rest);
        if key > 0 && rest[key..].starts_with('=') {
            let name = rest[..key].to_ascii_lowercase();
            rest = &rest[key + 1..];
            let token = token_len(rest);
            if token > 0 {
                parts.push((name, &rest[..token]));
            } else if rest.starts_with('"') {
                let Some(len) = quoted_len(rest) else {
                    return parts;
                };
                parts.push((name, &rest[..len]));
                rest = &rest[len..];
            }
        }
        match rest.split_once(';') {
            Some((_, next)) => rest = next.trim_start_matches(BLANKS),
            None => return parts,
        }
    }
}

/// The value of a parameter without its quotes and escapes.
fn unquote_parameter(raw: &str) -> Cow<'_, str> {
    let text = unquote(raw);
    if text.contains("%22") {
        Cow::Owned(text.replace("%22", "\""))
    } else {
        text
    }
}

/// Removes the number of a continuation (`name*0`) from a key.
fn strip_continuation(key: &str) -> Option<&str> {
    let stem = key.trim_end_matches(|c: char| c.is_ascii_digit());
    if stem.len() == key.len() {
        return None;
    }
    stem.strip_suffix('*')
}

/// Splits a value from its parameters. Keys are in lower case; the value is as received.
///
/// ```
/// use bustapi_http::headers::parse_options;
///
/// let (value, options) = parse_options("form-data; name=\"a b\"; filename*=UTF-8''%e2%82%ac.txt");
/// assert_eq!(value, "form-data");
/// assert_eq!(options.get("name").unwrap(), "a b");
/// assert_eq!(options.get("filename").unwrap(), "€.txt");
/// ```
#[must_use]
pub fn parse_options(value: &str) -> (&str, Options) {
    let mut options: Options = Options::default();
    let Some((value, rest)) = value.split_once(';') else {
        return (trim(value), options);
    };
    let (value, rest) = (trim(value), trim(rest));
    if value.is_empty() || rest.is_empty() {
        return (value, options);
    }
    let mut continued: Options = Options::default();
    let mut charsets: Options = Options::default();
    for (key, raw) in split_parameters(rest) {
        let extended = key.strip_suffix('*');
        let stem = extended.unwrap_or(&key);
        let continuation = strip_continuation(stem);
        let text = match (extended, continuation) {
            (None, _) => unquote_parameter(raw),
            (Some(_), None) => decode_extended(raw, None).1,
            (Some(_), Some(stem)) => {
                let known = charsets.get(stem).map(String::as_str);
                let (charset, text) = decode_extended(raw, known);
                if let Some(charset) = charset {
                    charsets.set(stem.to_owned(), charset);
                }
                text
            }
        };
        // A parameter may come whole and in continuations; the form that comes last replaces the
        // other.
        match continuation {
            None => {
                if continued.remove(stem).is_some() {
                    charsets.remove(stem);
                }
                options.set(stem.to_owned(), text.into_owned());
            }
            Some(stem) => {
                options.remove(stem);
                match continued.get_mut(stem) {
                    Some(value) => value.push_str(&text),
                    None => continued.set(stem.to_owned(), text.into_owned()),
                }
            }
        }
    }
    for (key, value) in continued.items.into_iter().flatten() {
        options.set(key, value);
    }
    (value, options)
}

/// Writes a value with its parameters, quoted where they are not tokens. The value of a key
/// that ends in `*` is taken to be encoded already.
///
/// ```
/// use bustapi_http::headers::dump_options;
///
/// let header = dump_options("attachment", [("filename", "a b.txt"), ("filename*", "UTF-8''%C3%A9")]);
/// assert_eq!(header, "attachment; filename=\"a b.txt\"; filename*=UTF-8''%C3%A9");
/// ```
pub fn dump_options<'a>(
    value: &str,
    options: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> String {
    let mut out = value.to_owned();
    for (key, value) in options {
        out.push_str("; ");
        out.push_str(key);
        out.push('=');
        if key.ends_with('*') {
            out.push_str(value);
        } else {
            out.push_str(&quote(value));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(header: &str, value: &str, expected: &[(&str, &str)]) {
        let (parsed, options) = parse_options(header);
        let options: Vec<_> = options.iter().map(|(k, v)| (k, v.as_str())).collect();
        assert_eq!(
            (parsed, options.as_slice()),
            (value, expected),
            "{header:?}"
        );
    }

    #[test]
    fn plain() {
        check("", "", &[]);
        check(" text/html ", "text/html", &[]);
        check("; a=b", "", &[]);
        check("a; B=c;d = e; f=;g=h", "a", &[("b", "c"), ("g", "h")]);
        check("a; b=1; b=2", "a", &[("b", "2")]);
        check("a; b=c=d", "a", &[("b", "c")]);
    }

    #[test]
    fn quoted() {
        check(r#"a; b="c;d"; e=f"#, "a", &[("b", "c;d"), ("e", "f")]);
        check(r#"a; b="c\"d\\e""#, "a", &[("b", r#"c"d\e"#)]);
        check(r#"a; b="c%22d""#, "a", &[("b", r#"c"d"#)]);
        check(r#"a; z=1; b="c; d=e"#, "a", &[("z", "1")]);
        check(r#"a; b="c\"; d=e"#, "a", &[]);
        check(r#"a; b="""#, "a", &[("b", "")]);
        check(r#"a; f="C:\dir\x.txt""#, "a", &[("f", "C:dirx.txt")]);
        check("a;\x0bb=1; c=2; \u{a0}d=3", "a", &[("c", "2")]);
    }

    #[test]
    fn charsets_and_continuations() {
        check("a; b*=UTF-8''%c3%a9", "a", &[("b", "é")]);
        check("a; b*=iso-8859-1'en'%e9", "a", &[("b", "é")]);
        check("a; b*=koi8-r''%e9", "a", &[("b", "%e9")]);
        check("a; b*0=c; b*1=d", "a", &[("b", "cd")]);
        check(
            "a; b*0*=UTF-8''%c3%a9; b*1*=%c3%a8; b*2=\"f\"",
            "a",
            &[("b", "éèf")],
        );
        check("a; b*=UTF-8''%22", "a", &[("b", "\"")]);
        check("a; b*=\"UTF-8''%22\"", "a", &[("b", "\"UTF-8''%22\"")]);
        check(
            "a; b*=utf-8''%c3%a9; c*=%c3%a9",
            "a",
            &[("b", "é"), ("c", "%c3%a9")],
        );
        check(
            "a; b*0*=utf-8''1; c*0*=%c3%a9; b*1*=%c3%a9",
            "a",
            &[("b", "1é"), ("c", "%c3%a9")],
        );
        check("a; b*0*=utf-8''1; b=2; b*1*=%c3", "a", &[("b", "%c3")]);
        check("a; b=1; c=2; b*0=3; b*1=4", "a", &[("c", "2"), ("b", "34")]);
        check("a; b*0=3; c=2; b=1", "a", &[("c", "2"), ("b", "1")]);
        check("a*0=x", "a*0=x", &[]);
        check(
            "a; *=x; *0=y; b**=z; c*01=w",
            "a",
            &[("b*", "z"), ("", "y"), ("c", "w")],
        );
    }

    #[test]
    fn many_keys_are_linear() {
        let keys = (0..100_000).map(|n| format!(";k{n}={n}"));
        let header = format!("a{}", keys.collect::<String>());
        let (_, options) = parse_options(&header);
        assert_eq!(options.len(), 100_000);
        assert_eq!(options.get("k99999").unwrap(), "99999");
    }

    #[test]
    fn changes_of_form_are_linear() {
        let keys = (0..20_000).map(|n| format!(";k{n}={n}"));
        let keys: String = keys.collect();
        let changes = ";a=1;a*0=2;a*1=3".repeat(50_000);
        let header = format!("a{keys}{changes}");
        assert_eq!(parse_options(&header).1.len(), 20_001);
    }

    #[test]
    fn removal_keeps_the_index_right() {
        let mut options = Options::default();
        for n in 0..20 {
            options.set(n.to_string(), n);
        }
        assert_eq!(options.remove("3"), Some(3));
        assert_eq!(options.remove("3"), None);
        assert_eq!(options.get("19"), Some(&19));
        assert_eq!(options.len(), 19);
        assert_eq!(options.iter().next(), Some(("0", &0)));
        for n in 4..8 {
            options.remove(&n.to_string());
        }
        assert_eq!(options.get("2"), Some(&2));
        assert_eq!(options.get("19"), Some(&19));
    }
}
