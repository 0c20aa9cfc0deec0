//! Matches requests, and decides where their views run.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bustapi_core::executor::{Executor, Place};
use bustapi_core::{Gathering, Handler, RequestBody, Responder, Routed};
use bustapi_router::{Match, MatchRequest};
use pyo3::prelude::*;

use crate::error;
use crate::routing::{SharedMap, Snapshot};
use crate::serve::application::Arrived;
use crate::serve::calls::{Call, Calls, Job};
use crate::serve::endpoint::{Endpoint, Endpoints};
use crate::serve::event_loop::{self, Answers, LoopQueue};

/// Matches requests and hands them to the executor, or to the event loop.
pub(crate) struct PythonHandler {
    /// How much of a body is received before the event loop's views are called.
    pub(crate) gathering: Gathering,
    pub(crate) calls: Arc<Calls>,
    pub(crate) executor: Executor<Calls>,
    /// `None` for a map that is not the package's own.
    pub(crate) rules: Option<Arc<SharedMap>>,
    pub(crate) answers: Arc<Answers>,
    pub(crate) endpoints: Mutex<Endpoints>,
    pub(crate) event_loop: OnceLock<Option<Arc<LoopQueue>>>,
}

impl PythonHandler {
    /// The rule that matches, where that can be told without calling Python. A miss is left to
    /// Python's adapter, which raises what the lifecycle expects.
    fn find(&self, routed: &Routed) -> Option<(Arc<Snapshot>, Match)> {
        let snapshot = self.rules.as_ref()?.snapshot();
        let head = &routed.request.head;
        if snapshot.calls_python
            || snapshot.foreign
            || head.headers.contains_key(http::header::UPGRADE)
        {
            return None;
        }
        let request = MatchRequest::new(head.method.as_str(), head.uri.path());
        let found = snapshot.map.match_raw_path(&request).ok()?;
        (!snapshot.rule_calls_python(found.rule)).then_some((snapshot, found))
    }

    fn endpoint(&self, found: Option<&Match>) -> Arc<Endpoint> {
        let mut endpoints = self
            .endpoints
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let Some(found) = found else {
            return Arc::clone(&endpoints.other);
        };
        let index = found.rule.index();
        if index >= endpoints.by_rule.len() {
            endpoints.by_rule.resize_with(index + 1, Arc::default);
        }
        Arc::clone(&endpoints.by_rule[index])
    }

    /// How much of a body is received for the application, which refuses those beyond its own limit:
    /// one that is announced as longer at once, any other when one byte more is there.
    fn gathering_for_app(&self) -> Gathering {
        Gathering {
            most: self.gathering.most.min(self.calls.view.body_limit()),
            ..self.gathering
        }
    }

    /// The event loop, started when the first coroutine view is called; `None` if it cannot be.
    fn event_loop(&self) -> Option<&Arc<LoopQueue>> {
        self.event_loop
            .get_or_init(|| {
                Python::attach(|py| {
                    let calls = Arc::clone(&self.calls);
                    let answers = Arc::clone(&self.answers);
                    event_loop::start(py, calls, self.executor.clone(), answers)
                        .map_err(|error| error::report(py, error, "the start of the event loop"))
                        .ok()
                })
            })
            .as_ref()
    }
}

/// Calls a view on the event loop when its body is there: reading it must not hold up the others.
async fn gather_and_push(mut call: Call, gathering: Gathering, event_loop: Arc<LoopQueue>) {
    let body = std::mem::replace(&mut call.arrived.request.body, RequestBody::Empty);
    call.arrived.request.body = body.gather(gathering).await;
    event_loop.push(call);
}

impl Handler for PythonHandler {
    fn handle(&self, routed: Routed, responder: Responder) {
        let found = self.find(&routed);
        let endpoint = self.endpoint(found.as_ref().map(|(_, found)| found));
        // A view that reads its body on the IO thread would wait for the very thread that
        // receives it.
        let is_stream = routed.request.body.is_stream();
        let call = Call {
            arrived: Arrived {
                request: routed.request,
                found,
            },
            responder,
            endpoint,
        };
        if !call.endpoint.is_known.load(Relaxed) {
            // Once: a coroutine is cancelled when its client leaves, even the first time.
            Python::attach(|py| self.calls.view.look_at(py, &call.arrived, &call.endpoint));
        }
        if call.endpoint.is_coroutine.load(Relaxed)
            && let Some(event_loop) = self.event_loop()
        {
            if is_stream {
                tokio::spawn(gather_and_push(
                    call,
                    self.gathering_for_app(),
                    Arc::clone(event_loop),
                ));
            } else {
                event_loop.push(call);
            }
            return;
        }
        let place = if is_stream {
            Place::Pool
        } else {
            Place::Learned
        };
        let habit = Arc::clone(&call.endpoint.habit);
        self.executor.submit(&habit, place, Job::Call(call));
    }
}
