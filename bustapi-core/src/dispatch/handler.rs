//! What answers requests.

use std::sync::Arc;

use crate::dispatch::routed::Routed;
use crate::exchange::responder::Responder;

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
