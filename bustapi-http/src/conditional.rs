//! Conditional requests (RFC 9110 section 13).
//!
//! [`evaluate`] answers a GET or HEAD as Werkzeug's `make_conditional` does; files and Python
//! responses go through it. Werkzeug differs from the RFC: it does not look at
//! `If-Unmodified-Since`, `If-Match` overrules `If-None-Match` and counts for nothing where the
//! response has no tag, and a `Range` is answered before the other conditions are looked at.
//! [`check_preconditions`] is the RFC to the letter (section 13.2.2), for handlers that change
//! resources.

mod etag;

use http::Method;
use http::header::{
    HeaderMap, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE, RANGE,
};

pub use etag::{ETag, ETags};

use crate::date::HttpDate;
use crate::error::HttpError;
use crate::headers::text;
use crate::range::{ByteSpan, resolve_range};

/// What the current representation is compared by.
#[derive(Debug, Clone, Copy, Default)]
pub struct Validators<'a> {
    /// Its `ETag`.
    pub etag: Option<&'a ETag>,
    /// Its `Last-Modified`.
    pub last_modified: Option<HttpDate>,
}

/// The texts of the header fields that Werkzeug looks at.
#[derive(Debug, Clone, Copy, Default)]
pub struct Conditions<'a> {
    /// `If-Match`
    pub if_match: Option<&'a str>,
    /// `If-None-Match`
    pub if_none_match: Option<&'a str>,
    /// `If-Modified-Since`
    pub if_modified_since: Option<&'a str>,
    /// `If-Range`
    pub if_range: Option<&'a str>,
    /// `Range`
    pub range: Option<&'a str>,
}

/// An `If-Range` header: a tag or a date.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IfRange {
    /// The tag the client has, without its weakness.
    Tag(String),
    /// The date of what the client has.
    Date(HttpDate),
}

impl IfRange {
    /// Parses the header; `None` if it is empty.
    #[must_use]
    pub fn parse(value: &str) -> Option<Self> {
        if value.is_empty() {
            return None;
        }
        Some(match HttpDate::parse(value) {
            Some(date) => Self::Date(date),
            None => Self::Tag(ETag::parse(value).as_str().to_owned()),
        })
    }
}

fn parse_tags(value: Option<&str>) -> ETags {
    value.map(ETags::parse).unwrap_or_default()
}

/// Whether the client needs the representation, as Werkzeug's `is_resource_modified` says.
/// `If-Range` counts only with `use_if_range`, and beside a `Range`.
#[must_use]
pub fn is_modified(
    conditions: &Conditions<'_>,
    validators: Validators<'_>,
    use_if_range: bool,
) -> bool {
    let if_range = conditions
        .if_range
        .filter(|_| use_if_range && conditions.range.is_some())
        .and_then(IfRange::parse);
    let since = match if_range {
        Some(IfRange::Date(date)) => Some(date),
        _ => conditions.if_modified_since.and_then(HttpDate::parse),
    };
    let mut unmodified = matches!(
        (since, validators.last_modified),
        (Some(since), Some(modified)) if modified <= since
    );
    if let Some(tag) = validators.etag.map(ETag::as_str) {
        if let Some(IfRange::Tag(seen)) = if_range {
            unmodified = seen == tag;
        } else {
            let if_none_match = parse_tags(conditions.if_none_match);
            if !if_none_match.is_empty() {
                unmodified = if_none_match.contains_weak(tag);
            }
            let if_match = parse_tags(conditions.if_match);
            if !if_match.is_empty() {
                unmodified = !if_match.is_strong(tag);
            }
        }
    }
    !unmodified
}

/// How to answer a conditional GET or HEAD.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// With everything: 200.
    Full,
    /// With a part: 206.
    Partial(ByteSpan),
    /// The client has it already: 304.
    NotModified,
    /// The client wants another version: 412.
    PreconditionFailed,
}

/// Decides on a GET or HEAD as Werkzeug's `make_conditional` does. `length` is the complete
/// length in bytes if ranges of the representation can be sent, else `None`.
///
/// # Errors
///
/// [`HttpError::RangeNotSatisfiable`] for a malformed or unsatisfiable `Range`.
pub fn decide(
    conditions: &Conditions<'_>,
    validators: Validators<'_>,
    length: Option<u64>,
) -> Result<Outcome, HttpError> {
    // An empty representation has no ranges; Werkzeug sends it whole.
    if let (Some(range), Some(length @ 1..)) = (conditions.range, length)
        && (conditions.if_range.is_none() || !is_modified(conditions, validators, true))
    {
        return resolve_range(range, length).map(Outcome::Partial);
    }
    if is_modified(conditions, validators, false) {
        return Ok(Outcome::Full);
    }
    Ok(if parse_tags(conditions.if_match).is_empty() {
        Outcome::NotModified
    } else {
        Outcome::PreconditionFailed
    })
}

