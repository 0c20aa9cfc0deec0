//! Byte ranges (RFC 9110 section 14).
//!
//! The syntax is Werkzeug's: stricter than the RFC in that ranges must come in ascending order
//! and may not overlap. Answering is Werkzeug's as well: only a single range of bytes can be
//! satisfied, and a suffix longer than the whole cannot.

use std::fmt;

use crate::error::HttpError;
use crate::headers::{parse_plain_int, trim};

/// No more ranges than this are parsed in one header. More than one cannot be satisfied
/// anyway, and browsers and download tools send a few at most.
pub const MAX_RANGES: usize = 128;

/// One range of a `Range` header, in units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RangeSpec {
    /// From `start` up to and without `end`.
    Span {
        /// The first position.
        start: u64,
        /// The position after the last.
        end: u64,
    },
    /// From this position to the end.
    From(u64),
    /// This many at the end.
    Suffix(u64),
}

/// A parsed `Range` header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Range {
    /// The unit, in lower case; `bytes` as a rule.
    pub units: String,
    /// The ranges, ascending.
    pub ranges: Vec<RangeSpec>,
}

/// A span of bytes within a known length: `start <= end`, both within it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ByteSpan {
    /// The first byte.
    pub start: u64,
    /// The byte after the last.
    pub end: u64,
}

impl ByteSpan {
    /// How many bytes the span holds.
    #[must_use]
    pub fn len(self) -> u64 {
        self.end - self.start
    }

    /// Whether the span holds no bytes.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.start == self.end
    }

    /// The `Content-Range` of this span out of `length` bytes.
    #[must_use]
    pub fn content_range(self, length: u64) -> ContentRange {
        ContentRange {
            units: "bytes".to_owned(),
            span: Some(self),
            length: Some(length),
        }
    }
}

/// A position as the header may state it; beyond 64 bits it means "the end" all the same.
fn position(value: i128) -> Option<u64> {
    (value >= 0).then(|| u64::try_from(value).unwrap_or(u64::MAX))
}

impl Range {
    /// Parses a `Range` header; `None` if it is malformed.
    ///
    /// ```
    /// use bustapi_http::range::{Range, RangeSpec};
    ///
    /// let range = Range::parse("bytes=0-499,1000-").unwrap();
    /// assert_eq!(range.ranges, [RangeSpec::Span { start: 0, end: 500 }, RangeSpec::From(1000)]);
    /// assert_eq!(Range::parse("bytes=500-0"), None);
    /// ```
    #[must_use]
    pub fn parse(value: &str) -> Option<Self> {
        let (units, items) = value.split_once('=')?;
        let mut ranges = Vec::new();
        // Where the next range may begin; `None` after one that goes to the end.
        let mut free_from = Some(0);
        for item in items.split(',') {
            if ranges.len() == MAX_RANGES {
                return None;
            }
            let item = trim(item);
            let (first, last) = item.split_once('-')?;
            let free = free_from?;
            let range = if first.is_empty() {
                free_from = None;
                match position(parse_plain_int(last).filter(|_| !starts_with_sign(last))?)? {
                    // A suffix of 0 bytes is not a range.
                    0 => return None,
                    length => RangeSpec::Suffix(length),
                }
            } else {
                let start = position(parse_plain_int(first)?)?;
                if start < free {
                    return None;
                }
                if trim(last).is_empty() {
                    free_from = None;
                    RangeSpec::From(start)
                } else {
                    // The numbers are compared as they were sent: as positions, all beyond 64 bits
                    // would be equal.
                    let (first, last) = (parse_plain_int(first)?, parse_plain_int(last)?);
                    if first > last {
                        return None;
                    }
                    let end = position(last)?.saturating_add(1);
                    free_from = Some(end);
                    RangeSpec::Span { start, end }
                }
            };
            ranges.push(range);
        }
        Some(Self {
            units: trim(units).to_lowercase(),
            ranges,
        })
    }

    /// The one span asked for, out of `length` bytes; `None` if this is not one satisfiable
    /// range of bytes.
    #[must_use]
    pub fn resolve(&self, length: u64) -> Option<ByteSpan> {
        let [range] = self.ranges[..] else {
            return None;
        };
        if self.units != "bytes" {
            return None;
        }
        let (start, end) = match range {
            RangeSpec::Span { start, end } => (start, end.min(length)),
            RangeSpec::From(start) => (start, length),
            RangeSpec::Suffix(count) => (length.checked_sub(count)?, length),
        };
        (start < length).then_some(ByteSpan { start, end })
    }
}

/// Whether a suffix length has a sign or space before it, which one after `-` must not.
fn starts_with_sign(text: &str) -> bool {
    text.starts_with(|c: char| !c.is_ascii_digit())
}

/// The span that a `Range` header asks for, out of `length` bytes.
///
/// # Errors
///
/// [`HttpError::RangeNotSatisfiable`] if it is malformed or cannot be satisfied.
///
/// ```
/// use bustapi_http::range::{ByteSpan, resolve_range};
///
/// assert_eq!(resolve_range("bytes=-5", 100), Ok(ByteSpan { start: 95, end: 100 }));
/// assert!(resolve_range("bytes=100-", 100).is_err());
/// ```
pub fn resolve_range(value: &str, length: u64) -> Result<ByteSpan, HttpError> {
    Range::parse(value)
        .and_then(|range| range.resolve(length))
        .ok_or(HttpError::RangeNotSatisfiable { length })
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}=", self.units)?;
        for (at, range) in self.ranges.iter().enumerate() {
            if at > 0 {
                f.write_str(",")?;
            }
            match range {
                RangeSpec::Span { start, end } => write!(f, "{start}-{}", end - 1)?,
                RangeSpec::From(start) => write!(f, "{start}-")?,
                RangeSpec::Suffix(count) => write!(f, "-{count}")?,
            }
        }
        Ok(())
    }
}

