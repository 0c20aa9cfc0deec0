//! Entity tags (RFC 9110 section 8.8.3), and the lists of them that requests send.

use std::fmt;

use http::header::HeaderValue;

use crate::date::float_time;
use crate::error::HttpError;
use crate::headers::BLANKS;

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

/// The tag at the start of `text`.
struct Tag<'a> {
    text: &'a str,
    weak: bool,
    /// Its length, with the comma after it.
    len: usize,
}

impl<'a> Tag<'a> {
    /// `None` if it is malformed.
    fn split(text: &'a str) -> Option<Self> {
        let at = text.trim_start_matches(BLANKS);
        let marked = at.strip_prefix("W/").or(at.strip_prefix("w/"));
        marked
            .and_then(|rest| Self::split_opaque(text, rest, true))
            // The mark may be the beginning of a tag without quotes.
            .or_else(|| Self::split_opaque(text, at, false))
    }

    fn split_opaque(text: &str, at: &'a str, weak: bool) -> Option<Self> {
        let (tag, after) = match at.strip_prefix('"') {
            Some(inner) => inner.split_once('"')?,
            None => at.split_at(at.find([' ', '\t', ',', '"']).unwrap_or(at.len())),
        };
        if tag.is_empty() && !at.starts_with('"') {
            return None;
        }
        let after = after.trim_start_matches(BLANKS);
        let after = match after.strip_prefix(',') {
            Some(after) => after,
            None if after.is_empty() => after,
            None => return None,
        };
        Some(Self {
            text: tag,
            weak,
            len: text.len() - after.len(),
        })
    }
}

impl ETags {
    /// Parses a list of tags; quotes may be missing, and `*` alone stands for any. What is
    /// malformed is passed over, up to the next comma.
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
        if value == "*" {
            tags.star = true;
            tags.provided = true;
            return tags;
        }
        let mut rest = value;
        while !rest.is_empty() {
            let Some(found) = Tag::split(rest) else {
                rest = rest.split_once(',').map_or("", |(_, next)| next);
                continue;
            };
            rest = &rest[found.len..];
            tags.provided = true;
            // An empty tag matches nothing in Werkzeug; it only makes the list count as given.
            if !found.text.is_empty() {
                let list = if found.weak {
                    &mut tags.weak
                } else {
                    &mut tags.strong
                };
                list.push(found.text.to_owned());
            }
        }
        tags
    }

    /// Whether no well-formed tag was given at all.
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
            (" a ", " a ", false),
            ("W/\"", "", true),
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
        let tags = ETags::parse(r#""a,b" , W/"c", d ,w/e,W/ , f g, "h"i, "j"#);
        assert_eq!(tags.strong, ["a,b", "d", "W/"]);
        assert_eq!(tags.weak, ["c", "e"]);
        for nothing in ["", ",", " ", "a b", "\"a", "a\"b\""] {
            assert!(ETags::parse(nothing).is_empty(), "{nothing:?}");
        }
        assert!(!ETags::parse("\"\"").is_empty());
        assert!(ETags::parse("*").is_star());
        for tag in ["a, *", "\"*\"", " *", "*,"] {
            assert!(!ETags::parse(tag).is_star(), "{tag:?}");
            assert!(ETags::parse(tag).contains("*"), "{tag:?}");
        }
        assert_eq!(ETags::parse(r#""a"b", "c""#).strong, ["c"]);
        assert_eq!(ETags::parse(" a ").strong, ["a"]);
    }

    #[test]
    fn malformed_tag_lists_are_linear() {
        for piece in ["\"a,", "\"a\"b,", "a b,", "W/,,", "\"", "  "] {
            let tags = ETags::parse(&piece.repeat(400_000));
            assert!(tags.strong.len() <= 400_000, "{piece:?}");
        }
    }
}
