//! Bodies of requests, as they are read from a client.

use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use bytes::{Bytes, BytesMut};

use crate::error::ReadError;
use crate::exchange::arriving::Arriving;

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
            Self::Stream(stream) => stream.arriving.length(),
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
///
/// It can be read until its request has been answered: then the connection takes back what is left
/// of it, whoever still holds this, so that the next request can be read.
#[derive(Debug)]
pub struct IncomingBody {
    arriving: Arc<Arriving>,
    limit: Option<u64>,
    read: u64,
}

impl IncomingBody {
    pub(crate) fn new(arriving: Arc<Arriving>, limit: Option<u64>) -> Self {
        Self {
            arriving,
            limit,
            read: 0,
        }
    }

    async fn chunk(&mut self) -> Result<Option<Bytes>, ReadError> {
        let arriving = &self.arriving;
        let chunk = std::future::poll_fn(|context| arriving.poll_chunk(context)).await;
        let Some(data) = chunk? else {
            return Ok(None);
        };
        self.read += data.len() as u64;
        match self.limit {
            Some(limit) if self.read > limit => Err(ReadError::TooLarge { limit }),
            _ => Ok(Some(data)),
        }
    }
}

impl Drop for IncomingBody {
    fn drop(&mut self) {
        self.arriving.leave();
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
