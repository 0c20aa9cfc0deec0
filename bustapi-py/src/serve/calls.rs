//! Calls of an application, and where they run.

use std::sync::Arc;

use bustapi_core::Responder;
use bustapi_core::executor::Work;
use pyo3::prelude::*;

use crate::ground::thread_state::{attach_to_call, keep_thread_state};
use crate::lifecycle::outcome::Failure;
use crate::serve::application::{Application, Suspended};
use crate::serve::arrived::Arrived;
use crate::serve::endpoint::Endpoint;

/// What runs on the IO thread or the pool.
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all are of the large kind, and a box each would cost an allocation"
)]
pub(crate) enum Job {
    Call(PendingRequest),
    Arrive(Box<dyn Arriving>),
    Resume(Box<Resumption>),
}

/// A request of which Python has to be asked where it is to go.
pub(crate) trait Arriving: Send {
    /// Whether its client has gone.
    fn is_closed(&self) -> bool;

    /// Finds out where the request is to go, and answers it here if that is anywhere.
    fn run(self: Box<Self>, py: Python<'_>);
}

/// A request on its way to the application.
pub(crate) struct PendingRequest {
    pub(crate) arrived: Arrived,
    pub(crate) responder: Responder,
    pub(crate) endpoint: Arc<Endpoint>,
    /// Whether only the application can answer it.
    pub(crate) needs_python: bool,
}

/// A request whose view is done and whose further steps may wait.
pub(crate) struct Resumption {
    pub(crate) suspended: Box<Suspended>,
    pub(crate) outcome: Result<Py<PyAny>, Failure>,
    pub(crate) responder: Responder,
}

impl Resumption {
    pub(crate) fn run(self, py: Python<'_>, calls: &Calls) {
        let outcome = self.outcome.map(|value| value.into_bound(py));
        let answered = calls.application.finish(py, &self.suspended, outcome);
        if self.responder.is_closed() {
            // The view was cancelled because its client went: nobody is to be told.
            return;
        }
        let reply = self.suspended.answered_or_reported(py, answered);
        reply.send(
            self.responder,
            &calls.application.streams,
            Responder::complete,
        );
    }
}

/// Runs jobs with the interpreter attached.
pub(crate) struct Calls {
    pub(crate) application: Application,
}

impl Work for Calls {
    type Job = Job;

    fn on_thread(&self, body: &mut dyn FnMut()) {
        keep_thread_state(body);
    }

    fn is_answerable_outside(&self, job: &Job) -> bool {
        match job {
            Job::Call(call) => {
                !call.needs_python && call.endpoint.last_file.may_answer(&call.arrived)
            }
            Job::Arrive(_) | Job::Resume(_) => false,
        }
    }

    fn answer_outside(&self, job: Job) -> Option<Job> {
        let Job::Call(call) = job else {
            return Some(job);
        };
        let PendingRequest {
            arrived,
            responder,
            endpoint,
            ..
        } = call;
        let responder = endpoint.last_file.answer(&arrived, responder).err()?;
        Some(Job::Call(PendingRequest {
            arrived,
            responder,
            endpoint,
            needs_python: true,
        }))
    }

    fn run(&self, next: &mut dyn FnMut() -> Option<Job>) {
        attach_to_call(|py| {
            while let Some(job) = next() {
                match job {
                    // A request whose client has gone before its turn is dropped.
                    Job::Call(call) if call.responder.is_closed() => {}
                    Job::Call(call) => self.answer(py, call),
                    Job::Arrive(arrival) if arrival.is_closed() => {}
                    Job::Arrive(arrival) => arrival.run(py),
                    Job::Resume(resumption) => resumption.run(py, self),
                }
            }
        });
    }
}

impl Calls {
    /// Calls the application, and has its answer sent.
    pub(crate) fn answer(&self, py: Python<'_>, call: PendingRequest) {
        let reply = self.application.answer(py, call.arrived, &call.endpoint);
        reply.send(
            call.responder,
            &self.application.streams,
            Responder::complete,
        );
    }
}
