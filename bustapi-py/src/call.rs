//! Calls of an application, and where they run.

use std::sync::Arc;

use bustapi_core::executor::{Executor, Habit, Place, Work};
use bustapi_core::{Handler, RequestBody, Responder, Routed};
use bustapi_http::Request;
use pyo3::prelude::*;

use crate::attach::keep_thread_state;
use crate::stream::Step;
use crate::view::View;

/// What runs on the IO thread or the pool.
pub(crate) enum Job {
    Call(Call),
    Step(Step),
}

/// A request on its way to the application.
pub(crate) struct Call {
    pub(crate) request: Request<RequestBody>,
    responder: Responder,
    pub(crate) streams: Executor<Calls>,
}

/// Runs jobs with the interpreter attached.
pub(crate) struct Calls {
    pub(crate) view: View,
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
                    // A client that has gone before its turn is not worked for.
                    Job::Call(call) if call.responder.is_closed() => {}
                    Job::Call(call) => {
                        let response = self.view.answer(py, call.request, &call.streams);
                        call.responder.complete(response);
                    }
                    Job::Step(step) => step.run(py),
                }
            }
        });
    }
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
