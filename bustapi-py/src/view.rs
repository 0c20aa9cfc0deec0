//! Takes a request through the steps of an application's plan.
//!
//! The steps and their order are those of `bustapi.lifecycle`, which describes them. Those
//! that are Flask's own and have nothing to do are left out; any other is the lifecycle's
//! method, and an exception goes to the lifecycle from the step that raised it.

use std::sync::{Arc, Mutex, PoisonError};

use bustapi_core::{RequestBody, internal_error};
use bustapi_http::Request;
use bustapi_router::Match;
use pyo3::exceptions::{PyBaseException, PyKeyError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};

use crate::call::Endpoint;
use crate::context::{AppContextBase, Fill, RequestContextBase, allocate};
use crate::context_variable::{self, Entered};
use crate::error;
use crate::function::Kind;
use crate::hooks::{self, Scopes};
use crate::plan::Plan;
use crate::reply::{Reply, StartResponse, from_response, from_wsgi};
use crate::request::RawRequest;
use crate::response::Content;
use crate::routing::Snapshot;
use crate::stream::Streams;

/// What the road needs of the Python package.
pub(crate) struct Package {
    /// `bustapi.plan.describe`.
    pub(crate) describe: Py<PyAny>,
    /// `bustapi.plan.recover`.
    pub(crate) recover: Py<PyAny>,
    /// The variables of `bustapi.globals`.
    pub(crate) cv_app: Py<PyAny>,
    pub(crate) cv_request: Py<PyAny>,
}

/// An application and how it is called.
pub(crate) struct View {
    app: Py<PyAny>,
    /// The map that the server matches by.
    url_map: Py<PyAny>,
    package: Package,
    pub(crate) streams: Streams,
    plan: Mutex<Option<Arc<Plan>>>,
}

/// How far a request got when an exception was raised; `bustapi.plan.recover` goes on there.
pub(crate) enum Failure {
    /// A hook or the view raised it: the application's error handlers are asked.
    Dispatching(PyErr),
    /// Making the response raised it, or pushing the context.
    Finalizing(PyErr),
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

/// How a request was begun on the event loop's thread.
pub(crate) enum Begun<'py> {
    Answered(PyResult<Reply>),
    /// The view is this coroutine.
    Waits(Box<Suspended>, Bound<'py, PyAny>),
    /// What is to be done about the failure may wait, so it is not for the loop's thread.
    Failed(Box<Suspended>, Failure),
    /// Nothing was done: some step may wait.
    NotHere(Arrived),
}

/// A request and the rule that the server matched it to, if it could.
pub(crate) struct Arrived {
    pub(crate) request: Request<RequestBody>,
    pub(crate) found: Option<(Arc<Snapshot>, Match)>,
}

impl View {
    pub(crate) fn new(
        app: Py<PyAny>,
        url_map: Py<PyAny>,
        package: Package,
        streams: Streams,
    ) -> Self {
        Self {
            app,
            url_map,
            package,
            streams,
            plan: Mutex::new(None),
        }
    }

    /// The application's answer.
    ///
    /// # Errors
    ///
    /// What nothing in Python handles.
    pub(crate) fn answer(
        &self,
        py: Python<'_>,
        arrived: Arrived,
        endpoint: &Endpoint,
    ) -> PyResult<Reply> {
        let plan = self.current_plan(py)?;
        let raw = Bound::new(py, RawRequest::new(arrived.request))?;
        if plan.wsgi {
            return self.call_wsgi(&raw);
        }
        if let Some((snapshot, found)) = &arrived.found {
            let name = snapshot.endpoint(py, found.rule);
            endpoint.set_coroutine(Self::is_coroutine(&plan, &name)?);
        }
        let road = self.road(&plan, raw, None)?;
        let answered = road
            .start(arrived.found, false)
            .and_then(|started| road.complete(started));
        road.settle(answered)
    }

