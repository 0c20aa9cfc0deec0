//! The steps of one request, from pushing its contexts to its response.
//!
//! The steps and their order are those of `bustapi.lifecycle`, which describes them. Those
//! that are Flask's own and have nothing to do are left out; any other is the lifecycle's
//! method, and an exception goes to the lifecycle from the step that raised it.

use pyo3::exceptions::{PyBaseException, PyKeyError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};

use crate::context::app::AppContextBase;
use crate::context::request::{Fill, RequestContextBase};
use crate::ground::context_variable;
use crate::ground::object::allocate;
use crate::lifecycle::error_handlers::{Handling, handling};
use crate::lifecycle::functions::Kind;
use crate::lifecycle::hooks::{self, Scopes};
use crate::lifecycle::outcome::{Failure, PythonNames};
use crate::lifecycle::plan::Plan;
use crate::lifecycle::verdict::Verdict;
use crate::request::raw::RawRequest;
use crate::response::object::from_response;
use crate::response::reply::Reply;
use crate::response::streams::Streams;
use crate::response::value::{Content, SessionFields, add_to_object};
use crate::response::wsgi::{StartResponse, from_wsgi};
use crate::routing::raised;

/// The rule that a request matched.
struct Matched<'py> {
    endpoint: Bound<'py, PyString>,
    rule: Bound<'py, PyAny>,
    view_args: Bound<'py, PyDict>,
}

