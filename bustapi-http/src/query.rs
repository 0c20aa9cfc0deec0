//! Query strings, as Werkzeug's `request.args` sees them.
//!
//! Facts that this follows (`urllib.parse.parse_qsl` with `keep_blank_values` and Werkzeug's
//! `url_quote` error handler): pairs are separated by `&` only; an empty piece is skipped; a
//! piece without `=` has an empty value; `+` is a space; bytes that are not UTF-8 once decoded
//! stay percent-encoded (in upper case) instead of being replaced. Order and repeats are kept.

mod percent;

use std::borrow::Cow;
use std::iter::FusedIterator;

pub use percent::{
    percent_decode, percent_decode_bytes, percent_decode_latin1, percent_decode_lossy,
    percent_decode_plus, percent_encode, percent_encode_plus,
};

use crate::error::HttpError;

/// What a URL's query may hold without percent-encoding, besides letters, digits and `_.-~`;
/// Werkzeug's choice for the URLs that it builds.
pub const QUERY_SAFE: &str = "!$'()*,/:;?@";

/// A name and its value, borrowed where nothing had to be decoded.
pub type Pair<'a> = (Cow<'a, str>, Cow<'a, str>);

/// The pairs of a query string, in order.
#[derive(Debug, Clone)]
pub struct QueryPairs<'a> {
    rest: &'a str,
}

impl<'a> Iterator for QueryPairs<'a> {
    type Item = Pair<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.rest.is_empty() {
            let piece = Piece::scan(self.rest.as_bytes());
            let (text, rest) = self.rest.split_at(piece.end);
            self.rest = rest.get(1..).unwrap_or_default();
            if !text.is_empty() {
                return Some(piece.decode(text));
            }
        }
        None
    }
}

/// What one pass over a piece finds. Names and values are short as a rule: a search for each
/// separator on its own costs several times as much (bench: `http_query`).
#[derive(Debug, Clone, Copy)]
struct Piece {
    /// Where the piece ends: at `&` or at the end.
    end: usize,
    /// Where its first `=` is.
    equals: Option<usize>,
    /// Whether something in the name has to be decoded.
    name_encoded: bool,
    /// Whether something in the value has to be decoded.
    value_encoded: bool,
}

impl Piece {
    fn scan(bytes: &[u8]) -> Self {
        let mut piece = Self {
            end: bytes.len(),
            equals: None,
            name_encoded: false,
            value_encoded: false,
        };
        for (at, &byte) in bytes.iter().enumerate() {
            match byte {
                b'&' => {
                    piece.end = at;
                    break;
                }
                b'=' if piece.equals.is_none() => piece.equals = Some(at),
                b'%' | b'+' if piece.equals.is_none() => piece.name_encoded = true,
                b'%' | b'+' => piece.value_encoded = true,
                _ => {}
            }
        }
        piece
    }

    fn decode(self, text: &str) -> Pair<'_> {
        let decode = |text, encoded| {
            if encoded {
                percent_decode_plus(text)
            } else {
                Cow::Borrowed(text)
            }
        };
        let (name, value) = match self.equals {
            Some(at) => (&text[..at], &text[at + 1..]),
            None => (text, ""),
        };
        (
            decode(name, self.name_encoded),
            decode(value, self.value_encoded),
        )
    }
}

impl FusedIterator for QueryPairs<'_> {}

/// Decodes one non-empty piece between two `&`.
pub(crate) fn decode_pair(piece: &str) -> Pair<'_> {
    Piece::scan(piece.as_bytes()).decode(piece)
}

/// Goes through the pairs of `query`, which comes without its `?`.
///
/// ```
/// use bustapi_http::query::parse_query;
///
/// let pairs: Vec<_> = parse_query("a=1&b=x+y&a=%C3%A9&c&bad=%FF").collect();
/// assert_eq!(pairs[0], ("a".into(), "1".into()));
/// assert_eq!(pairs[1], ("b".into(), "x y".into()));
/// assert_eq!(pairs[2], ("a".into(), "é".into()));
/// assert_eq!(pairs[3], ("c".into(), "".into()));
/// assert_eq!(pairs[4], ("bad".into(), "%FF".into()));
/// ```
#[must_use]
pub fn parse_query(query: &str) -> QueryPairs<'_> {
    QueryPairs { rest: query }
}

