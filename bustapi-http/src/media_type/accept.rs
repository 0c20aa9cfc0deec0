//! `Accept`, `Accept-Language`, `Accept-Encoding` and `Accept-Charset`, with their qualities
//! (RFC 9110 section 12.5), chosen from as Werkzeug's `Accept` classes do.

use std::cmp::Ordering;

use crate::error::HttpError;
use crate::headers::{BLANKS, dump_options, parse_list, parse_options, trim};

/// How items are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AcceptKind {
    /// As words: charsets and encodings.
    Word,
    /// As media types with wildcards and parameters.
    MediaType,
    /// As language tags.
    Language,
}

/// One alternative.
#[derive(Debug, Clone, PartialEq)]
pub struct AcceptItem {
    /// The item, with its parameters apart from `q`.
    pub value: String,
    /// How much it is liked, 0 (not at all) to 1.
    pub quality: f64,
}

/// A parsed header, best items first: more specific before less, then by quality, then in the
/// order of the header.
#[derive(Debug, Clone, PartialEq)]
pub struct Accept {
    items: Vec<AcceptItem>,
    kind: AcceptKind,
}

/// Splits a media type at its slash and its parameters.
fn split_mime(value: &str) -> Vec<&str> {
    value
        .split('/')
        .flat_map(|part| {
            let mut pieces = part.split(';').peekable();
            let mut out = Vec::new();
            let mut first = true;
            while let Some(piece) = pieces.next() {
                // Blanks behind a `;` belong to the separator.
                let piece = if first {
                    piece
                } else {
                    piece.trim_start_matches(BLANKS)
                };
                first = false;
                out.push(if pieces.peek().is_some() {
                    piece.trim_end_matches(BLANKS)
                } else {
                    piece
                });
            }
            out
        })
        .collect()
}

/// Parses a quality; `None` unless it is a number from 0 to 1.
fn parse_quality(text: &str) -> Option<f64> {
    let text = trim(text);
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = match digits.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (digits, None),
    };
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !is_number(whole) || !fraction.is_none_or(is_number) {
        return None;
    }
    let quality: f64 = text.parse().ok()?;
    (0.0..=1.0).contains(&quality).then_some(quality)
}

/// Splits a language tag for comparison.
fn split_language(tag: &str) -> Vec<String> {
    tag.to_lowercase()
        .split(['-', '_'])
        .map(str::to_owned)
        .collect()
}

/// The first subtag.
fn primary(tag: &str) -> &str {
    tag.split(['-', '_']).next().unwrap_or(tag)
}

impl AcceptKind {
    fn specificity(self, value: &str) -> Vec<bool> {
        match self {
            Self::MediaType => split_mime(value)
                .into_iter()
                .map(|part| part != "*")
                .collect(),
            Self::Word | Self::Language => vec![value != "*"],
        }
    }

    /// Whether the server's `offer` satisfies the client's `item`.
    fn matches(self, offer: &str, item: &str) -> Result<bool, HttpError> {
        match self {
            Self::Word => Ok(item == "*" || item.to_lowercase() == offer.to_lowercase()),
            Self::Language => Ok(item == "*" || split_language(item) == split_language(offer)),
            Self::MediaType => media_type_matches(offer, item),
        }
    }
}

fn media_type_matches(offer: &str, item: &str) -> Result<bool, HttpError> {
    if !item.contains('/') {
        return Ok(false);
    }
    let invalid = || HttpError::InvalidMediaType {
        media_type: offer.to_owned(),
    };
    if !offer.contains('/') {
        return Err(invalid());
    }
    let (offer_lower, item_lower) = (offer.to_lowercase(), item.to_lowercase());
    let (mut offer_parts, mut item_parts) = (split_mime(&offer_lower), split_mime(&item_lower));
    // Both hold a slash, so there are two parts at least.
    offer_parts[2..].sort_unstable();
    item_parts[2..].sort_unstable();
    let (offer_type, offer_subtype) = (offer_parts[0], offer_parts[1]);
    let (item_type, item_subtype) = (item_parts[0], item_parts[1]);
    if offer_type == "*" && offer_subtype != "*" {
        return Err(invalid());
    }
    if item_type == "*" {
        return Ok(item_subtype == "*");
    }
    if offer_type == "*" {
        return Ok(true);
    }
    Ok(item_type == offer_type
        && (item_subtype == "*" || offer_subtype == "*" || item_parts[1..] == offer_parts[1..]))
}

