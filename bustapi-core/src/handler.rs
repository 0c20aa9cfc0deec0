//! What answers requests.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bustapi_http::Response;
use tokio::sync::oneshot;

use crate::dispatch::Routed;
use crate::fault;

/// Answers requests. Called on the IO thread, so it must return quickly: whatever takes
/// time goes on elsewhere and completes the [`Responder`] later.
///
/// A handler cannot fail: a fault becomes a response, and a responder dropped unused answers 500.
pub trait Handler: Send + Sync + 'static {
    /// Answers one request, now or later, through `responder`.
    fn handle(&self, routed: Routed, responder: Responder);
}

impl<F> Handler for F
where
    F: Fn(Routed, Responder) + Send + Sync + 'static,
{
    fn handle(&self, routed: Routed, responder: Responder) {
        self(routed, responder);
    }
}

impl Handler for Arc<dyn Handler> {
    fn handle(&self, routed: Routed, responder: Responder) {
        (**self).handle(routed, responder);
    }
}

/// The one chance to answer a request.
#[derive(Debug)]
pub struct Responder {
    sender: Option<oneshot::Sender<Response>>,
}

impl Responder {
    /// Sends the answer; without effect if the client has gone.
    pub fn complete(mut self, response: Response) {
        if let Some(sender) = self.sender.take() {
            // The receiver is gone when the client is: nobody is left to answer.
            drop(sender.send(response));
        }
    }

    /// Whether nobody waits for the answer any more, because the client has gone.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.sender.as_ref().is_none_or(oneshot::Sender::is_closed)
    }

    /// Completes when the client has gone before the answer was given.
    pub async fn closed(&mut self) {
        if let Some(sender) = self.sender.as_mut() {
            sender.closed().await;
        }
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        if let Some(sender) = self.sender.take()
            && !sender.is_closed()
        {
            fault::log("a request was dropped without an answer");
            drop(sender.send(fault::internal_error()));
        }
    }
}

/// The waiting side of a [`Responder`].
#[derive(Debug)]
pub struct Answer {
    receiver: oneshot::Receiver<Response>,
}

impl Future for Answer {
    type Output = Response;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Response> {
        Pin::new(&mut self.receiver)
            .poll(context)
            .map(|answer| answer.unwrap_or_else(|_| fault::internal_error()))
    }
}

/// A responder and the future of what it is completed with.
#[must_use]
pub fn responder() -> (Responder, Answer) {
    let (sender, receiver) = oneshot::channel();
    (
        Responder {
            sender: Some(sender),
        },
        Answer { receiver },
    )
}
