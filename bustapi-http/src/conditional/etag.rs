//! Entity tags (RFC 9110 section 8.8.3), and the lists of them that requests send.

use std::fmt;

use http::header::HeaderValue;

use crate::date::float_time;
use crate::error::HttpError;
use crate::headers::{is_space, trim};

/// An entity tag.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ETag {
    tag: String,
    weak: bool,
}

impl ETag {
    /// A strong tag: it changes with each byte of the content.
    ///
    /// # Errors
    ///
    /// [`HttpError::InvalidEtag`] if there is a quote inside, or anything that a header cannot
    /// hold.
    pub fn strong(tag: impl Into<String>) -> Result<Self, HttpError> {
        let tag = tag.into();
        // RFC 9110's `etagc`.
        if tag
            .bytes()
            .any(|byte| byte <= 0x20 || byte == b'"' || byte == 0x7f)
        {
            return Err(HttpError::InvalidEtag { tag });
        }
        Ok(Self { tag, weak: false })
    }

    /// A weak tag: it changes with the meaning of the content.
    ///
    /// # Errors
    ///
    /// As [`ETag::strong`].
    pub fn weak(tag: impl Into<String>) -> Result<Self, HttpError> {
        Ok(Self {
            weak: true,
            ..Self::strong(tag)?
        })
    }

    /// The tag of a file as Flask's `send_file` makes it: modification time (as a Python
    /// `float`), length, and Adler-32 of the path, so that clients keep what they have cached.
    ///
    /// ```
    /// use bustapi_http::conditional::ETag;
    ///
    /// let tag = ETag::of_file("/srv/static/app.css", 1_700_000_000, 500_000_000, 1234);
    /// assert_eq!(tag.to_string(), "\"1700000000.5-1234-1187841833\"");
    /// ```
    #[must_use]
    pub fn of_file(path: &str, mtime_seconds: i64, mtime_nanoseconds: u32, length: u64) -> Self {
        let mtime = float_time(mtime_seconds, mtime_nanoseconds);
        Self {
            // `Debug` of a float is its shortest form with a decimal point, as in Python.
            tag: format!("{mtime:?}-{length}-{}", adler32(path.as_bytes())),
            weak: false,
        }
    }

    /// Reads one tag; quotes may be missing.
    #[must_use]
    pub fn parse(value: &str) -> Self {
        let value = trim(value);
        let (weak, rest) = match value.strip_prefix("W/").or(value.strip_prefix("w/")) {
            Some(rest) => (true, rest),
            None => (false, value),
        };
        let tag = match rest.strip_prefix('"') {
            Some("") => "",
            Some(inner) => inner.strip_suffix('"').unwrap_or(rest),
            None => rest,
        };
        Self {
            tag: tag.to_owned(),
            weak,
        }
    }

    /// The tag without quotes.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.tag
    }

    /// Whether the tag is weak.
    #[must_use]
    pub fn is_weak(&self) -> bool {
        self.weak
    }

    /// The tag as a header's value; `None` if it was parsed from text that no header can hold.
    #[must_use]
    pub fn to_header_value(&self) -> Option<HeaderValue> {
        HeaderValue::try_from(self.to_string()).ok()
    }
}

impl fmt::Display for ETag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let prefix = if self.weak { "W/" } else { "" };
        write!(f, "{prefix}\"{}\"", self.tag)
    }
}

/// Adler-32 (RFC 1950 section 9).
fn adler32(bytes: &[u8]) -> u32 {
    /// The largest prime below 2^16.
    const MODULUS: u32 = 65_521;
    let (mut low, mut high) = (1_u32, 0_u32);
    for &byte in bytes {
        low = (low + u32::from(byte)) % MODULUS;
        high = (high + low) % MODULUS;
    }
    high << 16 | low
}

/// The tags of `If-Match` or `If-None-Match`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ETags {
    strong: Vec<String>,
    weak: Vec<String>,
    star: bool,
    provided: bool,
}

/// The closing quotes of tags in `value`: each stands before a comma or at the end.
fn closing_quotes(value: &str) -> Vec<usize> {
    value
        .match_indices('"')
        .map(|(at, _)| at)
        .filter(|at| {
            let after = &value[at + 1..];
            after.is_empty() || after.trim_start_matches(is_space).starts_with(',')
        })
        .collect()
}

