//! Refuses requests whose framing two parsers could read differently, before hyper sees them.
//!
//! # Theory of operation
//!
//! hyper repairs some messages that RFC 9112 lets a server repair or refuse: it drops a
//! `Content-Length` beside a `Transfer-Encoding`, merges equal lengths, takes a lone LF as a
//! line's end and asks for no `Host`. A proxy in front may repair the same message in another
//! way, and the difference is a smuggled request. Nothing of it can be seen after parsing.
//!
//! So the bytes of a connection pass a [`Guard`], which follows the stream just far enough to
//! know where heads begin: it splits heads into lines, looks at the three fields that frame a
//! message, and skips bodies. It leaves to hyper what hyper refuses by itself (bad tokens,
//! control characters, folded lines, versions). On a fault it names the byte from which nothing
//! may reach hyper; requests before that byte are answered as if nothing followed.

use std::mem::take;

use memchr::memchr_iter;

/// Empty lines let pass before a request line; RFC 9112 section 2.2 asks for one at least.
const MAX_BLANK_LINES: u8 = 4;

/// What is wrong with a message's framing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// A line of a head or of trailers ends in LF without CR.
    BareLineFeed,
    /// More empty lines before a request than anybody sends by mistake.
    BlankLines,
    /// `Content-Length` is not one number of at most 64 bits.
    ContentLength,
    /// There is a `Content-Length` beside a `Transfer-Encoding`.
    LengthAndCoding,
    /// `Transfer-Encoding` is not just `chunked`, or the client speaks HTTP/1.0.
    TransferEncoding,
    /// An HTTP/1.1 request without `Host`, with several, or with one that names no host.
    Host,
    /// The target has characters that have to be percent-encoded. Nothing of the line has been
    /// taken: it can be checked again once they are.
    Target,
    /// A chunk's size line or end breaks RFC 9112 section 7.1.
    Chunk,
}

/// Where a message went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// How many of the checked bytes may still be taken in.
    pub allowed: usize,
    /// Whether the fault is in a head, so that the request has not been taken in.
    pub in_head: bool,
    /// What is wrong.
    pub fault: Fault,
}

/// Follows the requests of one HTTP/1 connection.
///
/// ```
/// use bustapi_core::framing::{Fault, Guard};
///
/// let mut guard = Guard::default();
/// assert!(guard.check(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").is_ok());
/// let refusal = guard.check(b"GET / HTTP/1.1\r\n\r\n").unwrap_err();
/// assert_eq!((refusal.fault, refusal.allowed), (Fault::Host, 16));
/// ```
#[derive(Debug, Default)]
pub struct Guard {
    place: Place,
    head: Head,
    /// The host that was named last, to be known again: most requests of a connection name one.
    host: Vec<u8>,
    /// The request line of the head that came last, where somebody wants it.
    request_line: Option<Vec<u8>>,
    /// How many heads have begun.
    heads: u64,
    /// The beginning of a line whose end has not come yet; bounded by hyper's limit on heads.
    line: Vec<u8>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Head,
    /// So many bytes of a body of known length are to come.
    Body(u64),
    /// The first digit of a chunk's size.
    ChunkStart,
    ChunkSize(u64),
    /// White space after a chunk's size.
    ChunkSpace(u64),
    ChunkExtension(u64),
    ChunkSizeEnd(u64),
    ChunkBytes(u64),
    ChunkEnd,
    ChunkEndLf,
    Trailers,
}

impl Guard {
    /// Keeps each request line until the next one, for [`Guard::request_line`].
    pub(crate) fn keep_request_lines(&mut self) {
        self.request_line = Some(Vec::new());
    }

    /// The request line of the last head, if it is kept.
    pub(crate) fn request_line(&self) -> &[u8] {
        self.request_line.as_deref().unwrap_or_default()
    }

    /// How many heads have begun.
    pub(crate) fn heads(&self) -> u64 {
        self.heads
    }

    /// Forgets the beginning of a request line of at most `most` bytes, to be checked again with
    /// the rest of it; how many bytes that were. None where hyper refuses it without the rest.
    pub(crate) fn take_back_request_line(&mut self, most: usize) -> usize {
        if self.line.is_empty()
            || self.place != Place::Head
            || self.head.began
            || self.line.len() > most
            || !may_begin_request(&self.line)
        {
            return 0;
        }
        take(&mut self.line).len()
    }

