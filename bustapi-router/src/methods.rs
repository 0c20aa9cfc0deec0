//! Sets of HTTP methods.
//!
//! The nine methods of RFC 9110 and RFC 5789 are bits of one word, so that the common question
//! ("does this rule take GET?") costs one instruction; all others are kept as text.

use std::fmt;

/// Alphabetical, because a set lists its members in this order.
const KNOWN: [&str; 9] = [
    "CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE",
];

const GET: u16 = 1 << 2;
const HEAD: u16 = 1 << 3;
const OPTIONS: u16 = 1 << 4;

/// One method, in upper case, ready to be looked for in sets.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Method<'a> {
    Known(u16),
    Other(&'a str),
}

impl<'a> Method<'a> {
    /// `name` must be in upper case already.
    #[inline]
    pub(crate) fn new(name: &'a str) -> Self {
        let bit = match name {
            "GET" => GET,
            "HEAD" => HEAD,
            "POST" => 1 << 6,
            "PUT" => 1 << 7,
            "DELETE" => 1 << 1,
            "PATCH" => 1 << 5,
            "OPTIONS" => OPTIONS,
            "CONNECT" => 1,
            "TRACE" => 1 << 8,
            other => return Method::Other(other),
        };
        Method::Known(bit)
    }
}

impl<'a> Method<'a> {
    /// The method's text.
    pub(crate) fn name(&self) -> &'a str {
        match self {
            Self::Known(bit) => KNOWN
                .get(bit.trailing_zeros() as usize)
                .copied()
                .unwrap_or(""),
            Self::Other(name) => name,
        }
    }
}

/// A set of HTTP methods, in upper case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MethodSet {
    known: u16,
    /// Sorted, without repeats.
    other: Vec<Box<str>>,
}

impl MethodSet {
    /// The empty set.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            known: 0,
            other: Vec::new(),
        }
    }

    /// Adds a method; its case does not matter.
    pub fn insert(&mut self, method: &str) {
        let method = method.to_uppercase();
        match Method::new(&method) {
            Method::Known(bit) => self.known |= bit,
            Method::Other(name) => self.insert_other(name),
        }
    }

    fn insert_other(&mut self, name: &str) {
        if let Err(at) = self.other.binary_search_by(|member| (**member).cmp(name)) {
            self.other.insert(at, name.into());
        }
    }

    /// Whether `method`, in any case, is in the set.
    #[must_use]
    pub fn contains(&self, method: &str) -> bool {
        self.has(&Method::new(&method.to_uppercase()))
    }

    #[inline]
    pub(crate) fn has(&self, method: &Method<'_>) -> bool {
        match method {
            Method::Known(bit) => self.known & bit != 0,
            Method::Other(name) => self.other.iter().any(|member| **member == **name),
        }
    }

    /// The standard methods as bits, and whether there are others.
    pub(crate) fn bits(&self) -> (u16, bool) {
        (self.known, !self.other.is_empty())
    }

    pub(crate) fn extend_from(&mut self, other: &Self) {
        self.known |= other.known;
        for name in &other.other {
            self.insert_other(name);
        }
    }

    pub(crate) fn contains_all(&self, other: &Self) -> bool {
        self.known & other.known == other.known
            && other.other.iter().all(|name| self.other.contains(name))
    }

    /// Every GET answers HEAD too.
    pub(crate) fn add_implied(&mut self) {
        if self.known & GET != 0 {
            self.known |= HEAD;
        }
    }

    pub(crate) fn fits_websocket(&self) -> bool {
        self.other.is_empty() && self.known & !(GET | HEAD | OPTIONS) == 0
    }

    /// How many methods the set has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.known.count_ones() as usize + self.other.len()
    }

    /// Whether the set has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.known == 0 && self.other.is_empty()
    }

    /// The methods: the standard ones in alphabetical order, then the others in theirs.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        let known = KNOWN
            .iter()
            .enumerate()
            .filter(|(bit, _)| self.known & (1 << bit) != 0)
            .map(|(_, name)| *name);
        known.chain(self.other.iter().map(|name| &**name))
    }

    /// The methods in alphabetical order.
    #[must_use]
    pub fn to_sorted(&self) -> Vec<String> {
        let mut names: Vec<String> = self.iter().map(str::to_owned).collect();
        names.sort_unstable();
        names
    }
}

impl<S: AsRef<str>> FromIterator<S> for MethodSet {
    fn from_iter<I: IntoIterator<Item = S>>(methods: I) -> Self {
        let mut set = Self::new();
        for method in methods {
            set.insert(method.as_ref());
        }
        set
    }
}

impl fmt::Display for MethodSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, name) in self.iter().enumerate() {
            if index > 0 {
                f.write_str(", ")?;
            }
            f.write_str(name)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_standard_and_other_methods() {
        let set = MethodSet::from_iter(["get", "PROPFIND", "post", "propfind"]);
        assert_eq!(set.len(), 3);
        assert_eq!(set.to_string(), "GET, POST, PROPFIND");
        assert!(set.contains("Get") && set.contains("PROPFIND") && !set.contains("HEAD"));
        for name in KNOWN {
            assert!(matches!(Method::new(name), Method::Known(_)), "{name}");
            assert_eq!(MethodSet::from_iter([name]).to_string(), name);
        }
    }

    #[test]
    fn get_brings_head() {
        let mut set = MethodSet::from_iter(["GET"]);
        set.add_implied();
        assert_eq!(set.to_sorted(), ["GET", "HEAD"]);
        let mut set = MethodSet::from_iter(["POST"]);
        set.add_implied();
        assert_eq!(set.to_sorted(), ["POST"]);
    }
}
