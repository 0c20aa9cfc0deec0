//! Joins the server to what answers.

use std::sync::Arc;

use bustapi_http::Request;

use crate::body::RequestBody;
use crate::handler::{Handler, Responder};

/// A request on its way to a handler.
#[derive(Debug)]
pub struct Routed {
    /// The request.
    pub request: Request<RequestBody>,
}

/// Sends each request to its handler.
pub struct Dispatcher {
    handler: Arc<dyn Handler>,
}

impl std::fmt::Debug for Dispatcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dispatcher").finish_non_exhaustive()
    }
}

impl Dispatcher {
    /// Sends everything to one handler.
    pub fn to(handler: impl Handler) -> Self {
        Self {
            handler: Arc::new(handler),
        }
    }

    /// Gives `request` to its handler.
    pub fn dispatch(&self, request: Request<RequestBody>, responder: Responder) {
        self.handler.handle(Routed { request }, responder);
    }
}
