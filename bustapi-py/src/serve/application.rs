//! An application as the server calls it: by its plan, or as WSGI.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use bustapi_core::internal_error;
use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::context::request::RequestContextBase;
use crate::error;
use crate::ground::context_variable::Entered;
use crate::ground::object::allocate;
use crate::lifecycle::functions::Kind;
use crate::lifecycle::hooks::Scopes;
use crate::lifecycle::outcome::{Failure, PythonNames};
use crate::lifecycle::plan::Plan;
use crate::lifecycle::steps::{RequestSteps, Started};
use crate::lifecycle::verdict::Verdict;
use crate::request::raw::RawRequest;
use crate::response::reply::Reply;
use crate::response::streams::Streams;
use crate::response::wsgi::{StartResponse, from_wsgi};
use crate::serve::arrived::Arrived;
use crate::serve::endpoint::Endpoint;

/// An application and how it is called.
pub(crate) struct Application {
    app: Py<PyAny>,
    /// The map that the server matches by.
    url_map: Py<PyAny>,
    names: PythonNames,
    pub(crate) streams: Streams,
    plan: Mutex<Option<Arc<Plan>>>,
    body_limit: AtomicU64,
}

/// A request in the event loop's hands.
pub(crate) struct Suspended {
    plan: Arc<Plan>,
    raw: Py<RawRequest>,
    context: Py<RequestContextBase>,
    endpoint: Option<Py<PyString>>,
    /// The `contextvars.Context` that the request's steps run in.
    pub(crate) variables: Py<PyAny>,
}

impl Suspended {
    /// The answer to the request: 500 where nothing in Python handled what was raised.
    pub(crate) fn answered_or_reported(&self, py: Python<'_>, answered: PyResult<Reply>) -> Reply {
        answered_or_reported(self.raw.get(), py, answered)
    }

    pub(crate) fn endpoint<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyString>> {
        let endpoint = self.endpoint.as_ref()?;
        Some(endpoint.bind(py).clone())
    }
}

/// How a request was begun on the event loop's thread.
pub(crate) enum Begun<'py> {
    Answered(Reply),
    /// The view is this coroutine.
    Waits(Box<Suspended>, Bound<'py, PyAny>),
    /// What is to be done about the failure may wait, so it is not for the loop's thread.
    Failed(Box<Suspended>, Failure),
    /// Nothing was done: some step may wait.
    NotHere(Arrived),
}

impl Application {
    pub(crate) fn new(
        app: Py<PyAny>,
        url_map: Py<PyAny>,
        names: PythonNames,
        streams: Streams,
    ) -> Self {
        Self {
            app,
            url_map,
            names,
            streams,
            plan: Mutex::new(None),
            body_limit: AtomicU64::new(u64::MAX),
        }
    }

    /// The application's answer; 500 where nothing in Python handles what it raises.
    pub(crate) fn answer(&self, py: Python<'_>, arrived: Arrived, endpoint: &Endpoint) -> Reply {
        let Arrived { request, verdict } = arrived;
        match Bound::new(py, RawRequest::new(request)) {
            Ok(raw) => {
                let answered = self.answer_raw(&raw, verdict, endpoint);
                answered_or_reported(raw.get(), py, answered)
            }
            Err(error) => reported(py, error, "a request"),
        }
    }

    fn answer_raw(
        &self,
        raw: &Bound<'_, RawRequest>,
        verdict: Option<Verdict>,
        endpoint: &Endpoint,
    ) -> PyResult<Reply> {
        let py = raw.py();
        let plan = self.current_plan(py)?;
        if plan.wsgi {
            return self.call_wsgi(raw);
        }
        if let Some(Ok((snapshot, found))) = &verdict {
            let name = snapshot.endpoint(py, found.rule);
            endpoint.set_coroutine(Self::is_coroutine(&plan, &name)?);
        }
        let road = self.road(&plan, raw.clone(), None)?;
        // In a context of the request's own, which is left with what was set in it: to set the
        // variables back costs more, and the next request must not see what this one set.
        let entered = Entered::new(py)?;
        let started = road.start(verdict, false);
        let is_file = matches!(started, Ok(Started::Served(_)));
        let settled = road.settle(started.and_then(|started| road.complete(started)));
        entered.exit(py)?;
        endpoint.last_file.note(py, &plan, is_file)?;
        settled
    }

    /// Notes whether the event loop may run the view of a request's endpoint. A failure is left
    /// to the request, which meets it again where it can be answered.
    pub(crate) fn look_at(&self, py: Python<'_>, arrived: &Arrived, endpoint: &Endpoint) {
        let is_coroutine = match &arrived.verdict {
            Some(Ok((snapshot, found))) => self.current_plan(py).and_then(|plan| {
                let name = snapshot.endpoint(py, found.rule);
                Ok(!plan.wsgi && Self::is_coroutine(&plan, &name)?)
            }),
            Some(Err(_)) | None => Ok(false),
        };
        endpoint.set_coroutine(is_coroutine.unwrap_or(false));
    }

    /// Whether the event loop may run the endpoint's view.
    fn is_coroutine(plan: &Plan, endpoint: &Bound<'_, PyAny>) -> PyResult<bool> {
        let py = endpoint.py();
        match plan.view_functions.bind(py).get_item(endpoint)? {
            Some(view) if plan.functions.kind(&view)? == Kind::Coroutine => plan.runs_on_loop(py),
            _ => Ok(false),
        }
    }