    /// Notes whether the event loop may run the view of a request's endpoint. A failure is left
    /// to the request, which meets it again where it can be answered.
    pub(crate) fn look_at(&self, py: Python<'_>, arrived: &Arrived, endpoint: &Endpoint) {
        let is_coroutine = match &arrived.found {
            Some((snapshot, found)) => self.current_plan(py).and_then(|plan| {
                let name = snapshot.endpoint(py, found.rule);
                Ok(!plan.wsgi && Self::is_coroutine(&plan, &name)?)
            }),
            None => Ok(false),
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
        let started = road.start(arrived.found, true);
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
                Ok(response) => Begun::Answered(road.settle(Ok(response))),
                Err(failure) => Begun::Failed(suspend(None), failure),
            },
            Err(failure) => Begun::Failed(suspend(None), failure),
        })
    }

    /// Takes the steps after a coroutine view that gave or raised `outcome`.
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
        let raw = suspended.raw.bind(py).clone();
        let context = suspended.context.bind(py).clone();
        let road = self.road(&suspended.plan, raw, Some(context))?;
        let answered = outcome.and_then(|value| {
            let scopes = Scopes::of(suspended.endpoint.as_ref().map(|name| name.bind(py)));
            scopes
                .and_then(|scopes| road.finalize(&scopes, &value))
                .map_err(Failure::Finalizing)
        });
        let settled = road.settle(answered);
        entered.exit(py)?;
        settled
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
    ) -> PyResult<Road<'a, 'py>> {
        let py = raw.py();
        let context = match context {
            Some(context) => context,
            None => allocate(plan.request_context_class.bind(py))?.cast_into()?,
        };
        Ok(Road {
            view: self,
            plan,
            app: self.app.bind(py).clone(),
            raw,
            context,
        })
    }

    fn current_plan(&self, py: Python<'_>) -> PyResult<Arc<Plan>> {
        let lock = || self.plan.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(plan) = lock().as_ref().filter(|plan| plan.is_current(py)) {
            return Ok(Arc::clone(plan));
        }
        let plan = Arc::new(Plan::make(
            self.package.describe.bind(py),
            self.app.bind(py),
            self.url_map.bind(py),
        )?);
        *lock() = Some(Arc::clone(&plan));
        Ok(plan)
    }

    fn call_wsgi(&self, raw: &Bound<'_, RawRequest>) -> PyResult<Reply> {
        let py = raw.py();
        let start = Bound::new(py, StartResponse::new())?;
        let environ = raw.get().environ(py)?;
        let iterable = self.app.bind(py).call1((environ, &start))?;
        from_wsgi(&start, &iterable, &self.streams)
    }
}

/// An answer, or 500 for an exception that nothing in Python handled.
pub(crate) fn report(py: Python<'_>, answered: PyResult<Reply>) -> Reply {
    answered.unwrap_or_else(|error| {
        error::report(py, error);
        internal_error().into()
    })
}

/// The rule that a request matched.
struct Matched<'py> {
    endpoint: Bound<'py, PyString>,
    rule: Bound<'py, PyAny>,
    view_args: Bound<'py, PyDict>,
}

/// How far a request has come.
enum Started<'py> {
    /// A response object of the lifecycle's.
    Responded(Bound<'py, PyAny>),
    /// A response that was made natively and that nothing sees.
    Served(Reply),
    /// What the view, or a hook in its place, returned.
    Returned(Bound<'py, PyString>, Bound<'py, PyAny>),
    /// The view is a coroutine.
    Waits(Bound<'py, PyString>, Bound<'py, PyAny>),
}

/// One request on the road.
struct Road<'a, 'py> {
    view: &'a View,
    plan: &'a Plan,
    app: Bound<'py, PyAny>,
    raw: Bound<'py, RawRequest>,
    context: Bound<'py, RequestContextBase>,
}

