//! Matches requests, and decides where their views run.
//!
//! # Theory of operation
//!
//! The handler is called by the thread that drives the server's runtime, and never waits for the
//! interpreter: a C function may hold that for seconds, in which the server goes on. So what only
//! Python can tell is asked on the pool: which rule matches after the rules have changed, whether
//! the view of a new endpoint is a coroutine function, and the start of the event loop. Such a
//! request is an [`Arrival`], which goes where it belongs from there.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bustapi_core::executor::{Executor, Place};
use bustapi_core::{Gathering, Handler, RequestBody, Responder, Routed};
use bustapi_router::{MatchError, MatchRequest};
use pyo3::prelude::*;
use pyo3::sync::OnceLockExt;
use tokio::runtime::Handle;

use crate::error;
use crate::lifecycle::verdict::Verdict;
use crate::routing::{SharedMap, Snapshot, is_plain_host};
use crate::serve::arrived::Arrived;
use crate::serve::calls::{Arriving, Calls, Job, PendingRequest};
use crate::serve::endpoint::{Endpoint, Endpoints};
use crate::serve::event_loop::{self, Answers, LoopQueue};

/// Matches requests and hands them to the executor, or to the event loop.
pub(crate) struct PythonHandler(Arc<Front>);

/// What a request needs to get to its place.
struct Front {
    /// How much of a body is received before the event loop's views are called.
    gathering: Gathering,
    calls: Arc<Calls>,
    executor: Executor<Calls>,
    /// `None` for a map that is not the package's own.
    rules: Option<Arc<SharedMap>>,
    answers: Arc<Answers>,
    endpoints: Mutex<Endpoints>,
    /// Started when the first coroutine view is called; `None` if it cannot be.
    event_loop: OnceLock<Option<Arc<LoopQueue>>>,
}

/// A request of which Python has to be asked where it is to go.
struct Arrival {
    front: Arc<Front>,
    /// Where its body is received.
    runtime: Handle,
    routed: Routed,
    responder: Responder,
}

impl PythonHandler {
    /// A handler of the requests of the application that `calls` calls.
    pub(crate) fn new(
        gathering: Gathering,
        calls: Arc<Calls>,
        executor: Executor<Calls>,
        rules: Option<Arc<SharedMap>>,
        answers: Arc<Answers>,
    ) -> Self {
        Self(Arc::new(Front {
            gathering,
            calls,
            executor,
            rules,
            answers,
            endpoints: Mutex::default(),
            event_loop: OnceLock::new(),
        }))
    }

    fn ask_python(&self, endpoint: &Endpoint, routed: Routed, responder: Responder) {
        let arrival = Arrival {
            front: Arc::clone(&self.0),
            runtime: Handle::current(),
            routed,
            responder,
        };
        let job = Job::Arrive(Box::new(arrival));
        self.0.executor.submit(&endpoint.habit, Place::Pool, job);
    }
}

impl Front {
    /// The rule that matches, or why none does, where that can be told without calling Python.
    fn find(snapshot: Arc<Snapshot>, routed: &Routed) -> Option<Verdict> {
        let (head, scheme) = (&routed.request.head, routed.request.conn.scheme.as_str());
        if snapshot.calls_python
            || snapshot.foreign
            || head.headers.contains_key(http::header::UPGRADE)
        {
            return None;
        }
        let host = head.headers.get(http::header::HOST);
        let host = host.and_then(|host| host.to_str().ok()).unwrap_or_default();
        let request = MatchRequest {
            server_name: host,
            url_scheme: scheme,
            query: head.uri.query().filter(|query| !query.is_empty()),
            ..MatchRequest::new(head.method.as_str(), head.uri.path())
        };
        match snapshot.map.match_raw_path(&request) {
            Ok(found) => (!snapshot.rule_calls_python(found.rule)).then_some(Ok((snapshot, found))),
            // Python raises what a converter said. It also decides about an unusual host, which may
            // be refused, or be written differently in a redirect.
            Err(MatchError::Failed { .. }) => None,
            Err(miss) => {
                let is_usual = head.uri.authority().is_none() && is_plain_host(host, scheme);
                is_usual.then_some(Err(miss))
            }
        }
    }

