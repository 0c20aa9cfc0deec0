//! The streaming decoder; see the parent module for how it works.

use bytes::{Buf, Bytes, BytesMut};

use super::delimiter::{
    Delimiter, Progress, Search, break_len, find_blank_line, header_lines, is_padding,
};
use super::{Event, PartHeaders};
use crate::error::HttpError;
use crate::headers::{parse_options, trim};

/// The longest boundary accepted, in bytes. RFC 2046 allows 70; a bound keeps a body that
/// almost repeats its boundary from costing the product of their lengths.
pub const MAX_BOUNDARY: usize = 256;

/// What a decoder holds a body to; `None` means no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MultipartLimits {
    /// The most bytes to be held: what is buffered plus what is received. As in Werkzeug this
    /// bounds the size of a single chunk, too.
    pub max_buffered: Option<usize>,
    /// The most parts.
    pub max_parts: Option<usize>,
}

#[derive(Debug)]
enum State {
    Preamble,
    Headers,
    /// Before the line break that comes before the content.
    ContentStart,
    /// In the content; this many bytes at the buffer's start are that line break, kept since a
    /// delimiter may begin with it.
    Content {
        lead: usize,
    },
    Epilogue,
    Done,
    Failed(HttpError),
}

/// Parses a multipart body piece by piece.
///
/// ```
/// use bustapi_http::multipart::{Event, MultipartDecoder, MultipartLimits};
///
/// let body = b"--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nvalue\r\n--b--\r\n";
/// let mut decoder = MultipartDecoder::new(b"b", MultipartLimits::default()).unwrap();
/// decoder.receive(body).unwrap();
/// decoder.finish();
/// assert!(matches!(decoder.next_event(), Ok(Event::Preamble(data)) if data.is_empty()));
/// assert!(matches!(decoder.next_event(), Ok(Event::Field { name: Some(n), .. }) if n == "a"));
/// assert!(matches!(decoder.next_event(), Ok(Event::Data { data, more: false }) if data == "value"));
/// assert!(matches!(decoder.next_event(), Ok(Event::Epilogue(_))));
/// ```
#[derive(Debug)]
pub struct MultipartDecoder {
    buffer: BytesMut,
    delimiter: Delimiter,
    limits: MultipartLimits,
    state: State,
    progress: Progress,
    /// How far the header of a part has been searched for its end.
    header_progress: usize,
    parts: usize,
    complete: bool,
}

impl MultipartDecoder {
    /// A decoder for a body with this boundary.
    ///
    /// # Errors
    ///
    /// [`HttpError::InvalidBoundary`] if it is empty or holds a line break,
    /// [`HttpError::BoundaryTooLong`] if it is longer than [`MAX_BOUNDARY`].
    pub fn new(boundary: &[u8], limits: MultipartLimits) -> Result<Self, HttpError> {
        if boundary.len() > MAX_BOUNDARY {
            return Err(HttpError::BoundaryTooLong {
                length: boundary.len(),
                limit: MAX_BOUNDARY,
            });
        }
        if boundary.is_empty() || memchr::memchr2(b'\r', b'\n', boundary).is_some() {
            return Err(HttpError::InvalidBoundary {
                boundary: String::from_utf8_lossy(boundary).into_owned(),
            });
        }
        Ok(Self {
            buffer: BytesMut::new(),
            delimiter: Delimiter::new(boundary),
            limits,
            state: State::Preamble,
            progress: Progress::default(),
            header_progress: 0,
            parts: 0,
            complete: false,
        })
    }

    /// Takes the next bytes of the body.
    ///
    /// # Errors
    ///
    /// [`HttpError::FormTooLarge`] if they and what is buffered exceed the limit; the bytes
    /// are dropped and every later event is that error.
    pub fn receive(&mut self, data: &[u8]) -> Result<(), HttpError> {
        if let Some(limit) = self.limits.max_buffered
            && self.buffer.len() + data.len() > limit
        {
            return self.fail(HttpError::FormTooLarge { limit });
        }
        self.buffer.extend_from_slice(data);
        Ok(())
    }

    /// Says that the body has ended.
    pub fn finish(&mut self) {
        self.complete = true;
    }

    /// The next event; [`Event::NeedData`] until more is received.
    ///
    /// # Errors
    ///
    /// [`HttpError::MalformedMultipart`] if a part has no `Content-Disposition`, or the body
    /// has ended too early (also when asked again after [`Event::Epilogue`]);
    /// [`HttpError::InvalidUtf8`] for a part's header; [`HttpError::TooManyParts`]. An error
    /// is final: later calls return the same.
    pub fn next_event(&mut self) -> Result<Event, HttpError> {
        let event = match &self.state {
            State::Preamble => self.next_preamble(),
            State::Headers => match self.next_headers() {
                Ok(event) => event,
                Err(error) => return self.fail(error),
            },
            State::ContentStart | State::Content { .. } => self.next_content(),
            State::Epilogue if self.complete => {
                self.state = State::Done;
                self.take_epilogue()
            }
            State::Epilogue | State::Done => Event::NeedData,
            State::Failed(error) => return Err(error.clone()),
        };
        if self.complete && event == Event::NeedData {
            let place = match self.state {
                State::Preamble => "before the first boundary",
                State::Headers => "within the header of a part",
                State::Done => "long ago",
                _ => "within a part",
            };
            return self.fail(HttpError::MalformedMultipart {
                detail: format!("it ended {place}"),
            });
        }
        Ok(event)
    }

