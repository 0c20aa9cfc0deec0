//! Bodies of requests as their handlers hold them while they arrive.

use std::sync::Arc;

use bytes::Bytes;

use crate::error::ReadError;
use crate::exchange::arriving::Arriving;

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

    /// Replaces the limit; how many bytes have been read.
    pub(crate) fn set_limit(&mut self, limit: Option<u64>) -> u64 {
        self.limit = limit;
        self.read
    }

    /// The length that the client announced, less what has been read.
    pub(crate) fn length(&self) -> Option<u64> {
        self.arriving.length()
    }

    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>, ReadError> {
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
