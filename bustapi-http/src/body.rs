//! The kinds of response body.

use std::fmt;
use std::fs::File;
use std::pin::Pin;

use bytes::Bytes;

/// Why a body stream broke off; only logged, as the head has been sent by then.
pub type BodyError = Box<dyn std::error::Error + Send + Sync>;

/// A body that comes in pieces; pulled only as fast as the client reads.
pub type BodyStream = Pin<Box<dyn http_body::Body<Data = Bytes, Error = BodyError> + Send>>;

/// A part of an open file.
#[derive(Debug)]
pub struct FileRange {
    /// The file, open for reading.
    pub file: File,
    /// The first byte to send, counted from the file's start.
    pub offset: u64,
    /// How many bytes to send.
    pub length: u64,
}

/// A response's body.
#[derive(Default)]
pub enum Body {
    /// No content.
    #[default]
    Empty,
    /// All of it, in memory.
    Bytes(Bytes),
    /// Pieces as they are made.
    Stream(BodyStream),
    /// A part of a file.
    File(FileRange),
}

impl Body {
    /// The length in bytes where it is known beforehand.
    #[must_use]
    pub fn exact_length(&self) -> Option<u64> {
        match self {
            Self::Empty => Some(0),
            Self::Bytes(bytes) => Some(bytes.len() as u64),
            Self::Stream(stream) => stream.size_hint().exact(),
            Self::File(range) => Some(range.length),
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("Empty"),
            Self::Bytes(bytes) => f.debug_tuple("Bytes").field(&bytes.len()).finish(),
            Self::Stream(_) => f.write_str("Stream"),
            Self::File(range) => f.debug_tuple("File").field(range).finish(),
        }
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        if bytes.is_empty() {
            Self::Empty
        } else {
            Self::Bytes(bytes)
        }
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        Self::from(Bytes::from(text))
    }
}

impl From<&'static str> for Body {
    fn from(text: &'static str) -> Self {
        Self::from(Bytes::from_static(text.as_bytes()))
    }
}