impl<'py> Road<'_, 'py> {
    fn py(&self) -> Python<'py> {
        self.raw.py()
    }

    /// From pushing the contexts to the view; `awaits` tells whether somebody will await a
    /// coroutine view.
    fn start(
        &self,
        found: Option<(Arc<Snapshot>, Match)>,
        awaits: bool,
    ) -> Result<Started<'py>, Failure> {
        let py = self.py();
        let matched = self.push(found).map_err(Failure::Finalizing)?;
        let Some(matched) =
            matched.filter(|_| !self.plan.own_full_dispatch && !self.plan.watches_requests(py))
        else {
            return self
                .app
                .call_method0(intern!(py, "full_dispatch_request"))
                .map(Started::Responded)
                .map_err(Failure::Finalizing);
        };
        self.call_view(matched, awaits)
            .map_err(Failure::Dispatching)
    }

    /// From what the view returned to the response.
    fn complete(&self, started: Started<'py>) -> Result<Reply, Failure> {
        match started {
            Started::Responded(response) => self.convert(&response),
            Started::Served(response) => Ok(response),
            Started::Returned(endpoint, value) | Started::Waits(endpoint, value) => {
                Scopes::of(Some(&endpoint)).and_then(|scopes| self.finalize(&scopes, &value))
            }
        }
        .map_err(Failure::Finalizing)
    }

    /// Answers a failure, and pops the contexts whatever happened.
    fn settle(&self, answered: Result<Reply, Failure>) -> PyResult<Reply> {
        let py = self.py();
        let answered = answered.map(|response| (response, None));
        let (answered, error) = match answered.or_else(|failure| self.recover(failure)) {
            Ok((response, error)) => (Ok(response), error),
            // It is to propagate; the teardown functions still run.
            Err(error) => (Err(error.clone_ref(py)), Some(error)),
        };
        self.pop(error)?;
        let answered = answered?;
        // A body that is made from now on has left the request's context behind.
        answered.enter(py)?;
        Ok(answered)
    }

    /// Makes the contexts current, opens the session unless it can wait, and routes; `None`
    /// where no rule matched, which the lifecycle finds in the request.
    fn push(&self, found: Option<(Arc<Snapshot>, Match)>) -> PyResult<Option<Matched<'py>>> {
        let py = self.py();
        let app_context =
            allocate(self.plan.app_context_class.bind(py))?.cast_into::<AppContextBase>()?;
        AppContextBase::fill(&app_context, &self.app);
        let matched = match found.filter(|_| self.plan.matches_natively(py)) {
            Some((snapshot, found)) => Some(Matched {
                endpoint: snapshot.endpoint(py, found.rule).cast_into()?,
                view_args: snapshot.view_args(py, &found)?,
                rule: snapshot.rule(py, found.rule),
            }),
            None => None,
        };
        RequestContextBase::fill(
            &self.context,
            Fill {
                app: &self.app,
                raw: self.raw.clone(),
                app_context: app_context.as_any().clone(),
                matched: matched
                    .as_ref()
                    .map(|matched| (matched.rule.clone(), matched.view_args.clone())),
            },
        );
        if self.plan.watches_contexts(py) {
            self.context.call_method0(intern!(py, "push"))?;
            return self.matched_by_python();
        }
        let package = &self.view.package;
        let token = context_variable::set(package.cv_app.bind(py), &app_context)?;
        AppContextBase::set_token(&app_context, token);
        let token = context_variable::set(package.cv_request.bind(py), &self.context)?;
        RequestContextBase::set_token(&self.context, token);
        // Only what is done here can open a session late as if it had been opened now.
        if !self.plan.lazy_session || self.plan.own_full_dispatch {
            self.context.getattr(intern!(py, "_session"))?;
        }
        if matched.is_some() {
            return Ok(matched);
        }
        if !self.context.getattr(intern!(py, "url_adapter"))?.is_none() {
            self.context.call_method0(intern!(py, "match_request"))?;
        }
        self.matched_by_python()
    }

    fn matched_by_python(&self) -> PyResult<Option<Matched<'py>>> {
        let py = self.py();
        let request = RequestContextBase::current_request(&self.context)?;
        let rule = request.getattr(intern!(py, "url_rule"))?;
        if rule.is_none() || !request.getattr(intern!(py, "routing_exception"))?.is_none() {
            return Ok(None);
        }
        Ok(Some(Matched {
            endpoint: rule.getattr(intern!(py, "endpoint"))?.cast_into()?,
            view_args: request.getattr(intern!(py, "view_args"))?.cast_into()?,
            rule,
        }))
    }

    /// What the hooks before the view return, or else the view.
    fn call_view(&self, matched: Matched<'py>, awaits: bool) -> PyResult<Started<'py>> {
        let py = self.py();
        let plan = self.plan;
        let returned = |value| Ok(Started::Returned(matched.endpoint.clone(), value));
        if plan.own_preprocess {
            let value = self.app.call_method0(intern!(py, "preprocess_request"))?;
            if !value.is_none() {
                return returned(value);
            }
        } else if plan.has_before(py) {
            let scopes = Scopes::of(Some(&matched.endpoint))?;
            let (endpoint, args) = (&matched.endpoint, &matched.view_args);
            if let Some(value) = hooks::before(plan, &self.app, &scopes, endpoint, args)? {
                return returned(value);
            }
        }
        let answers_options = self.raw.get().is_options()
            && matched
                .rule
                .getattr_opt(intern!(py, "provide_automatic_options"))?
                .is_some_and(|provides| provides.is_truthy().unwrap_or(true));
        if plan.own_dispatch || answers_options || !plan.is_current(py) {
            return returned(self.app.call_method0(intern!(py, "dispatch_request"))?);
        }
        let functions = plan.view_functions.bind(py);
        let Some(view) = functions.get_item(&matched.endpoint)? else {
            return Err(PyKeyError::new_err(matched.endpoint.unbind()));
        };
        if let Some(response) = self.send_static(&matched, &view)? {
            return Ok(Started::Served(response));
        }
        let none = PyTuple::empty(py);
        let args = Some(&matched.view_args).filter(|args| !args.is_empty());
        if awaits && !plan.own_ensure_sync && plan.functions.kind(&view)? == Kind::Coroutine {
            let coroutine = view.call(&none, args)?;
            return Ok(Started::Waits(matched.endpoint, coroutine));
        }
        returned(
            plan.functions
                .call(&self.app, plan.own_ensure_sync, &view, &none, args)?,
        )
    }

    /// A static file, sent as the application's own view would; `None` where that has to decide.
    fn send_static(
        &self,
        matched: &Matched<'py>,
        view: &Bound<'py, PyAny>,
    ) -> PyResult<Option<Reply>> {
        let py = self.py();
        let plan = self.plan;
        let Some(files) = plan.static_files(view) else {
            return Ok(None);
        };
        if plan.own_finalize || plan.own_make_response || self.is_seen() {
            return Ok(None);
        }
        let Some(name) = matched.view_args.get_item(intern!(py, "filename"))? else {
            return Ok(None);
        };
        let name = name.cast_into::<PyString>()?;
        let head = self.raw.get().head();
        // Names beyond ASCII are written in a way that only Python knows; errors are the view's.
        Ok(match name.to_str() {
            Ok(name) if name.is_ascii() => {
                let response = files.respond(name, &head.method, &head.headers);
                response.ok().map(Reply::from)
            }
            _ => None,
        })
    }

    /// Whether anything is to see the response before it is sent.
    fn is_seen(&self) -> bool {
        let py = self.py();
        self.plan.own_process_response
            || self.plan.has_after(py)
            || RequestContextBase::after_request_functions_of(&self.context).is_some()
            || self.keeps_session()
    }

    /// Whether there is a session to save.
    fn keeps_session(&self) -> bool {
        RequestContextBase::opened_session(&self.context).is_some()
            || self.plan.may_refresh_session(self.py(), self.raw.get())
    }

    /// Makes a response of what the view returned; natively where nobody else sees it.
    fn finalize(&self, scopes: &Scopes<'py>, value: &Bound<'py, PyAny>) -> PyResult<Reply> {
        let py = self.py();
        let plan = self.plan;
        // The view may have changed what is to come.
        let is_current = plan.is_current(py);
        if !is_current {
            self.open_session()?;
        }
        if plan.own_finalize || plan.watches_requests(py) || !is_current {
            let response = self
                .app
                .call_method1(intern!(py, "finalize_request"), (value,))?;
            return self.convert(&response);
        }
        let content = if plan.own_make_response {
            None
        } else {
            Content::of(plan, value)
        };
        let after_this = RequestContextBase::after_request_functions_of(&self.context);
        let keeps_session = self.keeps_session();
        let unseen = !plan.own_process_response
            && !plan.has_after(py)
            && after_this.is_none()
            && !keeps_session;
        if unseen && let Some(content) = content {
            return Ok(content.into_response(plan, py)?.into());
        }
        let made = match content {
            Some(content) => content.to_object(plan, py)?,
            None => None,
        };
        let response = match made {
            Some(made) => made,
            None => self
                .app
                .call_method1(intern!(py, "make_response"), (value,))?,
        };
        let response = if plan.own_process_response {
            self.app
                .call_method1(intern!(py, "process_response"), (response,))?
        } else {
            let response = hooks::after(plan, &self.app, scopes, after_this.as_ref(), response)?;
            if keeps_session {
                self.save_session(&response)?;
            }
            response
        };
        self.convert(&response)
    }

    /// Opens a session that has waited, by the interface that there was when the request came.
    fn open_session(&self) -> PyResult<()> {
        let py = self.py();
        if !self.plan.lazy_session || RequestContextBase::opened_session(&self.context).is_some() {
            return Ok(());
        }
        let interface = self.plan.session_interface.bind(py);
        let request = RequestContextBase::current_request(&self.context)?;
        let session = interface.call_method1(intern!(py, "open_session"), (&self.app, request))?;
        let session = if session.is_none() {
            interface.call_method1(intern!(py, "make_null_session"), (&self.app,))?
        } else {
            session
        };
        self.context.setattr(intern!(py, "_session"), session)
    }

    fn save_session(&self, response: &Bound<'py, PyAny>) -> PyResult<()> {
        let py = self.py();
        let interface = self.plan.session_interface.bind(py);
        let session = self.context.getattr(intern!(py, "_session"))?;
        let is_null = interface.call_method1(intern!(py, "is_null_session"), (&session,))?;
        if !is_null.is_truthy()? {
            interface.call_method1(intern!(py, "save_session"), (&self.app, session, response))?;
        }
        Ok(())
    }

    /// A response object as a response, while its context is current.
    fn convert(&self, response: &Bound<'py, PyAny>) -> PyResult<Reply> {
        if let Some(response) = from_response(self.plan, response, self.raw.get())? {
            return Ok(response.into());
        }
        let py = self.py();
        let start = Bound::new(py, StartResponse::new())?;
        let environ = self.raw.get().environ(py)?;
        let iterable = response.call1((environ, &start))?;
        from_wsgi(&start, &iterable, &self.view.streams)
    }

    /// The response to an exception, and the exception if teardown functions are to see it.
    fn recover(&self, failure: Failure) -> PyResult<(Reply, Option<PyErr>)> {
        let py = self.py();
        let (error, dispatching) = match failure {
            Failure::Dispatching(error) => (error, true),
            Failure::Finalizing(error) => (error, false),
        };
        let recovered =
            self.view
                .package
                .recover
                .bind(py)
                .call1((&self.app, error.value(py), dispatching))?;
        let (response, error): (Bound<'py, PyAny>, Bound<'py, PyAny>) = recovered.extract()?;
        let error = (!error.is_none()).then(|| PyErr::from_value(error));
        Ok((self.convert(&response)?, error))
    }

    /// Makes what was current before current again, after the teardown functions.
    fn pop(&self, error: Option<PyErr>) -> PyResult<()> {
        let py = self.py();
        let tokens = if error.is_some() || self.plan.has_teardown(py) {
            None
        } else {
            RequestContextBase::take_tokens(&self.context)
        };
        let Some((token, app_token)) = tokens else {
            let error = match error.map(|error| error.into_value(py)) {
                Some(error) if self.ignores(&error)? => None,
                error => error,
            };
            self.context.call_method1(intern!(py, "pop"), (error,))?;
            return Ok(());
        };
        if let Some(request) = RequestContextBase::made_request(&self.context) {
            // Closes uploaded files.
            request.call_method0(intern!(py, "close"))?;
            self.raw.get().forget_request(py)?;
        }
        let package = &self.view.package;
        context_variable::reset(package.cv_request.bind(py), token.bind(py))?;
        context_variable::reset(package.cv_app.bind(py), app_token.bind(py))
    }

    fn ignores(&self, error: &Py<PyBaseException>) -> PyResult<bool> {
        self.app
            .call_method1(intern!(self.py(), "should_ignore_error"), (error,))?
            .is_truthy()
    }
}