/// As [`decide`], from a request's method and headers; methods other than GET and HEAD get
/// everything.
///
/// # Errors
///
/// As [`decide`].
///
/// ```
/// use bustapi_http::conditional::{ETag, Outcome, Validators, evaluate};
/// use http::{HeaderMap, HeaderValue, Method, header};
///
/// let etag = ETag::strong("abc").unwrap();
/// let validators = Validators { etag: Some(&etag), last_modified: None };
/// let mut headers = HeaderMap::new();
/// headers.insert(header::IF_NONE_MATCH, HeaderValue::from_static("\"abc\""));
/// let outcome = evaluate(&Method::GET, &headers, validators, Some(10));
/// assert_eq!(outcome, Ok(Outcome::NotModified));
/// ```
pub fn evaluate(
    method: &Method,
    headers: &HeaderMap,
    validators: Validators<'_>,
    length: Option<u64>,
) -> Result<Outcome, HttpError> {
    if method != Method::GET && method != Method::HEAD {
        return Ok(Outcome::Full);
    }
    let field = |name| crate::headers::joined_text(headers, name);
    let (if_match, if_none_match) = (field(&IF_MATCH), field(&IF_NONE_MATCH));
    let (if_range, range) = (field(&IF_RANGE), field(&RANGE));
    let if_modified_since = field(&IF_MODIFIED_SINCE);
    let conditions = Conditions {
        if_match: if_match.as_deref(),
        if_none_match: if_none_match.as_deref(),
        if_modified_since: if_modified_since.as_deref(),
        if_range: if_range.as_deref(),
        range: range.as_deref(),
    };
    decide(&conditions, validators, length)
}

/// What the preconditions of a request say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Carry out the method.
    Proceed,
    /// Answer 304.
    NotModified,
    /// Answer 412.
    PreconditionFailed,
}

