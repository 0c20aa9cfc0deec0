//! Media types: guessed from file names, written with a charset, and chosen by `Accept`.
//!
//! Guessing follows Python's `mimetypes`, which Flask uses. Python also reads the system's
//! `mime.types`, and applications add types of their own; [`MediaTypes`] can hold both, so that
//! a static file has the same type whoever sends it.

mod accept;
mod table;

use std::borrow::Cow;
use std::collections::HashMap;

pub use accept::{Accept, AcceptItem, AcceptKind};

use table::{ENCODINGS, SUFFIXES, TYPES};

/// The type of content about which nothing is known.
pub const OCTET_STREAM: &str = "application/octet-stream";

/// Types beside `text/*` and `*+xml` that Werkzeug gives a charset.
const TYPES_WITH_CHARSET: [&str; 6] = [
    "application/ecmascript",
    "application/javascript",
    "application/sql",
    "application/xml",
    "application/xml-dtd",
    "application/xml-external-parsed-entity",
];

/// What a file's name says about its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guess<'a> {
    /// The type; `None` if the extension is unknown.
    pub media_type: Option<&'a str>,
    /// The encoding around it (`gzip`, `br`, ...).
    pub encoding: Option<&'a str>,
}

/// Types by extension: the built-in ones, and those added to them.
#[derive(Debug, Clone, Default)]
pub struct MediaTypes {
    added: HashMap<String, String>,
}

/// Splits a path before the extension's dot, as `posixpath.splitext`: dots at the start of the
/// file's name do not count.
fn split_extension(path: &str) -> (&str, &str) {
    let name_at = path.rfind('/').map_or(0, |slash| slash + 1);
    let name = &path[name_at..];
    let stem_at = name.len() - name.trim_start_matches('.').len();
    match name[stem_at..].rfind('.') {
        Some(dot) => path.split_at(name_at + stem_at + dot),
        None => (path, ""),
    }
}

fn lookup<'a>(table: &[(&str, &'a str)], is_key: impl Fn(&str) -> bool) -> Option<&'a str> {
    let found = table.iter().find(|(name, _)| is_key(name));
    found.map(|entry| entry.1)
}

impl MediaTypes {
    /// The built-in types.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds or replaces the type of an extension, given with or without its dot, in lower case:
    /// names are looked up so, and as in Python one with capitals is never found.
    pub fn add(&mut self, extension: &str, media_type: &str) {
        let extension = extension.strip_prefix('.').unwrap_or(extension);
        self.added
            .insert(extension.to_owned(), media_type.to_owned());
    }

    /// The type of an extension without its dot, in any case.
    #[must_use]
    pub fn by_extension(&self, extension: &str) -> Option<&str> {
        let lower = if extension.bytes().all(|byte| byte.is_ascii_lowercase()) {
            Cow::Borrowed(extension)
        } else {
            Cow::Owned(extension.to_lowercase())
        };
        if let Some(added) = self.added.get(lower.as_ref()) {
            return Some(added);
        }
        let at = TYPES
            .binary_search_by(|(known, _)| (*known).cmp(&lower))
            .ok()?;
        Some(TYPES[at].1)
    }