    /// Follows `bytes`, the next ones of the connection.
    ///
    /// # Errors
    ///
    /// [`Refusal`] at the first fault; the guard is of no use afterwards.
    pub fn check(&mut self, bytes: &[u8]) -> Result<(), Refusal> {
        let mut at = 0;
        while at < bytes.len() {
            let rest = &bytes[at..];
            at += match self.place {
                Place::Head | Place::Trailers => self.take_lines(rest).map_err(|mut refusal| {
                    refusal.allowed += at;
                    refusal
                })?,
                Place::Body(left) => self.skip(left, rest.len(), Place::Body, Place::Head),
                Place::ChunkBytes(left) => {
                    self.skip(left, rest.len(), Place::ChunkBytes, Place::ChunkEnd)
                }
                place => {
                    self.place = next_in_chunk(place, rest[0]).ok_or(Refusal {
                        allowed: at,
                        in_head: false,
                        fault: Fault::Chunk,
                    })?;
                    1
                }
            };
        }
        Ok(())
    }

    /// Whether a head has begun to arrive and has not ended.
    #[must_use]
    pub fn is_within_head(&self) -> bool {
        self.place == Place::Head && (self.head.began || !self.line.is_empty())
    }

    /// Whether the bytes so far are whole requests.
    #[must_use]
    pub fn is_between_requests(&self) -> bool {
        self.place == Place::Head && !self.is_within_head()
    }

    /// Passes over as many of `left` bytes as have come; how many that were.
    fn skip(&mut self, left: u64, come: usize, more: fn(u64) -> Place, end: Place) -> usize {
        let skipped = usize::try_from(left).map_or(come, |left| left.min(come));
        self.place = match left - skipped as u64 {
            0 => end,
            left => more(left),
        };
        skipped
    }

    /// Takes lines until something else follows; how many bytes that were.
    fn take_lines(&mut self, bytes: &[u8]) -> Result<usize, Refusal> {
        let mut start = 0;
        for line_feed in memchr_iter(b'\n', bytes) {
            let in_head = self.place == Place::Head;
            self.take_line(&bytes[start..=line_feed])
                .map_err(|fault| Refusal {
                    allowed: start,
                    in_head,
                    fault,
                })?;
            start = line_feed + 1;
            if !matches!(self.place, Place::Head | Place::Trailers) {
                return Ok(start);
            }
        }
        self.line.extend_from_slice(&bytes[start..]);
        Ok(bytes.len())
    }

    /// Takes the rest of a line, up to and with its LF.
    #[inline]
    fn take_line(&mut self, end: &[u8]) -> Result<(), Fault> {
        if self.line.is_empty() {
            return self.take_whole_line(end);
        }
        let mut line = take(&mut self.line);
        line.extend_from_slice(end);
        self.take_whole_line(&line)
    }

    #[inline]
    fn take_whole_line(&mut self, line: &[u8]) -> Result<(), Fault> {
        let text = line.strip_suffix(b"\r\n").ok_or(Fault::BareLineFeed)?;
        if self.place == Place::Trailers {
            if text.is_empty() {
                self.place = Place::Head;
            }
        } else if !self.head.began {
            self.head.begin(text)?;
            if self.head.began {
                self.heads += 1;
                if let Some(kept) = &mut self.request_line {
                    kept.clear();
                    kept.extend_from_slice(text);
                }
            }
        } else if text.is_empty() {
            self.place = take(&mut self.head).finish()?;
        } else {
            self.head.take_field(text, &mut self.host)?;
        }
        Ok(())
    }
}

/// What the framing of a request depends on.
#[derive(Debug, Default)]
struct Head {
    began: bool,
    blank_lines: u8,
    is_http_11: bool,
    hosts: u8,
    length: Option<u64>,
    is_chunked: bool,
}

impl Head {
    fn begin(&mut self, request_line: &[u8]) -> Result<(), Fault> {
        if request_line.is_empty() {
            self.blank_lines += 1;
            return if self.blank_lines > MAX_BLANK_LINES {
                Err(Fault::BlankLines)
            } else {
                Ok(())
            };
        }
        if (request_line.iter()).any(|byte| IS_TO_BE_ENCODED[usize::from(*byte)]) {
            return Err(Fault::Target);
        }
        self.began = true;
        // hyper serves versions 1.0 and 1.1 and refuses any other text here.
        self.is_http_11 = request_line.ends_with(b"1.1");
        Ok(())
    }