    /// Takes the steps before a coroutine view, on the event loop's thread and in a context of
    /// the request's own.
    ///
    /// # Errors
    ///
    /// What making the contexts raises.
    pub(crate) fn begin<'py>(
        &self,
        py: Python<'py>,
        arrived: Arrived,
        entered: &Entered,
    ) -> PyResult<Begun<'py>> {
        let plan = self.current_plan(py)?;
        if plan.wsgi || !plan.runs_on_loop(py)? {
            return Ok(Begun::NotHere(arrived));
        }
        let raw = Bound::new(py, RawRequest::new(arrived.request))?;
        let road = self.road(&plan, raw, None)?;
        let started = road.start(arrived.verdict, true);
        let suspend = |endpoint: Option<Bound<'py, PyString>>| {
            Box::new(Suspended {
                plan: Arc::clone(&plan),
                raw: road.raw.clone().unbind(),
                context: road.context.clone().unbind(),
                endpoint: endpoint.map(Bound::unbind),
                variables: entered.context().clone_ref(py),
            })
        };
        Ok(match started {
            Ok(Started::Waits(endpoint, coroutine)) => {
                Begun::Waits(suspend(Some(endpoint)), coroutine)
            }
            Ok(started) => match road.complete(started) {
                Ok(response) => {
                    let settled = road.settle(Ok(response));
                    Begun::Answered(answered_or_reported(road.raw.get(), py, settled))
                }
                Err(failure) => Begun::Failed(suspend(None), failure),
            },
            Err(failure) => Begun::Failed(suspend(None), failure),
        })
    }

    /// Takes the steps after a coroutine view that gave or raised `outcome`, in the request's
    /// own context.
    ///
    /// # Errors
    ///
    /// What nothing in Python handles.
    pub(crate) fn finish(
        &self,
        py: Python<'_>,
        suspended: &Suspended,
        outcome: Result<Bound<'_, PyAny>, Failure>,
    ) -> PyResult<Reply> {
        let entered = Entered::again(suspended.variables.bind(py))?;
        let settled = self.finish_within(py, suspended, outcome);
        entered.exit(py)?;
        settled
    }

    /// As [`Application::finish`], for a thread that has entered the context.
    ///
    /// # Errors
    ///
    /// What nothing in Python handles.
    pub(crate) fn finish_within(
        &self,
        py: Python<'_>,
        suspended: &Suspended,
        outcome: Result<Bound<'_, PyAny>, Failure>,
    ) -> PyResult<Reply> {
        let raw = suspended.raw.bind(py).clone();
        let context = suspended.context.bind(py).clone();
        let road = self.road(&suspended.plan, raw, Some(context))?;
        let answered = outcome.and_then(|value| {
            let scopes = Scopes::of(suspended.endpoint.as_ref().map(|name| name.bind(py)));
            scopes
                .and_then(|scopes| road.finalize(&scopes, &value))
                .map_err(Failure::Finalizing)
        });
        road.settle(answered)
    }

    /// Whether no step after the view may wait.
    pub(crate) fn may_finish_on_loop(py: Python<'_>, suspended: &Suspended) -> bool {
        let context = suspended.context.bind(py);
        RequestContextBase::after_request_functions_of(context).is_none()
            && suspended.plan.runs_on_loop(py).unwrap_or(false)
    }

    fn road<'a, 'py>(
        &'a self,
        plan: &'a Plan,
        raw: Bound<'py, RawRequest>,
        context: Option<Bound<'py, RequestContextBase>>,
    ) -> PyResult<RequestSteps<'a, 'py>> {
        let py = raw.py();
        let context = match context {
            Some(context) => context,
            None => allocate(plan.request_context_class.bind(py))?.cast_into()?,
        };
        Ok(RequestSteps {
            names: &self.names,
            streams: &self.streams,
            plan,
            app: self.app.bind(py).clone(),
            raw,
            context,
        })
    }

    /// The application's limit on bodies in bytes, as of its latest plan.
    /// `u64::MAX` for none.
    pub(crate) fn body_limit(&self) -> u64 {
        self.body_limit.load(Relaxed)
    }

    fn current_plan(&self, py: Python<'_>) -> PyResult<Arc<Plan>> {
        let lock = || self.plan.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(plan) = lock().as_ref().filter(|plan| plan.is_current(py)) {
            return Ok(Arc::clone(plan));
        }
        let plan = Arc::new(Plan::make(
            self.names.describe.bind(py),
            self.app.bind(py),
            self.url_map.bind(py),
        )?);
        self.body_limit
            .store(plan.max_content_length.unwrap_or(u64::MAX), Relaxed);
        *lock() = Some(Arc::clone(&plan));
        Ok(plan)
    }

    fn call_wsgi(&self, raw: &Bound<'_, RawRequest>) -> PyResult<Reply> {
        let py = raw.py();
        let start = Bound::new(py, StartResponse::new())?;
        let environ = raw.get().environ(py)?;
        let iterable = self.app.bind(py).call1((environ, &start))?;
        from_wsgi(&start, &iterable, &self.streams, &raw.get().head().method)
    }
}

/// An answer, or 500 for an exception that nothing in Python handled.
fn answered_or_reported(raw: &RawRequest, py: Python<'_>, answered: PyResult<Reply>) -> Reply {
    answered.unwrap_or_else(|error| {
        let head = raw.head();
        reported(py, error, &format!("{} {}", head.method, head.uri.path()))
    })
}

/// The answer where an exception ended `what`: 500.
pub(crate) fn reported(py: Python<'_>, error: PyErr, what: &str) -> Reply {
    error::report(py, error, what);
    internal_error().into()
}
