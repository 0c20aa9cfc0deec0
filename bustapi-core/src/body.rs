//! Bodies on the wire: what is read from a client, and what hyper is given to write.

use std::fs::File;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker, ready};
use std::thread::{self, Thread};

use bustapi_http::{Body, BodyError, BodyStream};
use bytes::{Bytes, BytesMut};
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::task::JoinHandle;

use crate::error::ReadError;
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
                    Poll::Ready(_) => self.state.body_came(),
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
        self.state.body_came();
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
pub(crate) enum WireBody {
    Once(Option<Bytes>),
    Stream(BodyStream),
    File(FileReader),
}

impl From<Body> for WireBody {
    fn from(body: Body) -> Self {
        match body {
            Body::Empty => Self::Once(None),
            Body::Bytes(bytes) => Self::Once(Some(bytes)),
            Body::Stream(stream) => Self::Stream(stream),
            Body::File(range) => Self::File(FileReader {
                file: Some(range.file),
                offset: range.offset,
                left: range.length,
                reading: None,
            }),
        }
    }
}

impl HttpBody for WireBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut *self {
            Self::Once(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Stream(stream) => stream.as_mut().poll_frame(context),
            Self::File(reader) => reader.poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Once(bytes) => bytes.is_none(),
            Self::Stream(stream) => stream.is_end_stream(),
            Self::File(reader) => reader.left == 0,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Once(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Self::Stream(stream) => stream.size_hint(),
            Self::File(reader) => SizeHint::with_exact(reader.left),
        }
    }
}

/// How much of a file is read at a time: large enough that handing the read to another
/// thread does not show, small enough for many downloads at once.
const FILE_CHUNK: u64 = 256 * 1024;

/// Reads a file piece by piece on the runtime's blocking threads.
pub(crate) struct FileReader {
    file: Option<File>,
    offset: u64,
    left: u64,
    reading: Option<JoinHandle<(File, std::io::Result<Bytes>)>>,
}

impl FileReader {
    fn poll_frame(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        loop {
            if let Some(reading) = &mut self.reading {
                let joined = ready!(Pin::new(reading).poll(context));
                self.reading = None;
                let (file, read) = joined?;
                self.file = Some(file);
                let bytes = read?;
                self.offset += bytes.len() as u64;
                self.left -= bytes.len() as u64;
                return Poll::Ready(Some(Ok(Frame::data(bytes))));
            }
            let Some(file) = self.file.take().filter(|_| self.left > 0) else {
                return Poll::Ready(None);
            };
            let (offset, length) = (self.offset, self.left.min(FILE_CHUNK));
            self.reading = Some(tokio::task::spawn_blocking(move || {
                let read = read_at(&file, offset, length);
                (file, read)
            }));
        }
    }
}

/// Exactly `length` bytes from `offset`.
fn read_at(mut file: &File, offset: u64, length: u64) -> std::io::Result<Bytes> {
    use std::io::{Error, ErrorKind, Read, Seek, SeekFrom};

    file.seek(SeekFrom::Start(offset))?;
    let mut buffer = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
    file.take(length).read_to_end(&mut buffer)?;
    if (buffer.len() as u64) < length {
        return Err(Error::new(
            ErrorKind::UnexpectedEof,
            "the file became shorter while it was sent",
        ));
    }
    Ok(Bytes::from(buffer))
}
