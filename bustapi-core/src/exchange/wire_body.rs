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
    /// The source's error, told when what came before it has been written.
    failure: Option<BodyError>,
    tail: Option<Tail>,
    /// Whether hyper is told of an empty body only when it asks for the first piece. It leaves
    /// out a length of zero where it knows before, and writes one behind all other fields.
    ends_later: bool,
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
            tail,
            ends_later: false,
        }
    }

    /// The same for an empty body whose head states its length, if `has_length`.
    pub(crate) fn with_length(mut self, has_length: bool) -> Self {
        self.ends_later = has_length;
        self
    }
}

/// What is done when hyper lets go of a body: the request has been answered, or broke off.
pub(crate) struct Tail {
    pub(crate) state: Arc<ConnState>,
    pub(crate) entry: Option<Box<AccessEntry>>,
    /// The request's body, where the answer's may have been made from it.
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
        if let Some(failure) = self.failure.take() {
            return Poll::Ready(Some(Err(failure)));
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
                if let Some(Tail {
                    entry: Some(entry), ..
                }) = &mut self.tail
                {
                    entry.sent += frame.data_ref().map_or(0, Chunk::remaining) as u64;
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => {
                // The head is made: closing the connection is all that can tell the client.
                log(&format!("an answer broke off: {error}"));
                // hyper closes at once, and drops what it has not written yet.
                self.failure = Some(error);
                context.waker().wake_by_ref();
                Poll::Pending
            }
            polled => polled,
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
