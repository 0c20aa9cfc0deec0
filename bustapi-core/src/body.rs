//! Bodies on the wire: what is read from a client, and what hyper is given to write.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use bustapi_http::{Body, BodyError, BodyStream};
use bytes::{Buf, Bytes, BytesMut};
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;

use crate::access_log::AccessEntry;
use crate::error::ReadError;
use crate::fault;
use crate::file_body::{Chunk, FileBody, FilePieces};
use crate::watch::ConnState;

/// A request's body.
#[derive(Debug)]
pub enum RequestBody {
    /// There is none.
    Empty,
    /// All of it has been read.
    Full(Bytes),
    /// It is read as it arrives.
    Stream(IncomingBody),
}

impl RequestBody {
    /// The next piece, `None` at the end.
    ///
    /// # Errors
    ///
    /// [`ReadError`] where the body is longer than the limit, or breaks off.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, ReadError> {
        match self {
            Self::Empty => Ok(None),
            Self::Full(_) => match std::mem::replace(self, Self::Empty) {
                Self::Full(bytes) => Ok(Some(bytes)),
                _ => Ok(None),
            },
            Self::Stream(stream) => stream.chunk().await,
        }
    }

    /// As [`RequestBody::chunk`], waiting on this thread; not for the IO thread, which
    /// would wait for itself.
    ///
    /// # Errors
    ///
    /// As [`RequestBody::chunk`].
    pub fn chunk_blocking(&mut self) -> Result<Option<Bytes>, ReadError> {
        block_on(self.chunk())
    }

    /// The whole body.
    ///
    /// # Errors
    ///
    /// As [`RequestBody::chunk`].
    pub async fn read_all(mut self) -> Result<Bytes, ReadError> {
        let Some(first) = self.chunk().await? else {
            return Ok(Bytes::new());
        };
        let Some(second) = self.chunk().await? else {
            return Ok(first);
        };
        let mut all = BytesMut::from(first);
        all.extend_from_slice(&second);
        while let Some(more) = self.chunk().await? {
            all.extend_from_slice(&more);
        }
        Ok(all.freeze())
    }

    /// The length that the client announced, less what has been read; `None` where it is sent
    /// in chunks.
    #[must_use]
    pub fn length(&self) -> Option<u64> {
        match self {
            Self::Empty => Some(0),
            Self::Full(bytes) => Some(bytes.len() as u64),
            Self::Stream(stream) => stream.incoming.size_hint().exact(),
        }
    }

    /// Replaces the limit that the server put on this body; `None` takes it away.
    ///
    /// # Errors
    ///
    /// [`ReadError::TooLarge`] at once where the length is known and beyond the limit.
    pub fn set_limit(&mut self, limit: Option<u64>) -> Result<(), ReadError> {
        let read = match self {
            Self::Stream(stream) => {
                stream.limit = limit;
                stream.read
            }
            _ => 0,
        };
        let length = self.length().unwrap_or(0).saturating_add(read);
        match limit {
            Some(limit) if length > limit => Err(ReadError::TooLarge { limit }),
            _ => Ok(()),
        }
    }

    /// Whether reading it waits for the client.
    #[must_use]
    pub fn is_stream(&self) -> bool {
        matches!(self, Self::Stream(_))
    }
}

/// A body that is still arriving, with its limit.
#[derive(Debug)]
pub struct IncomingBody {
    incoming: Incoming,
    limit: Option<u64>,
    read: u64,
    state: Arc<ConnState>,
}

impl IncomingBody {
    pub(crate) fn new(incoming: Incoming, limit: Option<u64>, state: Arc<ConnState>) -> Self {
        state.body_begins();
        Self {
            incoming,
            limit,
            read: 0,
            state,
        }
    }

    async fn chunk(&mut self) -> Result<Option<Bytes>, ReadError> {
        loop {
            let polled = std::future::poll_fn(|context| {
                let polled = Pin::new(&mut self.incoming).poll_frame(context);
                match &polled {
                    Poll::Pending => self.state.body_waits(),
                    Poll::Ready(Some(Ok(frame))) => {
                        self.state.body_came(frame.data_ref().map_or(0, Bytes::len));
                    }
                    Poll::Ready(_) => self.state.body_ends(),
                }
                polled
            });
            let Some(frame) = polled.await.transpose()? else {
                return Ok(None);
            };
            // Trailers carry nothing that WSGI could show.
            let Ok(data) = frame.into_data() else {
                continue;
            };
            if data.is_empty() {
                continue;
            }
            self.read += data.len() as u64;
            return match self.limit {
                Some(limit) if self.read > limit => Err(ReadError::TooLarge { limit }),
                _ => Ok(Some(data)),
            };
        }
    }
}

impl Drop for IncomingBody {
    fn drop(&mut self) {
        self.state.body_ends();
    }
}

/// Waits for a future on this thread.
fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = std::pin::pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

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
}

impl Drop for Tail {
    fn drop(&mut self) {
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
                fault::log(&format!("an answer broke off: {error}"));
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