/// A parsed `Content-Range` header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentRange {
    /// The unit; `bytes` as a rule.
    pub units: String,
    /// What is sent; `None` (written `*`) if the range could not be satisfied.
    pub span: Option<ByteSpan>,
    /// The complete length; `None` (written `*`) if it is unknown.
    pub length: Option<u64>,
}

impl ContentRange {
    /// The header of a 416: nothing of `length` bytes.
    #[must_use]
    pub fn unsatisfied(length: u64) -> Self {
        Self {
            units: "bytes".to_owned(),
            span: None,
            length: Some(length),
        }
    }

    /// Parses a `Content-Range` header; `None` if it is malformed.
    ///
    /// ```
    /// use bustapi_http::range::ContentRange;
    ///
    /// let range = ContentRange::parse("bytes 0-98/*").unwrap();
    /// assert_eq!(range.span.unwrap().end, 99);
    /// assert_eq!(range.length, None);
    /// ```
    #[must_use]
    pub fn parse(value: &str) -> Option<Self> {
        let (units, definition) = trim(value).split_once(' ')?;
        let (range, length) = definition.split_once('/')?;
        let length = match length {
            "*" => None,
            number => Some(position(parse_plain_int(number)?)?),
        };
        let span = if range == "*" {
            None
        } else {
            let (first, last) = range.split_once('-')?;
            let start = position(parse_plain_int(first)?)?;
            let end = position(parse_plain_int(last)?)?.saturating_add(1);
            if start >= end || length.is_some_and(|length| start >= length) {
                return None;
            }
            Some(ByteSpan { start, end })
        };
        Some(Self {
            units: units.to_owned(),
            span,
            length,
        })
    }
}

impl fmt::Display for ContentRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.units)?;
        match self.span {
            Some(span) => write!(f, " {}-{}/", span.start, span.end.saturating_sub(1))?,
            None => f.write_str(" */")?,
        }
        match self.length {
            Some(length) => write!(f, "{length}"),
            None => f.write_str("*"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(start: u64, end: u64) -> ByteSpan {
        ByteSpan { start, end }
    }

    #[test]
    fn examples_of_rfc_9110() {
        // Section 14.1.2, a representation of 10000 bytes.
        for (header, expected) in [
            ("bytes=0-499", Some(span(0, 500))),
            ("bytes=500-999", Some(span(500, 1000))),
            ("bytes=-500", Some(span(9500, 10_000))),
            ("bytes=9500-", Some(span(9500, 10_000))),
            ("bytes=0-0,-1", None),
            ("bytes= 0-0, 1-2", None),
        ] {
            let range = Range::parse(header).expect(header);
            assert_eq!(range.resolve(10_000), expected, "{header}");
        }
    }

    #[test]
    fn malformed() {
        for header in [
            "",
            "bytes",
            "bytes=",
            "bytes=a-b",
            "bytes=1",
            "bytes=2-1",
            "bytes=0-4,3-5",
            "bytes=5-,6-7",
            "bytes=-5,-6",
            "bytes=--5",
            "bytes=- 5",
            "bytes=0--5",
            "bytes=+1-2",
            "bytes=1-+2",
            "bytes=0-1,",
            "bytes=-",
        ] {
            assert_eq!(Range::parse(header), None, "{header:?}");
        }
        let many = format!("bytes={}0-", "0-0,".repeat(MAX_RANGES));
        assert_eq!(Range::parse(&many), None);
    }

    #[test]
    fn edges_as_in_werkzeug() {
        for (header, expected) in [
            ("bytes=0-", Some(span(0, 10))),
            ("bytes=9-99999999999999999999999", Some(span(9, 10))),
            ("bytes=10-", None),
            ("bytes=-10", Some(span(0, 10))),
            ("bytes=-11", None),
            ("BYTES = 1 - 2 ", Some(span(1, 3))),
            ("lines=1-2", None),
        ] {
            let range = Range::parse(header).expect(header);
            assert_eq!(range.resolve(10), expected, "{header}");
        }
        let digits = "9".repeat(4300);
        for malformed in ["-0", "-00", "\x0b1-2", &format!("0-{digits}9")] {
            let header = format!("bytes={malformed}");
            assert_eq!(Range::parse(&header), None, "{malformed}");
        }
        let most = Range::parse(&format!("bytes=0-{digits}")).expect("4,300 digits are a number");
        assert_eq!(most.resolve(10), Some(span(0, 10)));
        assert_eq!(
            resolve_range("bytes=0-", 0),
            Err(HttpError::RangeNotSatisfiable { length: 0 })
        );
    }

    #[test]
    fn written_as_parsed() {
        for header in ["bytes=0-499", "bytes=-5", "bytes=5-", "bytes=0-1,4-5,-3"] {
            assert_eq!(Range::parse(header).expect(header).to_string(), header);
        }
        for header in ["bytes 0-98/99", "bytes 0-98/*", "bytes */99", "x */*"] {
            assert_eq!(
                ContentRange::parse(header).expect(header).to_string(),
                header
            );
        }
        assert_eq!(ContentRange::unsatisfied(7).to_string(), "bytes */7");
    }

    #[test]
    fn malformed_content_ranges() {
        for header in [
            "",
            "bytes",
            "bytes 0-98",
            "bytes 98-0/99",
            "bytes 99-100/99",
            "bytes 0/9",
            "bytes 0-9/-1",
            "bytes a-b/c",
        ] {
            assert_eq!(ContentRange::parse(header), None, "{header:?}");
        }
    }
}