    #[inline]
    fn take_field(&mut self, line: &[u8], known_host: &mut Vec<u8>) -> Result<(), Fault> {
        // A name with white space behind it is no token, which hyper refuses.
        match line[0] | 0x20 {
            b'h' => {
                if let Some(value) = value_of(line, b"host") {
                    if self.hosts > 0 {
                        return Err(Fault::Host);
                    }
                    if value.is_empty() || value != known_host.as_slice() {
                        if !is_host(value) {
                            return Err(Fault::Host);
                        }
                        known_host.clear();
                        known_host.extend_from_slice(value);
                    }
                    self.hosts += 1;
                }
            }
            b'c' => {
                if let Some(value) = value_of(line, b"content-length") {
                    let length = parse_length(value).ok_or(Fault::ContentLength)?;
                    if self.length.replace(length).is_some() {
                        return Err(Fault::ContentLength);
                    }
                }
            }
            b't' => {
                if let Some(value) = value_of(line, b"transfer-encoding") {
                    if self.is_chunked || !value.eq_ignore_ascii_case(b"chunked") {
                        return Err(Fault::TransferEncoding);
                    }
                    self.is_chunked = true;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// What follows the head.
    fn finish(self) -> Result<Place, Fault> {
        if self.is_http_11 && self.hosts == 0 {
            return Err(Fault::Host);
        }
        match (self.is_chunked, self.length) {
            (true, Some(_)) => Err(Fault::LengthAndCoding),
            (true, None) if !self.is_http_11 => Err(Fault::TransferEncoding),
            (true, None) => Ok(Place::ChunkStart),
            (false, None | Some(0)) => Ok(Place::Head),
            (false, Some(length)) => Ok(Place::Body(length)),
        }
    }
}

/// Whether `text` is the beginning of a request line, for all that can be seen: a method, and no
/// control characters behind it.
fn may_begin_request(text: &[u8]) -> bool {
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    let method_end = text.iter().position(|byte| *byte == b' ');
    let (method, rest) = text.split_at(method_end.unwrap_or(text.len()));
    let is_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    method.iter().all(is_token) && !rest.iter().any(u8::is_ascii_control)
}

/// The value of the field on `line` without white space around it, if `name` is its name.
fn value_of<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (start, rest) = line.split_at_checked(name.len())?;
    let value = rest.strip_prefix(b":")?;
    start.eq_ignore_ascii_case(name).then(|| value.trim_ascii())
}

fn parse_length(value: &[u8]) -> Option<u64> {
    if value.is_empty() {
        return None;
    }
    value.iter().try_fold(0_u64, |length, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        length.checked_mul(10)?.checked_add(digit)
    })
}

/// What clients send raw although it has to be percent-encoded (RFC 3986 section 2), and
/// `http::Uri` takes nowhere or only in some places; other servers take it.
pub(crate) const IS_TO_BE_ENCODED: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0_u8;
    while byte < u8::MAX {
        table[byte as usize] = byte >= 0x80
            || matches!(
                byte,
                b'"' | b'<' | b'>' | b'`' | b'\\' | b'^' | b'{' | b'|' | b'}'
            );
        byte += 1;
    }
    table[u8::MAX as usize] = true;
    table
};

/// The bytes of a registered name or an IPv4 address. The list keeps markup and paths out of
/// URLs made from the host.
const IN_HOST: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0_u8;
    while byte < 0x80 {
        table[byte as usize] = byte.is_ascii_alphanumeric()
            || matches!(
                byte,
                b'-' | b'.' | b'_' | b'~' | b'%' | b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*'
            )
            || matches!(byte, b'+' | b',' | b';' | b'=');
        byte += 1;
    }
    table
};

/// Longest part of a host between dots (RFC 1035 section 2.3.4).
const MAX_LABEL: usize = 63;

/// Whether Werkzeug binds a map of rules to this host, which it encodes as a domain name: labels are
/// neither empty nor too long. It takes an unusual port for a part of the last one.
fn has_labels(value: &[u8]) -> bool {
    let host = value.strip_suffix(b":80").unwrap_or(value);
    let mut labels = host.split(|byte| *byte == b'.').rev();
    labels.next().is_none_or(|last| last.len() <= MAX_LABEL)
        && labels.all(|label| (1..=MAX_LABEL).contains(&label.len()))
}

