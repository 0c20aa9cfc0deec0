//! Form bodies: which kind a request has, and its fields and files as they arrive.
//!
//! What is a form, and which limit counts when, is Werkzeug's: a malformed form is an error
//! value with status 400, which Flask passes over in silence (the form is then empty); a limit
//! exceeded is 413, which it does not.

use std::borrow::Cow;

use bytes::Bytes;

use crate::error::HttpError;
use crate::headers::{latin1, parse_options};
use crate::multipart::{Event, MultipartDecoder, MultipartLimits, PartHeaders};
use crate::query::decode_pair;

/// How Werkzeug reads a multipart body, in bytes. Its limit on memory also bounds what it has
/// read at once, so the size of these blocks decides which short bodies a low limit refuses.
const BLOCK: usize = 64 * 1024;

/// What a form is held to; `None` means no limit. The default is Flask's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FormLimits {
    /// The most bytes in one field of a multipart form. Only the limit on the whole body holds
    /// for an urlencoded form.
    pub max_memory: Option<usize>,
    /// The most parts in a multipart form.
    pub max_parts: Option<usize>,
}

impl Default for FormLimits {
    fn default() -> Self {
        Self {
            max_memory: Some(500_000),
            max_parts: Some(1000),
        }
    }
}

/// The two kinds of form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FormKind {
    /// `application/x-www-form-urlencoded`
    Urlencoded,
    /// `multipart/form-data`
    Multipart {
        /// The boundary between its parts; empty where the content type has none.
        boundary: String,
    },
}

impl FormKind {
    /// The kind that a `Content-Type` names; `None` if it is no form.
    ///
    /// ```
    /// use bustapi_http::form::FormKind;
    ///
    /// let kind = FormKind::of("multipart/form-data; boundary=abc");
    /// assert_eq!(kind, Some(FormKind::Multipart { boundary: "abc".into() }));
    /// assert_eq!(FormKind::of("application/json"), None);
    /// ```
    #[must_use]
    pub fn of(content_type: &str) -> Option<Self> {
        let (media_type, mut options) = parse_options(content_type);
        match media_type.to_lowercase().as_str() {
            "application/x-www-form-urlencoded" => Some(Self::Urlencoded),
            "multipart/form-data" => Some(Self::Multipart {
                boundary: options.remove("boundary").unwrap_or_default(),
            }),
            _ => None,
        }
    }
}

/// What a form consists of, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FormEvent {
    /// A field with its whole value.
    Field {
        /// Its name; `None` for a part that has none.
        name: Option<String>,
        /// Its value.
        value: String,
    },
    /// The beginning of a file.
    FileStart {
        /// The field's name; `None` for a part that has none.
        name: Option<String>,
        /// The file's name, as the client calls it. Never a path to trust.
        filename: String,
        /// The part's header fields.
        headers: PartHeaders,
    },
    /// A piece of the current file, not empty.
    FileData(Bytes),
    /// The end of the current file.
    FileEnd,
}

/// Parses a form of either kind piece by piece.
///
/// ```
/// use bustapi_http::form::{FormDecoder, FormEvent, FormKind, FormLimits};
///
/// let mut events = Vec::new();
/// let mut decoder = FormDecoder::new(&FormKind::Urlencoded, FormLimits::default()).unwrap();
/// decoder.receive(b"a=1&b=x%2", &mut events).unwrap();
/// decoder.receive(b"0y", &mut events).unwrap();
/// decoder.finish(&mut events).unwrap();
/// assert_eq!(events[1], FormEvent::Field { name: Some("b".into()), value: "x y".into() });
/// ```
#[derive(Debug)]
pub struct FormDecoder {
    decoder: Decoder,
}

#[derive(Debug)]
enum Decoder {
    /// The piece after the last `&`, which may go on.
    Urlencoded {
        piece: Vec<u8>,
    },
    Multipart(Box<MultipartForm>),
}