    fn fail<T>(&mut self, error: HttpError) -> Result<T, HttpError> {
        self.buffer = BytesMut::new();
        self.state = State::Failed(error.clone());
        Err(error)
    }

    /// Removes a delimiter's bytes up to `end`, and returns those before `start`.
    fn take_delimiter(&mut self, start: usize, end: usize, last: bool) -> Bytes {
        let before = self.buffer.split_to(start).freeze();
        self.buffer.advance(end - start);
        self.header_progress = 0;
        self.state = if last {
            State::Epilogue
        } else {
            State::Headers
        };
        before
    }

    fn next_preamble(&mut self) -> Event {
        let search = self
            .delimiter
            .search(&self.buffer, &mut self.progress, false, self.complete);
        match search {
            Search::Found { start, end, last } => {
                Event::Preamble(self.take_delimiter(start, end, last))
            }
            Search::Pending { .. } => Event::NeedData,
        }
    }

    fn next_headers(&mut self) -> Result<Event, HttpError> {
        let Some((start, end)) = find_blank_line(&self.buffer, &mut self.header_progress) else {
            return Ok(Event::NeedData);
        };
        let headers = parse_headers(&self.buffer[..start])?;
        // The first of the two line breaks ends the header, the second begins the content.
        self.buffer.advance(start.midpoint(end));
        self.progress = Progress::default();
        self.state = State::ContentStart;
        let Some(disposition) = headers.get("content-disposition") else {
            return Err(HttpError::MalformedMultipart {
                detail: "a part has no `Content-Disposition`".to_owned(),
            });
        };
        self.parts += 1;
        if let Some(limit) = self.limits.max_parts
            && self.parts > limit
        {
            return Err(HttpError::TooManyParts { limit });
        }
        let (_, mut options) = parse_options(disposition);
        let name = options.remove("name");
        Ok(match options.remove("filename") {
            Some(filename) => Event::File {
                name,
                filename,
                headers,
            },
            None => Event::Field { name, headers },
        })
    }

    fn next_content(&mut self) -> Event {
        let lead = match self.state {
            State::Content { lead } => lead,
            _ => match break_len(&self.buffer, self.complete) {
                Some(lead) => lead,
                None => return Event::NeedData,
            },
        };
        self.state = State::Content { lead };
        let search = self
            .delimiter
            .search(&self.buffer, &mut self.progress, true, self.complete);
        match search {
            Search::Found { start, end, last } => {
                let mut data = self.take_delimiter(start, end, last);
                // The delimiter may begin with the very line break that began the content.
                data.advance(lead.min(start));
                Event::Data { data, more: false }
            }
            Search::Pending { safe } if safe > lead => {
                let mut data = self.buffer.split_to(safe).freeze();
                data.advance(lead);
                self.progress.shift(safe);
                self.state = State::Content { lead: 0 };
                Event::Data { data, more: true }
            }
            Search::Pending { .. } => Event::NeedData,
        }
    }

    /// What follows the last delimiter, whose white space and line break are its own.
    fn take_epilogue(&mut self) -> Event {
        let mut rest = self.buffer.split().freeze();
        let padding = rest.iter().take_while(|&&byte| is_padding(byte)).count();
        rest.advance(padding);
        rest.advance(break_len(&rest, true).unwrap_or_default());
        Event::Epilogue(rest)
    }
}