/// Whether `value` is a host and possibly a port (RFC 3986 section 3.2.2).
pub(crate) fn is_host(value: &[u8]) -> bool {
    has_labels(value) && is_host_and_port(value)
}

fn is_host_and_port(value: &[u8]) -> bool {
    let in_host = |byte: &u8| IN_HOST[usize::from(*byte)];
    let host_end = match value.strip_prefix(b"[") {
        None => value.iter().position(|byte| !in_host(byte)),
        Some(literal) => {
            let in_literal = |byte: &u8| in_host(byte) || *byte == b':';
            match literal.iter().position(|byte| !in_literal(byte)) {
                Some(end) if end > 0 && literal[end] == b']' => Some(end + 2),
                _ => return false,
            }
        }
    };
    match host_end {
        None => !value.is_empty(),
        Some(0) => false,
        Some(end) => match &value[end..] {
            [] => true,
            [b':', port @ ..] => port.iter().all(u8::is_ascii_digit),
            _ => false,
        },
    }
}

/// One byte of a chunk's framing; `None` where it may not stand there.
fn next_in_chunk(place: Place, byte: u8) -> Option<Place> {
    match (place, byte) {
        (Place::ChunkStart, _) => Some(Place::ChunkSize(hex_digit(byte)?)),
        (Place::ChunkSize(size) | Place::ChunkSpace(size) | Place::ChunkExtension(size), b'\r') => {
            Some(Place::ChunkSizeEnd(size))
        }
        (Place::ChunkSize(size) | Place::ChunkSpace(size), b';') => {
            Some(Place::ChunkExtension(size))
        }
        (Place::ChunkSize(size) | Place::ChunkSpace(size), b' ' | b'\t') => {
            Some(Place::ChunkSpace(size))
        }
        (Place::ChunkSize(size), _) => {
            let size = size.checked_mul(16)?;
            Some(Place::ChunkSize(size.checked_add(hex_digit(byte)?)?))
        }
        (Place::ChunkExtension(_), b'\n') => None,
        (Place::ChunkExtension(size), _) => Some(Place::ChunkExtension(size)),
        (Place::ChunkSizeEnd(0), b'\n') => Some(Place::Trailers),
        (Place::ChunkSizeEnd(size), b'\n') => Some(Place::ChunkBytes(size)),
        (Place::ChunkEnd, b'\r') => Some(Place::ChunkEndLf),
        (Place::ChunkEndLf, b'\n') => Some(Place::ChunkStart),
        _ => None,
    }
}

