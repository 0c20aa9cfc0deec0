//! Bodies of requests, as they are read from a client.

use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use bytes::{Bytes, BytesMut};

use crate::error::ReadError;
use crate::exchange::gathered::{Gathered, Gathering};
use crate::exchange::incoming::IncomingBody;

/// A request's body.
#[derive(Debug)]
pub enum RequestBody {
    /// There is none.
    Empty,
    /// All of it has been read.
    Full(Bytes),
    /// It has been received, or the beginning of it, and is read in pieces.
    Gathered(Box<Gathered>),
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
            Self::Gathered(gathered) => gathered.chunk().await,
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
            Self::Gathered(gathered) => gathered.length(),
            Self::Stream(stream) => stream.length(),
        }
    }

    /// Replaces the limit that the server put on this body; `None` takes it away.
    ///
    /// # Errors
    ///
    /// [`ReadError::TooLarge`] at once where the length is known and beyond the limit.
    pub fn set_limit(&mut self, limit: Option<u64>) -> Result<(), ReadError> {
        let read = match self {
            Self::Stream(stream) => stream.set_limit(limit),
            Self::Gathered(gathered) => gathered.set_limit(limit),
            Self::Empty | Self::Full(_) => 0,
        };
        let length = self.length().unwrap_or(0).saturating_add(read);
        match limit {
            Some(limit) if length > limit => Err(ReadError::TooLarge { limit }),
            _ => Ok(()),
        }
    }

    /// The same body, received as far as `gathering` says. What it ends with, an error too, is met by
    /// whoever reads it.
    #[must_use]
    pub async fn gather(self, gathering: Gathering) -> Self {
        let length = self.length();
        match self {
            Self::Stream(stream) if length.is_none_or(|length| length <= gathering.most) => {
                match Gathered::receive(stream, gathering).await.whole() {
                    Ok(bytes) => Self::Full(bytes),
                    Err(gathered) => Self::Gathered(Box::new(gathered)),
                }
            }
            body => body,
        }
    }

    /// Whether it comes in pieces, which the client may have yet to send.
    #[must_use]
    pub fn is_stream(&self) -> bool {
        matches!(self, Self::Gathered(_) | Self::Stream(_))
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