fn parse_headers(block: &[u8]) -> Result<PartHeaders, HttpError> {
    header_lines(block)
        .into_iter()
        .map(|line| {
            let line = std::str::from_utf8(&line)
                .map_err(|error| HttpError::invalid_utf8("header of a part", &error))?;
            let (name, value) = line.split_once(':').unwrap_or((line, ""));
            Ok((trim(name).to_owned(), trim(value).to_owned()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(
        boundary: &str,
        body: &[u8],
        limits: MultipartLimits,
    ) -> Result<Vec<Event>, HttpError> {
        let mut decoder = MultipartDecoder::new(boundary.as_bytes(), limits)?;
        decoder.receive(body)?;
        decoder.finish();
        let mut events = Vec::new();
        loop {
            let event = decoder.next_event()?;
            let done = matches!(event, Event::Epilogue(_));
            events.push(event);
            if done {
                return Ok(events);
            }
        }
    }

    fn data(text: &'static str) -> Event {
        Event::Data {
            data: Bytes::from_static(text.as_bytes()),
            more: false,
        }
    }

    #[test]
    fn example_of_rfc_7578() {
        let body = b"--AaB03x\r\n\
            content-disposition: form-data; name=\"field1\"\r\n\
            content-type: text/plain;charset=UTF-8\r\n\r\n\
            Joe owes \xe2\x82\xac100.\r\n--AaB03x\r\n\
            Content-Disposition: form-data; name=\"pics\"; filename=\"file1.txt\"\r\n\r\n\
            ... contents of file1.txt ...\r\n--AaB03x--\r\n";
        let events = events("AaB03x", body, MultipartLimits::default()).unwrap();
        let [preamble, field, first, file, second, epilogue] = &events[..] else {
            panic!("{events:?}");
        };
        assert_eq!(preamble, &Event::Preamble(Bytes::new()));
        let Event::Field { name, headers } = field else {
            panic!("{field:?}");
        };
        assert_eq!(name.as_deref(), Some("field1"));
        assert_eq!(
            headers.get("Content-Type"),
            Some("text/plain;charset=UTF-8")
        );
        assert_eq!(first, &data("Joe owes €100."));
        let Event::File { name, filename, .. } = file else {
            panic!("{file:?}");
        };
        assert_eq!(
            (name.as_deref(), filename.as_str()),
            (Some("pics"), "file1.txt")
        );
        assert_eq!(second, &data("... contents of file1.txt ..."));
        assert_eq!(epilogue, &Event::Epilogue(Bytes::new()));
    }

    #[test]
    fn preamble_epilogue_and_empty_contents() {
        let body = b"before\n--b\nContent-Disposition: form-data; name=a\n\n\n--b-- \nafter";
        let events = events("b", body, MultipartLimits::default()).unwrap();
        assert_eq!(events[0], Event::Preamble(Bytes::from_static(b"before")));
        assert_eq!(events[2], data(""));
        assert_eq!(events[3], Event::Epilogue(Bytes::from_static(b"after")));
    }

    #[test]
    fn no_parts_at_all() {
        let events = events("b", b"--b--", MultipartLimits::default()).unwrap();
        assert_eq!(events.len(), 2);
    }

    #[test]
    fn what_is_almost_a_boundary_is_content() {
        let body = b"--b\r\nContent-Disposition: x; name=a\r\n\r\n--b\r\n--bb\r\n--b x\r\n--b\r\n\
            Content-Disposition: x; name=a\r\n\r\n\r\n--b--";
        let events = events("b", body, MultipartLimits::default()).unwrap();
        // The first content begins with a delimiter, so it is empty; then a header without end.
        assert_eq!(events[2], data(""));
        assert!(matches!(&events[3], Event::Field { .. }), "{events:?}");
    }

    #[test]
    fn malformed() {
        let part = b"--b\r\nContent-Disposition: form-data; name=a\r\n\r\n";
        for body in [
            &b""[..],
            b"no boundary",
            b"--b\r\n",
            b"--b\r\nX: y\r\n\r\ndata\r\n--b--",
            part,
            b"--b\r\nContent-Disposition: form-data; name=a\r\n\r\ndata\r\n--b",
            b"--b\r\nContent-Disposition: form-data; name=a\r\n\r\ndata\r\n--b-",
        ] {
            let error = events("b", body, MultipartLimits::default()).unwrap_err();
            assert_eq!(error.status_hint(), 400, "{}", body.escape_ascii());
        }
        let body = b"--b\r\nX: \xff\r\n\r\n";
        assert!(matches!(
            events("b", body, MultipartLimits::default()),
            Err(HttpError::InvalidUtf8 { position: 3, .. })
        ));
    }

    #[test]
    fn boundaries() {
        let made = |boundary: &str| {
            MultipartDecoder::new(boundary.as_bytes(), MultipartLimits::default()).map(|_| ())
        };
        for boundary in ["", "a\rb", "a\nb"] {
            let refused = made(boundary);
            assert!(matches!(refused, Err(HttpError::InvalidBoundary { .. })));
        }
        assert!(made(&"x".repeat(MAX_BOUNDARY)).is_ok());
        let length = MAX_BOUNDARY + 1;
        let limit = MAX_BOUNDARY;
        let refused = made(&"x".repeat(length));
        assert_eq!(refused, Err(HttpError::BoundaryTooLong { length, limit }));
    }

    #[test]
    fn limits() {
        let part = "--b\r\nContent-Disposition: form-data; name=a\r\n\r\nx\r\n";
        let body = format!("{part}{part}--b--");
        let limits = |max_buffered, max_parts| MultipartLimits {
            max_buffered,
            max_parts,
        };
        assert!(events("b", body.as_bytes(), limits(Some(body.len()), Some(2))).is_ok());
        assert_eq!(
            events("b", body.as_bytes(), limits(None, Some(1))),
            Err(HttpError::TooManyParts { limit: 1 })
        );
        let limit = body.len() - 1;
        assert_eq!(
            events("b", body.as_bytes(), limits(Some(limit), None)),
            Err(HttpError::FormTooLarge { limit })
        );
    }

    #[test]
    fn an_error_is_final() {
        let mut decoder = MultipartDecoder::new(b"b", MultipartLimits::default()).unwrap();
        decoder.receive(b"--b\r\nX: y\r\n\r\n").unwrap();
        assert_eq!(decoder.next_event(), Ok(Event::Preamble(Bytes::new())));
        let error = decoder.next_event().unwrap_err();
        decoder.receive(b"--b--").unwrap();
        assert_eq!(decoder.next_event(), Err(error));
    }
}