impl FormDecoder {
    /// A decoder for a body of this kind.
    ///
    /// # Errors
    ///
    /// [`HttpError::InvalidBoundary`] where a multipart form has none that can be used, and
    /// [`HttpError::BoundaryTooLong`].
    pub fn new(kind: &FormKind, limits: FormLimits) -> Result<Self, HttpError> {
        let decoder = match kind {
            FormKind::Urlencoded => Decoder::Urlencoded { piece: Vec::new() },
            FormKind::Multipart { boundary } => {
                Decoder::Multipart(Box::new(MultipartForm::new(boundary, limits)?))
            }
        };
        Ok(Self { decoder })
    }

    /// Takes the next bytes of the body and appends what they complete to `events`.
    ///
    /// # Errors
    ///
    /// Those of [`MultipartDecoder::next_event`]; [`HttpError::FormTooLarge`] for a field that
    /// is too long; [`HttpError::InvalidUtf8`] for an urlencoded form with raw bytes that are
    /// not UTF-8. The form is then no good as a whole: drop the events, too.
    pub fn receive(&mut self, data: &[u8], events: &mut Vec<FormEvent>) -> Result<(), HttpError> {
        match &mut self.decoder {
            Decoder::Multipart(form) => form.receive(data, events),
            Decoder::Urlencoded { piece } => {
                let mut rest = data;
                while let Some(end) = memchr::memchr(b'&', rest) {
                    if piece.is_empty() {
                        push_pair(&rest[..end], events)?;
                    } else {
                        piece.extend_from_slice(&rest[..end]);
                        push_pair(piece, events)?;
                        piece.clear();
                    }
                    rest = &rest[end + 1..];
                }
                piece.extend_from_slice(rest);
                Ok(())
            }
        }
    }

    /// Appends what the end of the body completes.
    ///
    /// # Errors
    ///
    /// As [`FormDecoder::receive`], and for a multipart body that ended too early.
    pub fn finish(self, events: &mut Vec<FormEvent>) -> Result<(), HttpError> {
        match self.decoder {
            Decoder::Multipart(form) => form.finish(events),
            Decoder::Urlencoded { piece } => push_pair(&piece, events),
        }
    }
}

fn push_pair(piece: &[u8], events: &mut Vec<FormEvent>) -> Result<(), HttpError> {
    if piece.is_empty() {
        return Ok(());
    }
    let text =
        std::str::from_utf8(piece).map_err(|error| HttpError::invalid_utf8("form", &error))?;
    let (name, value) = decode_pair(text);
    events.push(FormEvent::Field {
        name: Some(name.into_owned()),
        value: value.into_owned(),
    });
    Ok(())
}

/// Where the content of the current part goes.
#[derive(Debug)]
enum Target {
    Nowhere,
    Field {
        name: Option<String>,
        headers: PartHeaders,
        value: Vec<u8>,
    },
    File,
}

#[derive(Debug)]
struct MultipartForm {
    decoder: MultipartDecoder,
    max_memory: Option<usize>,
    /// What waits to become a block, where blocks matter.
    block: Vec<u8>,
    target: Target,
    done: bool,
}

impl MultipartForm {
    fn new(boundary: &str, limits: FormLimits) -> Result<Self, HttpError> {
        if !boundary.is_ascii() {
            return Err(HttpError::InvalidBoundary {
                boundary: boundary.to_owned(),
            });
        }
        let decoder_limits = MultipartLimits {
            max_buffered: limits.max_memory,
            max_parts: limits.max_parts,
        };
        Ok(Self {
            decoder: MultipartDecoder::new(boundary.as_bytes(), decoder_limits)?,
            max_memory: limits.max_memory,
            block: Vec::new(),
            target: Target::Nowhere,
            done: false,
        })
    }

    fn receive(&mut self, data: &[u8], events: &mut Vec<FormEvent>) -> Result<(), HttpError> {
        // With room for a whole block beside a part's header, blocks are not worth a copy: the
        // cut decides only on preambles and headers of about the limit's size.
        if self.max_memory.is_none_or(|limit| limit >= 2 * BLOCK) {
            return data
                .chunks(BLOCK)
                .try_for_each(|chunk| self.decode(chunk, events));
        }
        let mut rest = data;
        while self.block.len() + rest.len() >= BLOCK {
            let (head, tail) = rest.split_at(BLOCK - self.block.len());
            let mut block = std::mem::take(&mut self.block);
            block.extend_from_slice(head);
            self.decode(&block, events)?;
            rest = tail;
        }
        self.block.extend_from_slice(rest);
        Ok(())
    }