impl Accept {
    /// Parses a header; items with an invalid quality are left out.
    ///
    /// ```
    /// use bustapi_http::media_type::{Accept, AcceptKind};
    ///
    /// let accept = Accept::parse("text/*;q=0.5, text/html, */*;q=0.1", AcceptKind::MediaType);
    /// let best = accept.best_match(["application/json", "text/html"]).unwrap();
    /// assert_eq!(best, Some("text/html"));
    /// ```
    #[must_use]
    pub fn parse(value: &str, kind: AcceptKind) -> Self {
        let items = parse_list(value).into_iter().filter_map(|item| {
            let (value, mut options) = parse_options(&item);
            let quality = match options.remove("q") {
                Some(text) => parse_quality(&text)?,
                None => 1.0,
            };
            let options = options.iter().map(|(key, value)| (key, value.as_str()));
            Some(AcceptItem {
                value: dump_options(value, options),
                quality,
            })
        });
        Self::from_items(items.collect(), kind)
    }

    fn from_items(items: Vec<AcceptItem>, kind: AcceptKind) -> Self {
        let mut keyed: Vec<_> = items
            .into_iter()
            .map(|item| (kind.specificity(&item.value), item))
            .collect();
        keyed.sort_by(|(specific, item), (other_specific, other)| {
            let by_quality = other.quality.partial_cmp(&item.quality);
            other_specific
                .cmp(specific)
                .then(by_quality.unwrap_or(Ordering::Equal))
        });
        Self {
            items: keyed.into_iter().map(|(_, item)| item).collect(),
            kind,
        }
    }

    /// The alternatives, best first.
    #[must_use]
    pub fn items(&self) -> &[AcceptItem] {
        &self.items
    }

    fn find(&self, offer: &str) -> Result<Option<&AcceptItem>, HttpError> {
        for item in &self.items {
            if self.kind.matches(offer, &item.value)? {
                return Ok(Some(item));
            }
        }
        Ok(None)
    }

    /// How much `offer` is liked; 0 if it is not mentioned.
    ///
    /// # Errors
    ///
    /// [`HttpError::InvalidMediaType`] if a media type is compared and `offer` is none.
    pub fn quality(&self, offer: &str) -> Result<f64, HttpError> {
        Ok(self.find(offer)?.map_or(0.0, |item| item.quality))
    }

