//! Multipart bodies (RFC 2046 section 5.1, RFC 7578), parsed and written without I/O.
//!
//! # How parsing works
//!
//! [`MultipartDecoder`] is fed with the body as it arrives and asked for [`Event`]s until it
//! needs more. Its tolerance is that of Werkzeug's decoder: line breaks may be CRLF, LF or CR,
//! white space may follow a boundary, the first boundary needs no line break before it. The
//! events are those that Werkzeug yields for the whole body at once, and they do not depend on
//! how the body was cut into chunks, except for where contents are cut into [`Event::Data`].
//!
//! A delimiter is a line break, `--`, the boundary, then `--` (the last one) or white space and
//! a line break. While none is in sight, contents are handed out except for a tail that may
//! turn out to be the beginning of one. All searches go on where the last one stopped, so the
//! time taken is linear in the body, whatever it holds and however it is cut.

mod decoder;
mod delimiter;
mod encoder;

use bytes::Bytes;

pub use decoder::{MAX_BOUNDARY, MultipartDecoder, MultipartLimits};
pub use encoder::MultipartEncoder;

/// The header fields of a part, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PartHeaders {
    fields: Vec<(String, String)>,
}

impl PartHeaders {
    /// The first field of this name, in any case.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    /// Appends a field.
    pub fn append(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.fields.push((name.into(), value.into()));
    }

    /// All fields, as received.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fields
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// How many fields there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.fields.len()
    }

    /// Whether there are no fields.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }
}

impl FromIterator<(String, String)> for PartHeaders {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(fields: I) -> Self {
        Self {
            fields: fields.into_iter().collect(),
        }
    }
}

/// What a multipart body consists of, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// What stands before the first boundary.
    Preamble(Bytes),
    /// The beginning of a form field.
    Field {
        /// Its name; `None` if the part does not say.
        name: Option<String>,
        /// The part's header fields.
        headers: PartHeaders,
    },
    /// The beginning of a file: a part with a file name.
    File {
        /// Its name; `None` if the part does not say.
        name: Option<String>,
        /// The file's name, as the client calls it. Never a path to trust.
        filename: String,
        /// The part's header fields.
        headers: PartHeaders,
    },
    /// A piece of the current part's content.
    Data {
        /// The bytes; may be empty.
        data: Bytes,
        /// Whether the part goes on.
        more: bool,
    },
    /// What stands after the last boundary; nothing follows.
    Epilogue(Bytes),
    /// More of the body is needed.
    NeedData,
}
