//! Codings of files that lie beside their originals.

use bustapi_http::media_type::{Accept, AcceptKind};

/// A coding of files that lie beside their originals.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Coding {
    /// As in `Content-Encoding`.
    pub name: &'static str,
    /// What the name of the coded file has beyond the original's.
    pub suffix: &'static str,
}

/// The better one first.
const CODINGS: [Coding; 2] = [
    Coding {
        name: "br",
        suffix: ".br",
    },
    Coding {
        name: "gzip",
        suffix: ".gz",
    },
];

/// Whether a file of this name is coded itself, so that it is sent as it is.
#[must_use]
pub fn is_coded(name: &str) -> bool {
    CODINGS.iter().any(|coding| name.ends_with(coding.suffix))
}

/// The codings in which a client that sent this `Accept-Encoding` may be sent the file `name`,
/// the one it likes best first, and of equal ones the better first. None that it likes less than
/// the file as it is (RFC 9110 section 12.5.3).
///
/// ```
/// let codings = bustapi_core::accepted_codings("app.js", "gzip, deflate, br;q=0.9, zstd");
/// let names: Vec<_> = codings.iter().map(|coding| coding.name).collect();
/// assert_eq!(names, ["gzip", "br"]);
/// ```
#[must_use]
pub fn accepted_codings(name: &str, accept_encoding: &str) -> Vec<&'static Coding> {
    if is_coded(name) {
        return Vec::new();
    }
    let accept = Accept::parse(accept_encoding, AcceptKind::Word);
    let quality = |coding: &str| accept.quality(coding).unwrap_or(0.0);
    let least = quality("identity");
    let mut rated: Vec<_> = CODINGS
        .iter()
        .map(|coding| (quality(coding.name), coding))
        .filter(|(quality, _)| *quality > 0.0 && *quality >= least)
        .collect();
    rated.sort_by(|(one, _), (other, _)| other.total_cmp(one));
    rated.into_iter().map(|(_, coding)| coding).collect()
}