    /// The offer that the client likes best: by quality, then by how specific the item is that
    /// it satisfies, then the first. `None` if it likes none. For languages, primary subtags
    /// count where no whole tag matches.
    ///
    /// # Errors
    ///
    /// As [`Accept::quality`].
    pub fn best_match<'a>(
        &self,
        offers: impl IntoIterator<Item = &'a str> + Clone,
    ) -> Result<Option<&'a str>, HttpError> {
        let exact = self.best_exact_match(offers.clone())?;
        if exact.is_some() || self.kind != AcceptKind::Language {
            return Ok(exact);
        }
        // A client of `en-US` accepts `en` ...
        let wider = self.items.iter().map(|item| AcceptItem {
            value: primary(&item.value).to_owned(),
            quality: item.quality,
        });
        let wider = Self::from_items(wider.collect(), AcceptKind::Word);
        if let Some(found) = wider.best_exact_match(offers.clone())? {
            return Ok(Some(found));
        }
        // ... and one of `en` accepts `en-US`.
        let found = self.best_exact_match(offers.clone().into_iter().map(primary))?;
        Ok(found.and_then(|prefix| offers.into_iter().find(|offer| offer.starts_with(prefix))))
    }

    fn best_exact_match<'a>(
        &self,
        offers: impl IntoIterator<Item = &'a str>,
    ) -> Result<Option<&'a str>, HttpError> {
        let mut best: Option<(f64, Vec<bool>, &'a str)> = None;
        for offer in offers {
            let Some(item) = self.find(offer)? else {
                continue;
            };
            if item.quality <= 0.0 {
                continue;
            }
            let specificity = self.kind.specificity(&item.value);
            let better = best.as_ref().is_none_or(|(quality, known, _)| {
                item.quality > *quality
                    || (item.quality.total_cmp(quality).is_eq() && specificity > *known)
            });
            if better {
                best = Some((item.quality, specificity, offer));
            }
        }
        Ok(best.map(|(_, _, offer)| offer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(accept: &Accept) -> Vec<(&str, f64)> {
        let items = accept.items().iter();
        items
            .map(|item| (item.value.as_str(), item.quality))
            .collect()
    }

    #[test]
    fn example_of_rfc_9110() {
        // Section 12.5.1, and the table of qualities there.
        let header = "text/*;q=0.3, text/plain;q=0.7, text/plain;format=flowed, \
                      text/plain;format=fixed;q=0.4, */*;q=0.5";
        let accept = Accept::parse(header, AcceptKind::MediaType);
        for (offer, quality) in [
            ("text/plain;format=flowed", 1.0),
            ("text/plain", 0.7),
            ("text/html", 0.3),
            ("image/jpeg", 0.5),
            ("text/plain;format=fixed", 0.4),
        ] {
            let found = accept.quality(offer).unwrap();
            assert!((found - quality).abs() < f64::EPSILON, "{offer}: {found}");
        }
    }

    #[test]
    fn order() {
        let accept = Accept::parse("*;q=0.9, b;q=0.5, a;q=0.5, c", AcceptKind::Word);
        assert_eq!(
            values(&accept),
            [("c", 1.0), ("b", 0.5), ("a", 0.5), ("*", 0.9)]
        );
        let accept = Accept::parse("a;q=2, b;q=-1, c;q=x, d;q=\" 0.5\"", AcceptKind::Word);
        assert_eq!(values(&accept), [("d", 0.5)]);
    }

    #[test]
    fn what_is_not_wanted() {
        let accept = Accept::parse("gzip;q=0, *;q=0.5", AcceptKind::Word);
        assert_eq!(accept.best_match(["gzip"]).unwrap(), None);
        assert_eq!(accept.best_match(["gzip", "br"]).unwrap(), Some("br"));
        let none = Accept::parse("", AcceptKind::MediaType);
        assert_eq!(none.best_match(["text/html"]).unwrap(), None);
    }

    #[test]
    fn languages() {
        let best = |header, offers: &[&'static str]| {
            Accept::parse(header, AcceptKind::Language)
                .best_match(offers.iter().copied())
                .unwrap()
        };
        assert_eq!(best("en-US, fr;q=0.5", &["fr", "en-us"]), Some("en-us"));
        assert_eq!(best("en-US", &["en", "fr"]), Some("en"));
        assert_eq!(best("en", &["fr", "en-GB"]), Some("en-GB"));
        assert_eq!(best("de", &["fr"]), None);
    }

    #[test]
    fn offers_that_are_no_media_types() {
        let accept = Accept::parse("text/html", AcceptKind::MediaType);
        for offer in ["html", "*/html"] {
            assert!(accept.best_match([offer]).is_err(), "{offer}");
        }
        let odd = Accept::parse("html, */html", AcceptKind::MediaType);
        assert_eq!(odd.best_match(["text/html"]).unwrap(), None);
    }
}
