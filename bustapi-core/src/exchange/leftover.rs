//! What a handler has left of a request's body, in the way of the next request.

use std::pin::Pin;
use std::task::{Context, Poll};

use http_body::Body as HttpBody;
use hyper::body::Incoming;

/// A body that is received and dropped, as its request has been answered.
#[derive(Debug)]
pub(crate) struct Leftover {
    incoming: Incoming,
    /// How many more bytes are received.
    allowance: u64,
}

impl Leftover {
    pub(crate) fn new(incoming: Incoming, allowance: u64) -> Self {
        Self {
            incoming,
            allowance,
        }
    }

    /// Receives what has come; ready when there is no more to receive, or it was too much. hyper
    /// closes the connection if this is dropped before the end of the body.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        loop {
            match Pin::new(&mut self.incoming).poll_frame(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Some(Ok(frame))) => {
                    let length = frame.data_ref().map_or(0, |data| data.len() as u64);
                    match self.allowance.checked_sub(length) {
                        Some(left) => self.allowance = left,
                        None => return Poll::Ready(()),
                    }
                }
                Poll::Ready(_) => return Poll::Ready(()),
            }
        }
    }
}