    fn finish(mut self, events: &mut Vec<FormEvent>) -> Result<(), HttpError> {
        let block = std::mem::take(&mut self.block);
        self.decode(&block, events)?;
        self.decoder.finish();
        self.drain(events)
    }

    fn decode(&mut self, data: &[u8], events: &mut Vec<FormEvent>) -> Result<(), HttpError> {
        self.decoder.receive(data)?;
        self.drain(events)
    }

    fn drain(&mut self, events: &mut Vec<FormEvent>) -> Result<(), HttpError> {
        while !self.done {
            match self.decoder.next_event()? {
                Event::NeedData => return Ok(()),
                Event::Preamble(_) => {}
                Event::Epilogue(_) => self.done = true,
                Event::Field { name, headers } => {
                    self.target = Target::Field {
                        name,
                        headers,
                        value: Vec::new(),
                    };
                }
                Event::File {
                    name,
                    filename,
                    headers,
                } => {
                    self.target = Target::File;
                    events.push(FormEvent::FileStart {
                        name,
                        filename,
                        headers,
                    });
                }
                Event::Data { data, more } => self.take_data(data, more, events)?,
            }
        }
        Ok(())
    }

    fn take_data(
        &mut self,
        data: Bytes,
        more: bool,
        events: &mut Vec<FormEvent>,
    ) -> Result<(), HttpError> {
        match &mut self.target {
            Target::Nowhere => {}
            Target::File => {
                if !data.is_empty() {
                    events.push(FormEvent::FileData(data));
                }
                if !more {
                    events.push(FormEvent::FileEnd);
                }
            }
            Target::Field { value, .. } => {
                if let Some(limit) = self.max_memory
                    && value.len() + data.len() > limit
                {
                    return Err(HttpError::FormTooLarge { limit });
                }
                value.extend_from_slice(&data);
            }
        }
        if !more
            && let Target::Field {
                name,
                headers,
                value,
            } = std::mem::replace(&mut self.target, Target::Nowhere)
        {
            let value = decode_value(&value, &headers).into_owned();
            events.push(FormEvent::Field { name, value });
        }
        Ok(())
    }
}

