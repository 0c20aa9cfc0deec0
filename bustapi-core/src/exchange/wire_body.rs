//! Bodies of answers, as hyper is given them to write.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bustapi_http::{Body, BodyError, BodyStream};
use bytes::{Buf, Bytes};
use http_body::{Body as HttpBody, Frame, SizeHint};

use crate::exchange::access_log::AccessEntry;
use crate::exchange::arriving::Unread;
use crate::exchange::deadlines::ConnState;
use crate::exchange::file_body::{Chunk, FileBody, FilePieces};
use crate::log::log;

/// A response's body as hyper pulls it.
pub(crate) struct WireBody {
    source: Source,
    /// The source's error, which hyper is told when what came before it has been written.
    failure: Option<BodyError>,
    /// How many bytes the head has announced and the source has not given, where it announced any.
    announced: Option<Announced>,
    tail: Option<Tail>,
    /// Whether hyper is told of an empty body only when it asks for the first piece. It leaves
    /// out a length of zero where it knows before, and writes one behind all other fields.
    ends_later: bool,
}

struct Announced {
    length: u64,
    left: u64,
}

enum Source {
    Once(Option<Bytes>),
    Stream(BodyStream),
    File(FileBody),
}

impl WireBody {
    /// Whether all of `body` is in memory, so that the client need not be waited for.
    pub(crate) fn is_whole(body: &Body) -> bool {
        matches!(body, Body::Empty | Body::Bytes(_))
    }

    /// `file_pieces` gives the connection's, for a file.
    pub(crate) fn new(
        body: Body,
        tail: Option<Tail>,
        file_pieces: impl FnOnce() -> Arc<FilePieces>,
    ) -> Self {
        let source = match body {
            Body::Empty => Source::Once(None),
            Body::Bytes(bytes) => Source::Once(Some(bytes)),
            Body::Stream(stream) => Source::Stream(stream),
            Body::File(range) => Source::File(FileBody::new(range, file_pieces())),
        };
        Self {
            source,
            failure: None,
            announced: None,
            tail,
            ends_later: false,
        }
    }

    /// The same for a body whose head states its length in bytes, if it does.
    pub(crate) fn with_length(mut self, length: Option<u64>) -> Self {
        match self.source {
            Source::Once(None) => self.ends_later = length.is_some(),
            Source::Stream(_) => {
                self.announced = length.map(|length| Announced {
                    length,
                    left: length,
                });
            }
            _ => {}
        }
        self
    }

    /// Has hyper close the connection once it has written what it was given. If the error were
    /// returned at once, hyper would drop what it has not written.
    fn break_off(&mut self, error: BodyError) {
        // The head can no longer be changed, so that only a closed connection can tell the client.
        log(&format!("an answer broke off: {error}"));
        if let Some(tail) = &self.tail {
            tail.state.wait_for_flush();
        }
        self.failure = Some(error);
    }
}

/// What is done when hyper lets go of a body: the request has been answered, or broke off.
pub(crate) struct Tail {
    pub(crate) state: Arc<ConnState>,
    pub(crate) entry: Option<Box<AccessEntry>>,
    /// What is left of the request's body, where the answer's body may read it.
    pub(crate) unread: Option<Box<Unread>>,
}

impl Drop for Tail {
    fn drop(&mut self) {
        if let Some(unread) = self.unread.take() {
            unread.give_up();
        }
        self.state.answered();
        if let Some(entry) = self.entry.take() {
            entry.write();
        }
    }
}

impl HttpBody for WireBody {
    type Data = Chunk;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Chunk>, BodyError>>> {
        if self.failure.is_some() {
            let waits = (self.tail.as_ref()).is_some_and(|tail| tail.state.is_waiting_for_flush());
            return if waits {
                Poll::Pending
            } else {
                Poll::Ready(self.failure.take().map(Err))
            };
        }
        let polled = match &mut self.source {
            Source::Once(bytes) => {
                let chunk = bytes.take().map(Chunk::Bytes);
                Poll::Ready(chunk.map(|chunk| Ok(Frame::data(chunk))))
            }
            Source::Stream(stream) => stream
                .as_mut()
                .poll_frame(context)
                .map_ok(|frame| frame.map_data(Chunk::Bytes)),
            Source::File(file) => file.poll_frame(context),
        };
        match polled {
            Poll::Ready(Some(Ok(frame))) => {
                let length = frame.data_ref().map_or(0, Chunk::remaining) as u64;
                let mut sent = length;
                if let Some(Announced {
                    length: whole,
                    left,
                }) = &mut self.announced
                {
                    sent = length.min(*left);
                    *left -= sent;
                    if sent < length {
                        log(&format!(
                            "an answer is longer than its Content-Length of {whole} bytes: the rest \
                             of it is not sent"
                        ));
                    }
                }
                if let Some(Tail {
                    entry: Some(entry), ..
                }) = &mut self.tail
                {
                    entry.sent += sent;
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => {
                self.break_off(error);
                Poll::Pending
            }
            Poll::Ready(None) => match self.announced.take() {
                Some(Announced { length, left }) if left > 0 => {
                    let error =
                        format!("{left} of the {length} bytes of its Content-Length are missing");
                    self.break_off(error.into());
                    Poll::Pending
                }
                _ => Poll::Ready(None),
            },
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Once(bytes) => bytes.is_none() && !self.ends_later,
            Source::Stream(stream) => stream.is_end_stream(),
            Source::File(file) => file.left() == 0,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Once(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Source::Stream(stream) => stream.size_hint(),
            Source::File(file) => SizeHint::with_exact(file.left()),
        }
    }
}
