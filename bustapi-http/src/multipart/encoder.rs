//! Writing multipart bodies.

use super::{Event, PartHeaders};
use crate::error::HttpError;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Start,
    AfterPreamble,
    /// A part's header is written, none of its content.
    Headers,
    /// Whether the line break before the content is written.
    Content {
        begun: bool,
    },
    Done,
}

/// Writes events as the bytes of a `multipart/form-data` body.
///
/// Names are escaped as the HTML standard says (`"`, CR and LF as `%22`, `%0D`, `%0A`), so that
/// no name can break out of its header.
///
/// ```
/// use bustapi_http::multipart::{Event, MultipartEncoder};
///
/// let mut encoder = MultipartEncoder::new("b");
/// let field = Event::Field { name: Some("a".into()), headers: Default::default() };
/// let mut body = encoder.encode(&field).unwrap();
/// body.extend(encoder.encode(&Event::Data { data: "x".into(), more: false }).unwrap());
/// body.extend(encoder.encode(&Event::Epilogue("".into())).unwrap());
/// assert_eq!(body, b"\r\n--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nx\r\n--b--\r\n");
/// ```
#[derive(Debug, Clone)]
pub struct MultipartEncoder {
    boundary: String,
    state: State,
}

fn escape(name: &str) -> String {
    name.replace('"', "%22")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

impl MultipartEncoder {
    /// An encoder that uses this boundary, which must not occur in any content.
    #[must_use]
    pub fn new(boundary: impl Into<String>) -> Self {
        Self {
            boundary: boundary.into(),
            state: State::Start,
        }
    }

    /// The bytes of the next event.
    ///
    /// # Errors
    ///
    /// [`HttpError::MultipartOrder`] for an event that cannot stand here, and
    /// [`HttpError::InvalidHeaderValue`] for a part's header field with a line break.
    pub fn encode(&mut self, event: &Event) -> Result<Vec<u8>, HttpError> {
        let mut out = Vec::new();
        match (event, self.state) {
            (Event::Preamble(data), State::Start) => {
                out.extend_from_slice(data);
                self.state = State::AfterPreamble;
            }
            (
                Event::Field { name, headers },
                State::Start | State::AfterPreamble | State::Content { .. },
            ) => self.encode_part(name.as_deref(), None, headers, &mut out)?,
            (
                Event::File {
                    name,
                    filename,
                    headers,
                },
                State::Start | State::AfterPreamble | State::Content { .. },
            ) => self.encode_part(name.as_deref(), Some(filename), headers, &mut out)?,
            (Event::Data { data, .. }, State::Headers | State::Content { .. }) => {
                let mut begun = self.state == State::Content { begun: true };
                if !begun && !data.is_empty() {
                    out.extend_from_slice(b"\r\n");
                    begun = true;
                }
                out.extend_from_slice(data);
                self.state = State::Content { begun };
            }
            (
                Event::Epilogue(data),
                State::Start | State::AfterPreamble | State::Headers | State::Content { .. },
            ) => {
                out.extend_from_slice(format!("\r\n--{}--\r\n", self.boundary).as_bytes());
                out.extend_from_slice(data);
                self.state = State::Done;
            }
            _ => return Err(self.order_error(event)),
        }
        Ok(out)
    }

    fn encode_part(
        &mut self,
        name: Option<&str>,
        filename: Option<&str>,
        headers: &PartHeaders,
        out: &mut Vec<u8>,
    ) -> Result<(), HttpError> {
        let mut head = format!("\r\n--{}\r\nContent-Disposition: form-data", self.boundary);
        for (key, value) in [("name", name), ("filename", filename)] {
            if let Some(value) = value {
                head.extend(["; ", key, "=\"", &escape(value), "\""]);
            }
        }
        head.push_str("\r\n");
        for (name, value) in headers.iter() {
            if name.contains(['\r', '\n']) || value.contains(['\r', '\n']) {
                return Err(HttpError::InvalidHeaderValue {
                    name: name.to_owned(),
                    value: value.to_owned(),
                });
            }
            if !name.eq_ignore_ascii_case("content-disposition") {
                head.extend([name, ": ", value, "\r\n"]);
            }
        }
        out.extend_from_slice(head.as_bytes());
        self.state = State::Headers;
        Ok(())
    }

    fn order_error(&self, event: &Event) -> HttpError {
        HttpError::MultipartOrder {
            event: match event {
                Event::Preamble(_) => "a preamble",
                Event::Field { .. } => "a field",
                Event::File { .. } => "a file",
                Event::Data { .. } => "content",
                Event::Epilogue(_) => "an epilogue",
                Event::NeedData => "the lack of data",
            },
            state: match self.state {
                State::Start => "at the start",
                State::AfterPreamble => "after a preamble",
                State::Headers => "after the header of a part",
                State::Content { .. } => "after content",
                State::Done => "after the end",
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn field() -> Event {
        Event::Field {
            name: Some("a".into()),
            headers: PartHeaders::default(),
        }
    }

    #[test]
    fn impossible_orders() {
        let end = Event::Epilogue(Bytes::new());
        let data = Event::Data {
            data: Bytes::new(),
            more: false,
        };
        for (first, second) in [
            (field(), field()),
            (field(), Event::Preamble(Bytes::new())),
            (end.clone(), end.clone()),
            (end.clone(), field()),
            (Event::Preamble(Bytes::new()), data),
            (field(), Event::NeedData),
        ] {
            let mut encoder = MultipartEncoder::new("b");
            encoder.encode(&first).unwrap();
            let error = encoder.encode(&second).unwrap_err();
            assert!(matches!(error, HttpError::MultipartOrder { .. }), "{error}");
        }
    }

    #[test]
    fn names_cannot_break_out() {
        let event = Event::File {
            name: Some("a\"; x=\"".into()),
            filename: "b\r\nX: y".into(),
            headers: PartHeaders::default(),
        };
        let body = MultipartEncoder::new("b").encode(&event).unwrap();
        assert_eq!(
            String::from_utf8(body).unwrap(),
            "\r\n--b\r\nContent-Disposition: form-data; name=\"a%22; x=%22\"; \
             filename=\"b%0D%0AX: y\"\r\n"
        );
        let mut headers = PartHeaders::default();
        headers.append("X", "a\r\nb");
        let event = Event::Field {
            name: None,
            headers,
        };
        assert!(MultipartEncoder::new("b").encode(&event).is_err());
    }
}