fn hex_digit(byte: u8) -> Option<u64> {
    char::from(byte).to_digit(16).map(u64::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";

    /// The outcome for the whole text, checked to be the same however it is cut in two.
    fn outcome(text: &[u8]) -> Result<bool, (usize, bool, Fault)> {
        let run = |cut: usize| {
            let mut guard = Guard::default();
            for (start, piece) in [(0, &text[..cut]), (cut, &text[cut..])] {
                if let Err(refusal) = guard.check(piece) {
                    return Err((start + refusal.allowed, refusal.in_head, refusal.fault));
                }
            }
            Ok(guard.is_between_requests())
        };
        let whole = run(0);
        for cut in 1..text.len() {
            match (run(cut), whole) {
                // A line that began in an earlier piece is refused from the cut on.
                (Err(cut_in_two), Err(whole)) => {
                    assert_eq!((cut_in_two.1, cut_in_two.2), (whole.1, whole.2), "{cut}");
                    assert!(cut_in_two.0 >= whole.0, "{cut}");
                }
                (cut_in_two, whole) => assert_eq!(cut_in_two, whole, "{cut}"),
            }
        }
        whole
    }

    fn fault(text: &str) -> Option<Fault> {
        outcome(text.as_bytes()).err().map(|(_, _, fault)| fault)
    }

    fn with_fields(fields: &str) -> String {
        format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n")
    }

    #[test]
    fn whole_requests_pass() {
        assert_eq!(outcome(GET), Ok(true));
        assert_eq!(outcome(&GET.repeat(3)), Ok(true));
        assert_eq!(outcome(b"\r\nGET / HTTP/1.0\r\n\r\n"), Ok(true));
        assert_eq!(outcome(&GET[..GET.len() - 1]), Ok(false));
        let body = b"POST / HTTP/1.1\r\nHost: a\r\ncontent-LENGTH:  5\r\n\r\nhell";
        assert_eq!(outcome(body), Ok(false));
        let mut more = body.to_vec();
        more.push(b'o');
        assert_eq!(outcome(&more), Ok(true));
        let chunked = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n\
            00A ;x=y\r\n0123456789\r\n1\r\n\n\r\n0\r\nX-Sum: 1\r\n\r\n";
        assert_eq!(outcome(chunked), Ok(true));
        assert_eq!(outcome(&[chunked, GET].concat()), Ok(true));
    }

    #[test]
    fn lengths_and_codings_that_contradict_each_other_are_refused() {
        let length = Some(Fault::ContentLength);
        for value in [
            "+5",
            "-1",
            "",
            "5, 5",
            "5,",
            "0x5",
            "5.0",
            "0 5",
            "18446744073709551616",
        ] {
            assert_eq!(
                fault(&with_fields(&format!("Content-Length: {value}"))),
                length
            );
        }
        let twice = "Content-Length: 5\r\nContent-Length: 5";
        assert_eq!(fault(&with_fields(twice)), length);
        let coding = Some(Fault::TransferEncoding);
        for value in [
            "gzip",
            "gzip, chunked",
            "chunked, chunked",
            ", chunked",
            "\"chunked\"",
            "",
        ] {
            assert_eq!(
                fault(&with_fields(&format!("Transfer-Encoding: {value}"))),
                coding
            );
        }
        let both = "Transfer-Encoding: chunked\r\nContent-Length: 5";
        assert_eq!(fault(&with_fields(both)), Some(Fault::LengthAndCoding));
        assert_eq!(
            fault("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"),
            coding
        );
    }

    #[test]
    fn a_request_names_one_host() {
        let with_host = |host: &str| fault(&format!("GET / HTTP/1.1\r\n{host}\r\n\r\n"));
        for good in [
            "a",
            "a.example:8000",
            "127.0.0.1:80",
            "[::1]",
            "[::1]:80",
            "a_b.example",
            "a:",
        ] {
            assert_eq!(with_host(&format!("hOST:{good} ")), None, "{good}");
        }
        for bad in [
            "",
            "a b",
            "a/x",
            "a:8a",
            "a?x",
            "a#x",
            "a\"><script>",
            "[::1",
            "u@a",
            "[]",
            ":80",
        ] {
            assert_eq!(
                with_host(&format!("Host: {bad}")),
                Some(Fault::Host),
                "{bad}"
            );
        }
        assert_eq!(with_host("X: y"), Some(Fault::Host));
        assert_eq!(with_host("Host: a\r\nX: y\r\nhost: a"), Some(Fault::Host));
        assert_eq!(fault("GET / HTTP/1.0\r\n\r\n"), None);
    }

    #[test]
    fn a_lone_line_feed_ends_no_line() {
        for text in [
            "GET / HTTP/1.1\nHost: a\n\n",
            "GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: y\nZ: a\r\n\r\n",
        ] {
            assert_eq!(fault(text), Some(Fault::BareLineFeed), "{text:?}");
        }
        assert_eq!(fault(&"\r\n".repeat(5)), Some(Fault::BlankLines));
    }

    #[test]
    fn broken_chunks_are_refused_at_the_byte() {
        let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        for (body, allowed) in [
            ("+5\r\n", 0),
            ("0x5\r\n", 1),
            ("\r\n", 0),
            (" 5\r\n", 0),
            ("0 5\r\n", 2),
            ("5;a\nb\r\n", 3),
            ("5;a\rb\r\n", 4),
            ("5\nhello", 1),
            ("5\r\nhelloXX", 8),
            ("3\r\nhello\r\n", 6),
            ("10000000000000000\r\n", 16),
        ] {
            assert_eq!(
                outcome(format!("{head}{body}").as_bytes()),
                Err((head.len() + allowed, false, Fault::Chunk)),
                "{body:?}"
            );
        }
    }

    #[test]
    fn what_came_before_a_fault_may_be_taken_in() {
        let bad = with_fields("Content-Length: x");
        let text = [GET, bad.as_bytes()].concat();
        let (allowed, in_head, _) = outcome(&text).unwrap_err();
        let request_line = "POST / HTTP/1.1\r\nHost: a\r\n".len();
        assert_eq!((allowed, in_head), (GET.len() + request_line, true));
    }
}