/// A field's text in the charset that its part names: UTF-8, ASCII or Latin-1, else UTF-8.
fn decode_value<'a>(value: &'a [u8], headers: &PartHeaders) -> Cow<'a, str> {
    let charset = headers
        .get("content-type")
        .and_then(|content_type| parse_options(content_type).1.remove("charset"))
        .unwrap_or_default();
    match charset.to_lowercase().as_str() {
        "iso-8859-1" => latin1(value),
        "ascii" | "us-ascii" if !value.is_ascii() => value
            .iter()
            .map(|&byte| match byte {
                0..=0x7f => char::from(byte),
                _ => char::REPLACEMENT_CHARACTER,
            })
            .collect(),
        _ => String::from_utf8_lossy(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(
        kind: &FormKind,
        body: &[u8],
        chunk: usize,
        limits: FormLimits,
    ) -> Result<Vec<FormEvent>, HttpError> {
        let mut decoder = FormDecoder::new(kind, limits)?;
        let mut events = Vec::new();
        for chunk in body.chunks(chunk) {
            decoder.receive(chunk, &mut events)?;
        }
        decoder.finish(&mut events)?;
        Ok(events)
    }

    fn field(name: &str, value: &str) -> FormEvent {
        FormEvent::Field {
            name: Some(name.into()),
            value: value.into(),
        }
    }

    fn multipart() -> FormKind {
        FormKind::Multipart {
            boundary: "b".into(),
        }
    }

    fn limit(max_memory: usize) -> FormLimits {
        FormLimits {
            max_memory: Some(max_memory),
            ..FormLimits::default()
        }
    }

    #[test]
    fn kinds() {
        assert_eq!(
            FormKind::of("Application/X-WWW-Form-Urlencoded; charset=utf-8"),
            Some(FormKind::Urlencoded)
        );
        let no_boundary = FormKind::of("multipart/form-data").unwrap();
        for kind in [
            no_boundary,
            FormKind::of("multipart/form-data; boundary=\"é\"").unwrap(),
        ] {
            let made = FormDecoder::new(&kind, FormLimits::default());
            assert!(
                matches!(made, Err(HttpError::InvalidBoundary { .. })),
                "{kind:?}"
            );
        }
        assert_eq!(FormKind::of("multipart/mixed; boundary=b"), None);
        assert_eq!(FormKind::of(""), None);
    }

    #[test]
    fn urlencoded() {
        let body = "a=1&&b=%C3%A9+%ff&é=ü&c".as_bytes();
        let expected = [
            field("a", "1"),
            field("b", "é %FF"),
            field("é", "ü"),
            field("c", ""),
        ];
        for chunk in 1..body.len() {
            let events = run(&FormKind::Urlencoded, body, chunk, FormLimits::default());
            assert_eq!(events.unwrap(), expected, "{chunk}");
        }
    }

    #[test]
    fn urlencoded_that_is_refused_and_not() {
        assert!(matches!(
            run(
                &FormKind::Urlencoded,
                b"a=1&b=\xff",
                3,
                FormLimits::default()
            ),
            Err(HttpError::InvalidUtf8 { .. })
        ));
        let long = run(&FormKind::Urlencoded, b"a=12", 3, limit(3));
        assert_eq!(long, Ok(vec![field("a", "12")]));
    }

    #[test]
    fn fields_and_files() {
        let body = b"--b\r\nContent-Disposition: form-data; name=a\r\n\
            Content-Type: text/plain; charset=ISO-8859-1\r\n\r\ncaf\xe9\r\n\
            --b\r\nContent-Disposition: form-data; name=f; filename=x.bin\r\n\r\n\xff\x00\r\n\
            --b\r\nContent-Disposition: form-data; name=e; filename=\"\"\r\n\r\n\r\n\
            --b\r\nContent-Disposition: form-data\r\n\r\n\xff\r\n--b--\r\n";
        for chunk in 1..body.len() {
            let events = run(&multipart(), body, chunk, FormLimits::default()).unwrap();
            assert_eq!(events[0], field("a", "café"));
            let pieces: Vec<_> = events
                .iter()
                .filter_map(|event| match event {
                    FormEvent::FileData(data) => Some(data.as_ref()),
                    _ => None,
                })
                .collect();
            assert_eq!(pieces.concat(), b"\xff\0");
            let starts: Vec<_> = events
                .iter()
                .filter_map(|event| match event {
                    FormEvent::FileStart { name, filename, .. } => {
                        Some((name.as_deref(), filename.as_str()))
                    }
                    _ => None,
                })
                .collect();
            assert_eq!(starts, [(Some("f"), "x.bin"), (Some("e"), "")]);
            let ends = events.iter().filter(|event| **event == FormEvent::FileEnd);
            assert_eq!(ends.count(), 2);
            assert_eq!(
                events.last(),
                Some(&FormEvent::Field {
                    name: None,
                    value: "\u{fffd}".into()
                })
            );
        }
    }

    #[test]
    fn limits_of_multipart() {
        let head = "--b\r\nContent-Disposition: form-data; name=a\r\n\r\n";
        let file = "--b\r\nContent-Disposition: form-data; name=a; filename=f\r\n\r\n";
        let long = "x".repeat(300_000);
        // A field that is too long is refused, a file is not.
        for (head, refused) in [(head, true), (file, false)] {
            let body = format!("{head}{long}\r\n--b--");
            for chunk in [1000, 100_000, 400_000] {
                let events = run(&multipart(), body.as_bytes(), chunk, limit(200_000));
                assert_eq!(events.is_err(), refused, "{chunk}");
            }
        }
        // A short body counts as a whole, however it arrives.
        let body = format!("{head}x\r\n--b--");
        for chunk in [1, 10, 1000] {
            assert!(run(&multipart(), body.as_bytes(), chunk, limit(body.len())).is_ok());
            let refused = run(&multipart(), body.as_bytes(), chunk, limit(body.len() - 1));
            assert_eq!(
                refused,
                Err(HttpError::FormTooLarge {
                    limit: body.len() - 1
                })
            );
        }
    }
}