    /// Guesses the type of a file from its name or path.
    ///
    /// ```
    /// use bustapi_http::media_type::MediaTypes;
    ///
    /// let types = MediaTypes::new();
    /// assert_eq!(types.guess("static/app.CSS").media_type, Some("text/css"));
    /// let packed = types.guess("backup.tgz");
    /// assert_eq!(packed.media_type, Some("application/x-tar"));
    /// assert_eq!(packed.encoding, Some("gzip"));
    /// ```
    #[must_use]
    pub fn guess(&self, path: &str) -> Guess<'_> {
        let (mut base, mut extension) = split_extension(path);
        let expanded;
        if let Some(suffix) = lookup(&SUFFIXES, |name| name.eq_ignore_ascii_case(extension)) {
            expanded = format!("{base}{suffix}");
            (base, extension) = split_extension(&expanded);
        }
        let encoding = extension
            .strip_prefix('.')
            .and_then(|extension| lookup(&ENCODINGS, |name| name == extension));
        if encoding.is_some() {
            extension = split_extension(base).1;
        }
        let media_type = extension
            .strip_prefix('.')
            .and_then(|extension| self.by_extension(extension));
        Guess {
            media_type,
            encoding,
        }
    }

    /// The `Content-Type` of a file as Flask's `send_file` writes it.
    ///
    /// ```
    /// use bustapi_http::media_type::MediaTypes;
    ///
    /// let types = MediaTypes::new();
    /// assert_eq!(types.content_type("a.html"), "text/html; charset=utf-8");
    /// assert_eq!(types.content_type("a.unknown"), "application/octet-stream");
    /// ```
    #[must_use]
    pub fn content_type(&self, path: &str) -> Cow<'_, str> {
        with_charset(self.guess(path).media_type.unwrap_or(OCTET_STREAM))
    }
}

/// Appends `; charset=utf-8` to the types that are text.
#[must_use]
pub fn with_charset(media_type: &str) -> Cow<'_, str> {
    // For the most frequent types, the text is not put together each time.
    let common = match media_type {
        "text/html" => "text/html; charset=utf-8",
        "text/css" => "text/css; charset=utf-8",
        "text/javascript" => "text/javascript; charset=utf-8",
        "text/plain" => "text/plain; charset=utf-8",
        _ => "",
    };
    if !common.is_empty() {
        return Cow::Borrowed(common);
    }
    if media_type.starts_with("text/")
        || media_type.ends_with("+xml")
        || TYPES_WITH_CHARSET.contains(&media_type)
    {
        Cow::Owned(format!("{media_type}; charset=utf-8"))
    } else {
        Cow::Borrowed(media_type)
    }
}

/// Whether a media type (without parameters, in lower case) is JSON, as `request.is_json`.
#[must_use]
pub fn is_json(media_type: &str) -> bool {
    media_type == "application/json"
        || (media_type.starts_with("application/") && media_type.ends_with("+json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &str, media_type: Option<&str>, encoding: Option<&str>) {
        let types = MediaTypes::new();
        assert_eq!(
            types.guess(path),
            Guess {
                media_type,
                encoding
            },
            "{path}"
        );
    }

    #[test]
    fn names() {
        check("a.txt", Some("text/plain"), None);
        check("a.b.JS", Some("text/javascript"), None);
        check("a.svgz", Some("image/svg+xml"), Some("gzip"));
        check("a.TGZ", Some("application/x-tar"), Some("gzip"));
        check("a.css.br", Some("text/css"), Some("br"));
        check("a.css.BR", None, None);
        check("a.Z", None, Some("compress"));
        check(".txt", None, None);
        check("x.y/.txt", None, None);
        check("...txt", None, None);
        check("x.html/a", None, None);
        check("a.", None, None);
        check("", None, None);
    }

    #[test]
    fn added_types_win() {
        let mut types = MediaTypes::new();
        types.add(".js", "application/x-mine");
        types.add("TXT", "application/x-never");
        types.add("é", "text/x-e");
        assert_eq!(types.guess("a.js").media_type, Some("application/x-mine"));
        assert_eq!(types.guess("a.É").media_type, Some("text/x-e"));
        assert_eq!(types.guess("a.TXT").media_type, Some("text/plain"));
    }

    #[test]
    fn charsets() {
        assert_eq!(
            with_charset("image/svg+xml"),
            "image/svg+xml; charset=utf-8"
        );
        assert_eq!(
            with_charset("application/xml"),
            "application/xml; charset=utf-8"
        );
        assert_eq!(with_charset("application/json"), "application/json");
    }

    #[test]
    fn json() {
        assert!(is_json("application/json"));
        assert!(is_json("application/problem+json"));
        assert!(!is_json("text/json"));
    }
}
