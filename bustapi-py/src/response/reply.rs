//! What Python answers, as a response.

use std::sync::Arc;

use bustapi_core::Responder;
use bustapi_core::executor::Place;
use bustapi_http::Response;
use pyo3::prelude::*;

use crate::response::streams::{Pieces, StreamStep, Streams};

/// A response, whose body Python may have yet to begin.
pub(crate) struct Reply {
    pub(super) response: Response,
    pub(super) pieces: Option<Arc<Pieces>>,
}

impl From<Response> for Reply {
    fn from(response: Response) -> Self {
        Self {
            response,
            pieces: None,
        }
    }
}

impl Reply {
    /// Whether Python makes the body while it is sent.
    pub(crate) fn is_streamed(&self) -> bool {
        self.pieces.is_some()
    }

    /// Lets the body see the context variables that are current now; others, if it is not
    /// called, will be current when the body begins.
    ///
    /// # Errors
    ///
    /// `MemoryError`.
    pub(crate) fn enter(&self, py: Python<'_>) -> PyResult<()> {
        if let Some(pieces) = &self.pieces {
            pieces.enter(py)?;
        }
        Ok(())
    }

    /// Has the response delivered: at once, or when the first piece of its body is there.
    pub(crate) fn send(
        self,
        responder: Responder,
        streams: &Streams,
        deliver: impl FnOnce(Responder, Response),
    ) {
        let Some(pieces) = self.pieces else {
            deliver(responder, self.response);
            return;
        };
        let step = StreamStep::First(pieces, Box::new(self.response), responder);
        streams.submit(&Arc::default(), Place::Pool, step);
    }
}