/// The same from raw bytes, with at most `max_pairs` pairs (`None`: as many as there are).
///
/// # Errors
///
/// [`HttpError::InvalidUtf8`] for raw bytes that are not UTF-8 (percent-encoded ones may be
/// anything), and [`HttpError::TooManyParts`] beyond `max_pairs`.
pub fn parse_query_bytes(
    query: &[u8],
    max_pairs: Option<usize>,
) -> Result<Vec<Pair<'_>>, HttpError> {
    let text = std::str::from_utf8(query)
        .map_err(|error| HttpError::invalid_utf8("query string", &error))?;
    let mut pairs = Vec::new();
    for pair in parse_query(text) {
        if let Some(limit) = max_pairs.filter(|&limit| pairs.len() >= limit) {
            return Err(HttpError::TooManyParts { limit });
        }
        pairs.push(pair);
    }
    Ok(pairs)
}

/// Writes pairs as a query string, encoded as Werkzeug encodes the URLs it builds.
///
/// ```
/// use bustapi_http::query::encode_query;
///
/// assert_eq!(encode_query([("q", "a b&c"), ("ü", "")]), "q=a+b%26c&%C3%BC=");
/// ```
pub fn encode_query<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut out = String::new();
    for (name, value) in pairs {
        if !out.is_empty() {
            out.push('&');
        }
        out.push_str(&percent_encode_plus(name, QUERY_SAFE));
        out.push('=');
        out.push_str(&percent_encode_plus(value, QUERY_SAFE));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(query: &str) -> Vec<(String, String)> {
        parse_query(query)
            .map(|(name, value)| (name.into_owned(), value.into_owned()))
            .collect()
    }

    #[track_caller]
    fn check(query: &str, expected: &[(&str, &str)]) {
        let expected: Vec<_> = expected
            .iter()
            .map(|&(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        assert_eq!(pairs(query), expected, "{query:?}");
    }

    #[test]
    fn pieces() {
        check("", &[]);
        check("&&", &[]);
        check("a", &[("a", "")]);
        check("=", &[("", "")]);
        check("=b", &[("", "b")]);
        check("a=b=c", &[("a", "b=c")]);
        check("a=1;b=2", &[("a", "1;b=2")]);
        check("&a=1&&a=2&", &[("a", "1"), ("a", "2")]);
    }

    #[test]
    fn decoding() {
        check("a%3Db=c%26d", &[("a=b", "c&d")]);
        check("a+b=c%2Bd", &[("a b", "c+d")]);
        check("a=%", &[("a", "%")]);
        check("a=%4", &[("a", "%4")]);
        check("a=%zz%41", &[("a", "%zzA")]);
        check("a=%ff%e2%82%ac%e2%82", &[("a", "%FF€%E2%82")]);
        // A raw character ends the run of bytes that are decoded together.
        check("a=%C3é%A9", &[("a", "%C3é%A9")]);
    }

    #[test]
    fn nothing_to_decode_borrows() {
        let mut query = parse_query("name=value");
        let Some((Cow::Borrowed("name"), Cow::Borrowed("value"))) = query.next() else {
            panic!("allocated");
        };
    }

    #[test]
    fn bytes_and_limits() {
        assert_eq!(
            parse_query_bytes(b"a=1&b=\xff", None),
            Err(HttpError::InvalidUtf8 {
                what: "query string",
                position: 6
            })
        );
        assert_eq!(
            parse_query_bytes(b"a&b&c", Some(2)),
            Err(HttpError::TooManyParts { limit: 2 })
        );
        assert_eq!(
            parse_query_bytes(b"a&b&", Some(2)).map(|pairs| pairs.len()),
            Ok(2)
        );
    }
}