impl ETags {
    /// Parses a list of tags; quotes may be missing, and `*` stands for any.
    ///
    /// ```
    /// use bustapi_http::conditional::ETags;
    ///
    /// let tags = ETags::parse(r#""a", W/"b", c"#);
    /// assert!(tags.contains("a") && tags.contains("c"));
    /// assert!(!tags.contains("b") && tags.contains_weak("b"));
    /// ```
    #[must_use]
    pub fn parse(value: &str) -> Self {
        let mut tags = Self::default();
        let closing = closing_quotes(value);
        let mut next_closing = 0;
        let mut at = 0;
        while at < value.len() {
            tags.provided = true;
            let weak = value[at..].starts_with("W/") || value[at..].starts_with("w/");
            let from = if weak { at + 2 } else { at };
            while closing.get(next_closing).is_some_and(|&end| end <= from) {
                next_closing += 1;
            }
            let quoted = value[from..]
                .starts_with('"')
                .then(|| closing.get(next_closing))
                .flatten();
            let (tag, end) = if let Some(&end) = quoted {
                (&value[from + 1..end], end + 1)
            } else {
                let end = value[from..]
                    .find(',')
                    .map_or(value.len(), |comma| from + comma);
                let tag = &value[from..end];
                let tag = if end < value.len() {
                    tag.trim_end_matches(is_space)
                } else {
                    tag
                };
                if tag == "*" {
                    return Self {
                        star: true,
                        provided: true,
                        ..Self::default()
                    };
                }
                (tag, end)
            };
            // The empty tag in quotes matches nothing in Werkzeug; only that it was there counts.
            if !(tag.is_empty() && quoted.is_some()) {
                let list = if weak {
                    &mut tags.weak
                } else {
                    &mut tags.strong
                };
                list.push(tag.to_owned());
            }
            let rest = value[end..].trim_start_matches(is_space);
            let rest = rest.strip_prefix(',').unwrap_or(rest);
            at = value.len() - rest.trim_start_matches(is_space).len();
        }
        tags
    }

    /// Whether no tag was given at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.provided
    }

    /// Whether the header is `*`.
    #[must_use]
    pub fn is_star(&self) -> bool {
        self.star
    }

    /// Whether `tag` is among the strong ones; `*` is not looked at.
    #[must_use]
    pub fn is_strong(&self, tag: &str) -> bool {
        self.strong.iter().any(|known| known == tag)
    }

    /// Whether `tag` is among the strong ones, or all tags are.
    #[must_use]
    pub fn contains(&self, tag: &str) -> bool {
        self.star || self.is_strong(tag)
    }

    /// Whether `tag` is among all, by weak comparison.
    #[must_use]
    pub fn contains_weak(&self, tag: &str) -> bool {
        self.contains(tag) || self.weak.iter().any(|known| known == tag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags() {
        for (text, tag, weak) in [
            ("\"a\"", "a", false),
            ("W/\"a\"", "a", true),
            ("w/a", "a", true),
            (" a ", "a", false),
            ("\"", "", false),
            ("\"a", "\"a", false),
            ("", "", false),
        ] {
            let parsed = ETag::parse(text);
            assert_eq!((parsed.as_str(), parsed.is_weak()), (tag, weak), "{text:?}");
        }
        assert_eq!(ETag::weak("x").unwrap().to_string(), "W/\"x\"");
        assert!(ETag::strong("a\"b").is_err());
        assert!(ETag::strong("a\nb").is_err());
    }

    #[test]
    fn adler_of_rfc_1950() {
        assert_eq!(adler32(b""), 1);
        assert_eq!(adler32(b"Wikipedia"), 0x11e6_0398);
    }

    #[test]
    fn tag_lists() {
        let tags = ETags::parse(r#""a,b" , W/"c", d, "e"#);
        assert_eq!(tags.strong, ["a,b", "d", "\"e"]);
        assert_eq!(tags.weak, ["c"]);
        assert!(ETags::parse("").is_empty());
        assert!(!ETags::parse("\"\"").is_empty());
        assert!(ETags::parse("a, *").is_star());
        assert!(!ETags::parse("\"*\"").is_star());
        assert_eq!(ETags::parse(r#""a"b", "c""#).strong, [r#"a"b"#, "c"]);
        assert_eq!(ETags::parse(" a ").strong, [" a "]);
    }

    #[test]
    fn tag_lists_without_closing_quotes_are_linear() {
        let tags = ETags::parse(&"\"a,".repeat(200_000));
        assert_eq!(tags.strong.len(), 200_000);
    }
}