/// Evaluates `If-Match`, `If-Unmodified-Since`, `If-None-Match` and `If-Modified-Since` in the
/// order of RFC 9110 section 13.2.2, for any method. `current` is `None` where the resource has
/// no representation yet.
///
/// ```
/// use bustapi_http::conditional::{Verdict, check_preconditions};
/// use http::{HeaderMap, HeaderValue, Method, header};
///
/// // "Create it, but replace nothing."
/// let mut headers = HeaderMap::new();
/// headers.insert(header::IF_NONE_MATCH, HeaderValue::from_static("*"));
/// assert_eq!(check_preconditions(&Method::PUT, &headers, None), Verdict::Proceed);
/// let there = Some(Default::default());
/// assert_eq!(check_preconditions(&Method::PUT, &headers, there), Verdict::PreconditionFailed);
/// ```
#[must_use]
pub fn check_preconditions(
    method: &Method,
    headers: &HeaderMap,
    current: Option<Validators<'_>>,
) -> Verdict {
    let tags = |name| {
        crate::headers::joined_text(headers, name)
            .map(|value| ETags::parse(&value))
            .filter(|tags| !tags.is_empty())
    };
    let date = |name| text(headers, name).and_then(|value| HttpDate::parse(&value));
    let etag = current.and_then(|current| current.etag);
    let modified = current.and_then(|current| current.last_modified);
    let reads = method == Method::GET || method == Method::HEAD;

    if let Some(tags) = tags(&IF_MATCH) {
        let strong = etag.filter(|etag| !etag.is_weak());
        let matches = if tags.is_star() {
            current.is_some()
        } else {
            strong.is_some_and(|etag| tags.is_strong(etag.as_str()))
        };
        if !matches {
            return Verdict::PreconditionFailed;
        }
    } else if let (Some(since), Some(modified)) = (date(&IF_UNMODIFIED_SINCE), modified)
        && modified > since
    {
        return Verdict::PreconditionFailed;
    }
    if let Some(tags) = tags(&IF_NONE_MATCH) {
        let matches = if tags.is_star() {
            current.is_some()
        } else {
            etag.is_some_and(|etag| tags.contains_weak(etag.as_str()))
        };
        if matches {
            return if reads {
                Verdict::NotModified
            } else {
                Verdict::PreconditionFailed
            };
        }
    } else if reads
        && let (Some(since), Some(modified)) = (date(&IF_MODIFIED_SINCE), modified)
        && modified <= since
    {
        return Verdict::NotModified;
    }
    Verdict::Proceed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::headers::header_map;

    const EARLIER: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
    const THEN: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const MODIFIED: HttpDate = HttpDate::from_unix(784_111_777);

    fn run(pairs: &[(&str, &str)]) -> Result<Outcome, HttpError> {
        let etag = ETag::strong("abc").unwrap();
        let validators = Validators {
            etag: Some(&etag),
            last_modified: Some(MODIFIED),
        };
        let headers = header_map(pairs.iter().copied()).unwrap();
        evaluate(&Method::GET, &headers, validators, Some(100))
    }

    #[test]
    fn reading() {
        use Outcome::{Full, NotModified, PreconditionFailed};
        for (pairs, outcome) in [
            (&[][..], Full),
            (&[("if-none-match", "\"abc\"")], NotModified),
            (&[("if-none-match", "W/\"abc\"")], NotModified),
            (&[("if-none-match", "*")], NotModified),
            (&[("if-none-match", "\"x\"")], Full),
            (&[("if-modified-since", THEN)], NotModified),
            (&[("if-modified-since", EARLIER)], Full),
            (&[("if-modified-since", "nonsense")], Full),
            (
                &[("if-none-match", "\"x\""), ("if-modified-since", THEN)],
                Full,
            ),
            (&[("if-match", "\"abc\"")], Full),
            (&[("if-match", "\"x\"")], PreconditionFailed),
            (&[("if-match", "W/\"abc\"")], PreconditionFailed),
        ] {
            assert_eq!(run(pairs), Ok(outcome), "{pairs:?}");
        }
    }

    #[test]
    fn ranges() {
        let part = |start, end| Ok(Outcome::Partial(ByteSpan { start, end }));
        assert_eq!(run(&[("range", "bytes=1-2")]), part(1, 3));
        assert_eq!(
            run(&[("range", "bytes=1-2"), ("if-range", "\"abc\"")]),
            part(1, 3)
        );
        assert_eq!(
            run(&[("range", "bytes=1-2"), ("if-range", "W/\"abc\"")]),
            part(1, 3)
        );
        assert_eq!(
            run(&[("range", "bytes=1-2"), ("if-range", "\"x\"")]),
            Ok(Outcome::Full)
        );
        assert_eq!(
            run(&[("range", "bytes=1-2"), ("if-range", THEN)]),
            part(1, 3)
        );
        assert_eq!(
            run(&[("range", "bytes=1-2"), ("if-range", EARLIER)]),
            Ok(Outcome::Full)
        );
        let refused = Err(HttpError::RangeNotSatisfiable { length: 100 });
        assert_eq!(run(&[("range", "bytes=100-")]), refused);
        assert_eq!(run(&[("range", "nonsense")]), refused);
        assert_eq!(run(&[("if-range", "\"abc\"")]), Ok(Outcome::Full));
    }

    #[test]
    fn other_methods_and_empty_content() {
        let headers = header_map([("range", "bytes=0-1"), ("if-none-match", "*")]).unwrap();
        let outcome = evaluate(&Method::POST, &headers, Validators::default(), Some(10));
        assert_eq!(outcome, Ok(Outcome::Full));
        let headers = header_map([("range", "bytes=0-1")]).unwrap();
        for length in [Some(0), None] {
            let outcome = evaluate(&Method::GET, &headers, Validators::default(), length);
            assert_eq!(outcome, Ok(Outcome::Full));
        }
    }

    #[test]
    fn preconditions_of_rfc_9110() {
        use Verdict::{NotModified, PreconditionFailed, Proceed};
        let weak = ETag::weak("w").unwrap();
        let strong = ETag::strong("s").unwrap();
        let current = |etag| {
            Some(Validators {
                etag: Some(etag),
                last_modified: Some(MODIFIED),
            })
        };
        let (get, put) = (Method::GET, Method::PUT);
        for (method, pairs, current, verdict) in [
            (&put, &[][..], None, Proceed),
            (&put, &[("if-match", "*")], None, PreconditionFailed),
            (&put, &[("if-match", "*")], current(&weak), Proceed),
            (&put, &[("if-match", "\"s\"")], current(&strong), Proceed),
            (
                &put,
                &[("if-match", "W/\"w\"")],
                current(&weak),
                PreconditionFailed,
            ),
            (
                &put,
                &[("if-unmodified-since", THEN)],
                current(&strong),
                Proceed,
            ),
            (
                &put,
                &[("if-unmodified-since", EARLIER)],
                current(&strong),
                PreconditionFailed,
            ),
            (
                &put,
                &[("if-none-match", "\"s\"")],
                current(&strong),
                PreconditionFailed,
            ),
            (
                &get,
                &[("if-none-match", "\"s\"")],
                current(&strong),
                NotModified,
            ),
            (
                &get,
                &[("if-none-match", "\"w\"")],
                current(&weak),
                NotModified,
            ),
            (
                &get,
                &[("if-modified-since", THEN)],
                current(&weak),
                NotModified,
            ),
            (
                &put,
                &[("if-modified-since", THEN)],
                current(&weak),
                Proceed,
            ),
            (
                &put,
                &[("if-match", "\"s\""), ("if-unmodified-since", EARLIER)],
                current(&strong),
                Proceed,
            ),
        ] {
            let headers = header_map(pairs.iter().copied()).unwrap();
            assert_eq!(
                check_preconditions(method, &headers, current),
                verdict,
                "{method} {pairs:?}"
            );
        }
    }
}
