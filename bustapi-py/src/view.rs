//! Calls the application.

use std::sync::Arc;

use bustapi_core::executor::{Executor, Habit, Place, Work};
use bustapi_core::{Handler, RequestBody, Responder, Routed, internal_error};
use bustapi_http::{Body, Request, Response};
use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyTuple};

use crate::attach::keep_thread_state;
use crate::error;
use crate::reply::{StartResponse, respond, to_bytes, whole};
use crate::request::RawRequest;
use crate::stream::{PieceStream, Pieces, Step};

/// What runs on the IO thread or the pool.
pub(crate) enum Job {
    Call(Call),
    Step(Step),
}

/// A request on its way to the application.
pub(crate) struct Call {
    pub(crate) request: Request<RequestBody>,
    pub(crate) responder: Responder,
    pub(crate) streams: Executor<Calls>,
}

/// Runs jobs with the interpreter attached.
pub(crate) struct Calls {
    pub(crate) app: Py<PyAny>,
}

impl Work for Calls {
    type Job = Job;

    fn on_thread(&self, body: &mut dyn FnMut()) {
        keep_thread_state(body);
    }

    fn run(&self, next: &mut dyn FnMut() -> Option<Job>) {
        Python::attach(|py| {
            while let Some(job) = next() {
                match job {
                    Job::Call(call) => self.answer(py, call),
                    Job::Step(step) => step.run(py),
                }
            }
        });
    }
}

impl Calls {
    fn answer(&self, py: Python<'_>, call: Call) {
        if call.responder.is_closed() {
            return;
        }
        let response = self
            .call_wsgi(py, call.request, &call.streams)
            .unwrap_or_else(|error| {
                error::report(py, error);
                internal_error()
            });
        call.responder.complete(response);
    }

    fn call_wsgi(
        &self,
        py: Python<'_>,
        request: Request<RequestBody>,
        streams: &Executor<Self>,
    ) -> PyResult<Response> {
        let raw = RawRequest::new(request);
        let environ = raw.environ(py)?;
        let start = Bound::new(py, StartResponse::new())?;
        let iterable = self.app.bind(py).call1((environ, &start))?;
        from_wsgi(&start, &iterable, streams)
    }
}

/// A WSGI answer as a response.
fn from_wsgi(
    start: &Bound<'_, StartResponse>,
    iterable: &Bound<'_, PyAny>,
    streams: &Executor<Calls>,
) -> PyResult<Response> {
    let py = iterable.py();
    if iterable.is_exact_instance_of::<PyList>() || iterable.is_exact_instance_of::<PyTuple>() {
        let body = join(iterable)?;
        let (head, written) = start.get().take()?;
        let body = if written.is_empty() {
            body
        } else {
            [&written[..], &body[..]].concat().into()
        };
        return Ok(whole(head, body));
    }
    let pieces = Pieces::new(iterable)?;
    // An application that is a generator itself calls start_response with its first step.
    let step = if start.get().is_started() {
        None
    } else {
        pieces.next(py)?
    };
    let (head, mut first) = start.get().take()?;
    first.extend_from_slice(step.as_deref().unwrap_or_default());
    let first = (!first.is_empty()).then(|| Bytes::from(first));
    let length = head
        .headers
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse().ok());
    let body = PieceStream::body(first, pieces, streams.clone(), length);
    Ok(respond(head.status, head.headers, Body::Stream(body)))
}

fn join(pieces: &Bound<'_, PyAny>) -> PyResult<Bytes> {
    let mut joined = Vec::new();
    let mut only: Option<Bytes> = None;
    for piece in pieces.try_iter()? {
        let piece = piece?;
        let bytes = piece.cast::<PyBytes>()?;
        match only.take() {
            None if joined.is_empty() => only = Some(to_bytes(bytes)),
            None => joined.extend_from_slice(bytes.as_bytes()),
            Some(first) => {
                joined.extend_from_slice(&first);
                joined.extend_from_slice(bytes.as_bytes());
            }
        }
    }
    Ok(only.unwrap_or_else(|| joined.into()))
}

/// Hands requests to the executor.
pub(crate) struct PythonHandler {
    pub(crate) executor: Executor<Calls>,
    pub(crate) streams: Executor<Calls>,
    pub(crate) habit: Arc<Habit>,
}

impl Handler for PythonHandler {
    fn handle(&self, routed: Routed, responder: Responder) {
        // A view that reads its body inline would wait for the very thread that receives it.
        let place = if routed.request.body.is_stream() {
            Place::Pool
        } else {
            Place::Learned
        };
        let call = Call {
            request: routed.request,
            responder,
            streams: self.streams.clone(),
        };
        self.executor.submit(&self.habit, place, Job::Call(call));
    }
}