/// Where a request leads.
enum Route<'py> {
    Matched(Matched<'py>),
    /// To no rule: the exception that says why.
    Missed(Bound<'py, PyAny>),
    /// Not known here.
    Unknown,
}

/// How far a request has come.
pub(crate) enum Started<'py> {
    /// A response object of the lifecycle's.
    Responded(Bound<'py, PyAny>),
    /// A response that was made natively and that nothing sees.
    Served(Reply),
    /// What the view of an endpoint, or a hook in its place, returned.
    Returned(Option<Bound<'py, PyString>>, Bound<'py, PyAny>),
    /// The view is a coroutine.
    Waits(Bound<'py, PyString>, Bound<'py, PyAny>),
}

/// The steps of one request, and what they work on.
pub(crate) struct RequestSteps<'a, 'py> {
    pub(crate) names: &'a PythonNames,
    pub(crate) streams: &'a Streams,
    pub(crate) plan: &'a Plan,
    pub(crate) app: Bound<'py, PyAny>,
    pub(crate) raw: Bound<'py, RawRequest>,
    pub(crate) context: Bound<'py, RequestContextBase>,
}

impl<'py> RequestSteps<'_, 'py> {
    pub(super) fn py(&self) -> Python<'py> {
        self.raw.py()
    }

    /// From pushing the contexts to the view; `awaits` tells whether somebody will await a
    /// coroutine view.
    pub(crate) fn start(
        &self,
        verdict: Option<Verdict>,
        awaits: bool,
    ) -> Result<Started<'py>, Failure> {
        let py = self.py();
        let mut route = self.push(verdict).map_err(Failure::Finalizing)?;
        if self.plan.own_full_dispatch || self.plan.requests_have_receivers(py) {
            route = Route::Unknown;
        }
        match route {
            Route::Matched(matched) => self.call_view(matched, awaits),
            Route::Missed(error) => self.raise_missed(error),
            Route::Unknown => {
                return self
                    .app
                    .call_method0(intern!(py, "full_dispatch_request"))
                    .map(Started::Responded)
                    .map_err(Failure::Finalizing);
            }
        }
        .map_err(Failure::Dispatching)
    }

    /// From what the view returned to the response.
    pub(crate) fn complete(&self, started: Started<'py>) -> Result<Reply, Failure> {
        match started {
            Started::Responded(response) => self.convert(&response),
            Started::Served(response) => Ok(response),
            Started::Returned(endpoint, value) => {
                Scopes::of(endpoint.as_ref()).and_then(|scopes| self.finalize(&scopes, &value))
            }
            Started::Waits(endpoint, value) => {
                Scopes::of(Some(&endpoint)).and_then(|scopes| self.finalize(&scopes, &value))
            }
        }
        .map_err(Failure::Finalizing)
    }

    /// Makes the contexts current, opens the session unless it can wait, and routes.
    fn push(&self, verdict: Option<Verdict>) -> PyResult<Route<'py>> {
        let py = self.py();
        let app_context =
            allocate(self.plan.app_context_class.bind(py))?.cast_into::<AppContextBase>()?;
        AppContextBase::fill(&app_context, &self.app);
        let route = match verdict.filter(|verdict| self.plan.matches_natively(py, verdict)) {
            Some(Ok((snapshot, found))) => Route::Matched(Matched {
                endpoint: snapshot.endpoint(py, found.rule).cast_into()?,
                view_args: snapshot.view_args(py, &found)?,
                rule: snapshot.rule(py, found.rule),
            }),
            Some(Err(miss)) => match raised(py, &miss)? {
                Some(error) => Route::Missed(error.into_value(py).into_bound(py).into_any()),
                None => Route::Unknown,
            },
            None => Route::Unknown,
        };
        let (matched, routing_exception) = match &route {
            Route::Matched(matched) => (
                Some((matched.rule.clone(), matched.view_args.clone())),
                None,
            ),
            Route::Missed(error) => (None, Some(error.clone())),
            Route::Unknown => (None, None),
        };
        RequestContextBase::fill(
            &self.context,
            Fill {
                app: &self.app,
                raw: self.raw.clone(),
                app_context: app_context.as_any().clone(),
                matched,
                routing_exception,
                sessions: self.plan.sessions.as_ref(),
            },
        );
        if self.plan.contexts_have_receivers(py) {
            self.context.call_method0(intern!(py, "push"))?;
            return self.routed_by_python();
        }
        let names = &self.names;
        let token = context_variable::set(names.cv_app.bind(py), &app_context)?;
        AppContextBase::set_token(&app_context, token);
        let token = context_variable::set(names.cv_request.bind(py), &self.context)?;
        RequestContextBase::set_token(&self.context, token);
        // Only the native steps can open a session late as if it had been opened now; an
        // application's own `full_dispatch_request` finds it open.
        if !self.plan.lazy_session || self.plan.own_full_dispatch {
            self.context.getattr(intern!(py, "_session"))?;
        }
        if !matches!(route, Route::Unknown) {
            return Ok(route);
        }
        if !self.context.getattr(intern!(py, "url_adapter"))?.is_none() {
            self.context.call_method0(intern!(py, "match_request"))?;
        }
        self.routed_by_python()
    }

    fn routed_by_python(&self) -> PyResult<Route<'py>> {
        let py = self.py();
        let request = RequestContextBase::current_request(&self.context)?;
        let error = request.getattr(intern!(py, "routing_exception"))?;
        if !error.is_none() {
            return Ok(Route::Missed(error));
        }
        let rule = request.getattr(intern!(py, "url_rule"))?;
        if rule.is_none() {
            return Ok(Route::Unknown);
        }
        Ok(Route::Matched(Matched {
            endpoint: rule.getattr(intern!(py, "endpoint"))?.cast_into()?,
            view_args: request.getattr(intern!(py, "view_args"))?.cast_into()?,
            rule,
        }))
    }

    /// What the hooks before the view return; `None` for nothing.
    fn preprocess(&self, matched: Option<&Matched<'py>>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = self.py();
        let plan = self.plan;
        if plan.own_preprocess {
            let value = self.app.call_method0(intern!(py, "preprocess_request"))?;
            return Ok((!value.is_none()).then_some(value));
        }
        if !plan.has_before(py) {
            return Ok(None);
        }
        let endpoint = matched.map(|matched| &matched.endpoint);
        let args = matched.map(|matched| &matched.view_args);
        let scopes = Scopes::of(endpoint)?;
        hooks::before(plan, &self.app, &scopes, endpoint, args)
    }

    /// What the hooks return for a request that matched no rule, or else the exception that says
    /// so, as `dispatch_request` raises it.
    fn raise_missed(&self, error: Bound<'py, PyAny>) -> PyResult<Started<'py>> {
        let py = self.py();
        let plan = self.plan;
        if let Some(value) = self.preprocess(None)? {
            return Ok(Started::Returned(None, value));
        }
        // Where a hook has seen the request, it may have routed it anew; and an error handler may
        // look at the exception's traceback. In both cases `dispatch_request` has to raise it.
        let is_alone = !plan.own_dispatch
            && plan.is_current(py)
            && RequestContextBase::made_request(&self.context).is_none()
            && handling(plan, &Scopes::of(None)?, &error)? == Handling::Returns;
        if is_alone {
            return Err(PyErr::from_value(error));
        }
        let value = self.app.call_method0(intern!(py, "dispatch_request"))?;
        let endpoint = RequestContextBase::endpoint(&self.context)?;
        let endpoint = endpoint.map(Bound::cast_into).transpose()?;
        Ok(Started::Returned(endpoint, value))
    }

    /// What the hooks before the view return, or else the view.
    fn call_view(&self, matched: Matched<'py>, awaits: bool) -> PyResult<Started<'py>> {
        let py = self.py();
        let plan = self.plan;
        let returned = |value| Ok(Started::Returned(Some(matched.endpoint.clone()), value));
        if let Some(value) = self.preprocess(Some(&matched))? {
            return returned(value);
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
        if plan.own_finalize || plan.own_make_response || self.is_seen()? {
            return Ok(None);
        }
        let Some(name) = matched.view_args.get_item(intern!(py, "filename"))? else {
            return Ok(None);
        };
        let name = name.cast_into::<PyString>()?;
        let head = self.raw.get().head();
        // The view answers for names beyond ASCII, which only Python knows how to write, and for
        // files that cannot be sent.
        Ok(match name.to_str() {
            Ok(name) if name.is_ascii() => {
                let response = files.respond(name, &head.method, &head.headers);
                response.ok().map(Reply::from)
            }
            _ => None,
        })
    }

    /// Whether anything is to see the response before it is sent.
    fn is_seen(&self) -> PyResult<bool> {
        Ok(self.has_hooks_after() || self.keeps_session()?)
    }

    /// Whether functions, or a method of the application's own, take the response.
    fn has_hooks_after(&self) -> bool {
        self.plan.own_process_response
            || self.plan.has_after(self.py())
            || RequestContextBase::after_request_functions_of(&self.context).is_some()
    }

    /// Whether there is a session to save.
    fn keeps_session(&self) -> PyResult<bool> {
        Ok(RequestContextBase::opened_session(&self.context).is_some()
            || self.plan.may_refresh_session(self.py(), self.raw.get())?)
    }

    /// Makes a response of what the view returned; natively where nobody else sees it.
    pub(crate) fn finalize(
        &self,
        scopes: &Scopes<'py>,
        value: &Bound<'py, PyAny>,
    ) -> PyResult<Reply> {
        let py = self.py();
        let plan = self.plan;
        // The view may have replaced methods or settings that the steps from here on depend on.
        let is_current = plan.is_current(py);
        if !is_current {
            self.open_session()?;
        }
        if plan.own_finalize || plan.requests_have_receivers(py) || !is_current {
            let response = self
                .app
                .call_method1(intern!(py, "finalize_request"), (value,))?;
            return self.convert(&response);
        }
        let content = if plan.own_make_response {
            None
        } else if let Ok(error) = value.cast::<PyBaseException>() {
            Content::of_error(&plan.responses, error)?
        } else {
            Content::of(&plan.responses, value)
        };
        if let Some(content) = &content
            && !self.has_hooks_after()
            && let Some(fields) = self.session_fields()?
        {
            return Ok(content.to_response(&plan.responses, py, &fields)?.into());
        }
        let made = match content {
            Some(content) => content.to_object(&plan.responses, py)?,
            None => None,
        };
        let is_response =
            !plan.own_make_response && value.get_type().is(plan.responses.class.bind(py));
        let mut response = match made {
            Some(made) => made,
            None if is_response => value.clone(),
            None => self
                .app
                .call_method1(intern!(py, "make_response"), (value,))?,
        };
        if plan.own_process_response {
            response = self
                .app
                .call_method1(intern!(py, "process_response"), (response,))?;
        } else {
            let after_this = RequestContextBase::after_request_functions_of(&self.context);
            response = hooks::after(plan, &self.app, scopes, after_this.as_ref(), response)?;
            self.save_session(&response)?;
        }
        self.convert(&response)
    }

    /// What the session adds to a response that nobody else sees; `None` where its interface has
    /// to save it.
    fn session_fields(&self) -> PyResult<Option<SessionFields>> {
        if !self.keeps_session()? {
            return Ok(Some(SessionFields::default()));
        }
        match &self.plan.sessions {
            Some(sessions) => {
                let session = self.context.getattr(intern!(self.py(), "_session"))?;
                sessions.save(&session)
            }
            None => Ok(None),
        }
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
        if !self.keeps_session()? {
            return Ok(());
        }
        let py = self.py();
        if let Some(fields) = self.session_fields()?
            && add_to_object(&self.plan.responses, response, &fields)?
        {
            return Ok(());
        }
        let interface = self.plan.session_interface.bind(py);
        let session = self.context.getattr(intern!(py, "_session"))?;
        let is_null = interface.call_method1(intern!(py, "is_null_session"), (&session,))?;
        if !is_null.is_truthy()? {
            interface.call_method1(intern!(py, "save_session"), (&self.app, session, response))?;
        }
        Ok(())
    }

    /// A response object as a response, while its context is current.
    pub(super) fn convert(&self, response: &Bound<'py, PyAny>) -> PyResult<Reply> {
        if let Some(response) = from_response(&self.plan.responses, response, || {
            self.raw.get().environ(response.py())
        })? {
            return Ok(response.into());
        }
        let py = self.py();
        let start = Bound::new(py, StartResponse::new())?;
        let environ = self.raw.get().environ(py)?;
        let iterable = response.call1((environ, &start))?;
        from_wsgi(
            &start,
            &iterable,
            self.streams,
            &self.raw.get().head().method,
        )
    }
}
