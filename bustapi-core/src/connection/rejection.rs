//! Answers to requests whose head cannot be read, and mending of targets that only hyper refuses.

use std::borrow::Cow;

use bustapi_http::date::HttpDate;
use bytes::{BufMut, Bytes, BytesMut};
use http::StatusCode;
use memchr::memchr;

use crate::connection::framing::{Fault, IS_TO_BE_ENCODED};

/// Why a request is not taken, and with which status it is told so. Its connection is closed.
#[derive(Debug)]
pub(crate) struct Rejection {
    pub(crate) status: StatusCode,
    why: Cow<'static, str>,
}

impl Rejection {
    /// What the guard refuses; `head` is what came.
    pub(crate) fn of_fault(fault: Fault, head: &[u8]) -> Self {
        let why = match fault {
            Fault::BareLineFeed => "a line of the head does not end in CR LF",
            Fault::BlankLines => "there are too many empty lines before the request",
            Fault::ContentLength => "Content-Length is not one number",
            Fault::LengthAndCoding => "there are both Content-Length and Transfer-Encoding",
            Fault::TransferEncoding => "Transfer-Encoding is not chunked",
            Fault::Host => "Host is missing, repeated or malformed",
            Fault::Target => "the request line is malformed",
            Fault::Chunk => "a chunk is malformed",
        };
        let why = of_other_protocol(head).unwrap_or(why);
        Self::new(StatusCode::BAD_REQUEST, why)
    }

    /// What hyper refuses with `status` because of `error`; `head` is what came.
    pub(crate) fn of_parser(status: StatusCode, error: &hyper::Error, head: &[u8]) -> Self {
        if status == StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE {
            return Self::new(status, "the head is too long or has too many fields");
        }
        match of_other_protocol(head) {
            Some(why) => Self::new(status, why),
            None => Self {
                status,
                why: Cow::Owned(error.to_string()),
            },
        }
    }

    pub(crate) fn of_broken_head() -> Self {
        Self::new(StatusCode::BAD_REQUEST, "the head broke off")
    }

    pub(crate) fn of_late_request() -> Self {
        let why = "the request did not arrive in time";
        Self::new(StatusCode::REQUEST_TIMEOUT, why)
    }

    fn new(status: StatusCode, why: &'static str) -> Self {
        Self {
            status,
            why: Cow::Borrowed(why),
        }
    }

    fn body(&self) -> String {
        let reason = self.status.canonical_reason().unwrap_or_default();
        format!("{reason}: {}\n", self.why)
    }

    /// Length of the answer's body in bytes.
    pub(crate) fn body_length(&self) -> usize {
        self.body().len()
    }

    /// The whole answer.
    pub(crate) fn to_bytes(&self) -> Bytes {
        let body = self.body();
        let head = format!(
            "HTTP/1.1 {} {}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\n\
             Connection: close\r\nDate: ",
            self.status.as_str(),
            self.status.canonical_reason().unwrap_or_default(),
            body.len(),
        );
        let mut answer = BytesMut::from(head.as_bytes());
        answer.put_slice(HttpDate::now().to_header_value().as_bytes());
        answer.put_slice(b"\r\n\r\n");
        answer.put_slice(body.as_bytes());
        answer.freeze()
    }
}

/// What is said to a client that speaks another protocol.
fn of_other_protocol(head: &[u8]) -> Option<&'static str> {
    // A handshake record of TLS, any version.
    if head.starts_with(&[0x16, 3]) {
        return Some("this port speaks plain HTTP, not TLS");
    }
    head.starts_with(b"PRI * HTTP/2")
        .then_some("this port speaks HTTP/1.1, not HTTP/2")
}

/// A head whose target can be read, and the target's path and query as they were.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Mended {
    pub(crate) head: Bytes,
    pub(crate) target: Bytes,
}

/// Encodes what is to be encoded in the target of the request at the start of `head`; `None` where
/// there is nothing, or nothing that looks like a request.
pub(crate) fn mend_target(head: &Bytes) -> Option<Mended> {
    let is_to_be_encoded = |byte: &u8| IS_TO_BE_ENCODED[usize::from(*byte)];
    let line_end = memchr(b'\r', head)?;
    let start = memchr(b' ', &head[..line_end])? + 1;
    let end = start + memchr(b' ', &head[start..line_end])?;
    let target = &head[start..end];
    if !target.iter().any(is_to_be_encoded) {
        return None;
    }
    let mut mended = BytesMut::with_capacity(head.len() + 2 * target.len());
    mended.put_slice(&head[..start]);
    for &byte in target {
        if is_to_be_encoded(&byte) {
            mended.put_slice(format!("%{byte:02X}").as_bytes());
        } else {
            mended.put_u8(byte);
        }
    }
    mended.put_slice(&head[end..]);
    // The scheme and the authority of the absolute form are not of the path.
    let path = if target.starts_with(b"/") {
        start
    } else {
        let authority = memchr::memmem::find(target, b"://").map_or(0, |at| at + 3);
        start + authority + memchr(b'/', &target[authority..])?
    };
    Some(Mended {
        head: mended.freeze(),
        target: head.slice(path..end),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mended(head: &'static str) -> Option<(String, String)> {
        let mended = mend_target(&Bytes::from_static(head.as_bytes()))?;
        let text = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
        Some((text(&mended.head), text(&mended.target)))
    }

    #[test]
    fn targets_are_encoded_and_nothing_else() {
        assert_eq!(
            mended("GET /a<b?q=\"ü\" HTTP/1.1\r\nX: <\r\n\r\n"),
            Some((
                "GET /a%3Cb?q=%22%C3%BC%22 HTTP/1.1\r\nX: <\r\n\r\n".to_owned(),
                "/a<b?q=\"ü\"".to_owned()
            ))
        );
        assert_eq!(
            mended("GET http://h/`? HTTP/1.1\r\n\r\n"),
            Some((
                "GET http://h/%60? HTTP/1.1\r\n\r\n".to_owned(),
                "/`?".to_owned()
            ))
        );
        for head in [
            "GET / HTTP/1.1\r\n",
            "GET <",
            "GET <\r\n",
            "<\r\n",
            "",
            "\r\n",
            "G < H\r\n",
        ] {
            assert_eq!(mended(head), None, "{head:?}");
        }
    }
}