    fn endpoint(&self, verdict: Option<&Verdict>) -> Arc<Endpoint> {
        let endpoints = self.endpoints.lock();
        endpoints
            .unwrap_or_else(PoisonError::into_inner)
            .of(verdict)
    }

    /// How much of a body is received for the application, which refuses those beyond its own
    /// limit: one that is announced as longer at once, any other when one byte more is there.
    fn gathering_for_app(&self) -> Gathering {
        Gathering {
            most: self.gathering.most.min(self.calls.application.body_limit()),
            ..self.gathering
        }
    }

    /// Has the event loop call a view: when the body is there, as reading it must not hold up the
    /// others.
    fn call_on_loop(&self, call: PendingRequest, event_loop: &Arc<LoopQueue>, runtime: &Handle) {
        if call.arrived.request.body.is_stream() {
            let gathering = self.gathering_for_app();
            runtime.spawn(gather_and_push(call, gathering, Arc::clone(event_loop)));
        } else {
            event_loop.push(call);
        }
    }

    fn start_event_loop(&self, py: Python<'_>) -> Option<&Arc<LoopQueue>> {
        self.event_loop
            .get_or_init_py_attached(py, || {
                let calls = Arc::clone(&self.calls);
                let answers = Arc::clone(&self.answers);
                event_loop::start(py, calls, self.executor.clone(), answers)
                    .map_err(|error| error::report(py, error, "the start of the event loop"))
                    .ok()
            })
            .as_ref()
    }
}

/// Calls a view on the event loop when its body is there: reading it must not hold up the others.
async fn gather_and_push(
    mut call: PendingRequest,
    gathering: Gathering,
    event_loop: Arc<LoopQueue>,
) {
    let body = std::mem::replace(&mut call.arrived.request.body, RequestBody::Empty);
    call.arrived.request.body = body.gather(gathering).await;
    event_loop.push(call);
}

impl Handler for PythonHandler {
    fn handle(&self, routed: Routed, responder: Responder) {
        let front = &*self.0;
        let verdict = match &front.rules {
            Some(rules) => match rules.settled() {
                Some(snapshot) => Front::find(snapshot, &routed),
                None => return self.ask_python(&front.endpoint(None), routed, responder),
            },
            None => None,
        };
        let endpoint = front.endpoint(verdict.as_ref());
        let waits_on_loop = endpoint.is_coroutine.load(Relaxed);
        let event_loop = if waits_on_loop {
            front.event_loop.get()
        } else {
            None
        };
        if !endpoint.is_known.load(Relaxed) || (waits_on_loop && event_loop.is_none()) {
            return self.ask_python(&endpoint, routed, responder);
        }
        let call = PendingRequest {
            arrived: Arrived {
                request: routed.request,
                verdict,
            },
            responder,
            endpoint,
            needs_python: false,
        };
        if let Some(Some(event_loop)) = event_loop {
            front.call_on_loop(call, event_loop, &Handle::current());
            return;
        }
        // A view that waits for the rest of its body with the IO role would lose the role.
        let place = if call.arrived.request.body.is_stream() {
            Place::Pool
        } else {
            Place::Learned
        };
        let habit = Arc::clone(&call.endpoint.habit);
        front.executor.submit(&habit, place, Job::Call(call));
    }
}

impl Arriving for Arrival {
    fn is_closed(&self) -> bool {
        self.responder.is_closed()
    }

    fn run(self: Box<Self>, py: Python<'_>) {
        let Self {
            front,
            runtime,
            routed,
            responder,
        } = *self;
        let verdict = match &front.rules {
            Some(rules) => Front::find(rules.snapshot(), &routed),
            None => None,
        };
        let endpoint = front.endpoint(verdict.as_ref());
        let call = PendingRequest {
            arrived: Arrived {
                request: routed.request,
                verdict,
            },
            responder,
            endpoint,
            needs_python: false,
        };
        front
            .calls
            .application
            .look_at(py, &call.arrived, &call.endpoint);
        // Even an endpoint's first call goes to the event loop if its view is a coroutine function,
        // so that it is cancelled when its client leaves.
        if call.endpoint.is_coroutine.load(Relaxed)
            && let Some(event_loop) = front.start_event_loop(py)
        {
            front.call_on_loop(call, event_loop, &runtime);
        } else {
            front.calls.answer(py, call);
        }
    }
}
