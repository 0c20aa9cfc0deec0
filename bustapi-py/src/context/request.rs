//! The native half of the request context.
//!
//! # Theory of operation
//!
//! `bustapi.ctx` has the classes with their behaviour; these are their bases and hold the
//! state, so that the server can push and pop a context without calling Python. A context
//! made from Python has its attributes assigned by `__init__`. One made here, for a request
//! of the native server, starts out empty: each attribute is made when it is first read,
//! as most views read few of them.

use std::sync::Arc;

use pyo3::exceptions::PyAssertionError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};

use crate::context::app::{AppContextBase, Slot, unset};
use crate::ground::object::empty;
use crate::request::base::make_request;
use crate::request::class::{Steps, steps_of};
use crate::request::raw::RawRequest;
use crate::session::cookie::CookieSessions;

/// What a request context holds.
#[pyclass(subclass, module = "bustapi._native")]
#[derive(Default)]
pub(crate) struct RequestContextBase {
    app: Slot,
    raw: Option<Py<RawRequest>>,
    request: Slot,
    url_adapter: Slot,
    flashes: Slot,
    session: Slot,
    after_request_functions: Option<Py<PyList>>,
    tokens: Option<Py<PyList>>,
    /// Set while the server has pushed this context.
    token: Slot,
    /// The app context that the server pushed along with this one.
    app_context: Slot,
    url_rule: Slot,
    view_args: Slot,
    routing_exception: Slot,
    /// How the session is opened, where the application leaves it to the default interface.
    sessions: Option<Arc<CookieSessions>>,
    native: bool,
}

/// What the server knows of a request when it pushes its context.
pub(crate) struct Fill<'a, 'py> {
    pub(crate) app: &'a Bound<'py, PyAny>,
    pub(crate) raw: Bound<'py, RawRequest>,
    pub(crate) app_context: Bound<'py, PyAny>,
    /// The rule and the view's arguments, where the server has matched them.
    pub(crate) matched: Option<(Bound<'py, PyAny>, Bound<'py, PyDict>)>,
    /// What is raised where it has found that no rule matches.
    pub(crate) routing_exception: Option<Bound<'py, PyAny>>,
    pub(crate) sessions: Option<&'a Arc<CookieSessions>>,
}

impl RequestContextBase {
    /// Makes the freshly allocated `context` one for a request of the server.
    pub(crate) fn fill(context: &Bound<'_, Self>, known: Fill<'_, '_>) {
        let mut this = context.borrow_mut();
        this.app = Some(known.app.clone().unbind());
        this.raw = Some(known.raw.unbind());
        this.app_context = Some(known.app_context.unbind());
        if let Some((rule, view_args)) = known.matched {
            this.url_rule = Some(rule.unbind());
            this.view_args = Some(view_args.into_any().unbind());
        }
        this.routing_exception = known.routing_exception.map(Bound::unbind);
        this.sessions = known.sessions.cloned();
        this.native = true;
    }

    pub(crate) fn set_token(context: &Bound<'_, Self>, token: Bound<'_, PyAny>) {
        context.borrow_mut().token = Some(token.unbind());
    }

    /// Takes back the server's tokens, of this context and of the app context pushed along;
    /// `None` where Python has taken pushing and popping over.
    pub(crate) fn take_tokens(context: &Bound<'_, Self>) -> Option<(Py<PyAny>, Py<PyAny>)> {
        let py = context.py();
        let mut this = context.borrow_mut();
        let app_context = this.app_context.as_ref()?.bind(py);
        let app_context = app_context.cast::<AppContextBase>().ok()?;
        if this.tokens.is_some() || app_context.borrow().tokens.is_some() {
            return None;
        }
        let app_token = app_context.borrow_mut().token.take()?;
        Some((this.token.take()?, app_token))
    }

    /// The session if it has been opened.
    pub(crate) fn opened_session<'py>(context: &Bound<'py, Self>) -> Option<Bound<'py, PyAny>> {
        let this = context.borrow();
        this.session
            .as_ref()
            .map(|session| session.bind(context.py()).clone())
    }

    /// The request if it has been made.
    pub(crate) fn made_request<'py>(context: &Bound<'py, Self>) -> Option<Bound<'py, PyAny>> {
        let this = context.borrow();
        this.request
            .as_ref()
            .map(|request| request.bind(context.py()).clone())
    }

    /// The functions that wait for this request's response, if there are any.
    pub(crate) fn after_request_functions_of<'py>(
        context: &Bound<'py, Self>,
    ) -> Option<Bound<'py, PyList>> {
        let this = context.borrow();
        let functions = this.after_request_functions.as_ref()?.bind(context.py());
        (!functions.is_empty()).then(|| functions.clone())
    }

    /// The endpoint that the request matched, as it sees it itself.
    pub(crate) fn endpoint<'py>(context: &Bound<'py, Self>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = context.py();
        let rule = match Self::made_request(context) {
            Some(request) => Some(request.getattr(intern!(py, "url_rule"))?),
            None => context
                .borrow()
                .url_rule
                .as_ref()
                .map(|rule| rule.bind(py).clone()),
        };
        match rule.filter(|rule| !rule.is_none()) {
            Some(rule) => rule.getattr(intern!(py, "endpoint")).map(Some),
            None => Ok(None),
        }
    }

    pub(crate) fn current_adapter<'py>(context: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        Self::url_adapter(context).map(|adapter| adapter.into_bound(context.py()))
    }

    pub(crate) fn current_request<'py>(context: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        Self::request(context).map(|request| request.into_bound(context.py()))
    }

    /// The session as views see it, who thereby have looked at it.
    pub(crate) fn accessed_session<'py>(context: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let py = context.py();
        let session = Self::session(context)?.into_bound(py);
        if session.is_none() {
            let message = "The session has not yet been opened.";
            return Err(PyAssertionError::new_err(message));
        }
        session.setattr(intern!(py, "accessed"), true)?;
        Ok(session)
    }

    /// Opens the session without its interface, where that comes to the same.
    fn open_session<'py>(slf: &Bound<'py, Self>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = slf.py();
        let this = slf.borrow();
        let (Some(sessions), Some(raw)) = (&this.sessions, &this.raw) else {
            return Ok(None);
        };
        let (sessions, raw) = (Arc::clone(sessions), raw.bind(py).clone());
        let app = this.app(py)?;
        drop(this);
        let class = app.bind(py).getattr(intern!(py, "request_class"))?;
        // Where an environ has been made, the application may have changed the cookies in it.
        if raw.get().made_environ(py).is_some() || !steps_of(class.cast()?)?.has(Steps::COOKIES) {
            return Ok(None);
        }
        sessions.open(py, raw.get())
    }

    fn make_request(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        let py = slf.py();
        let this = slf.borrow();
        let Some(raw) = &this.raw else {
            return Err(unset("request"));
        };
        let raw = raw.bind(py).clone();
        let rule = this.url_rule.as_ref().map(|rule| rule.clone_ref(py));
        let args = this.view_args.as_ref().map(|args| args.clone_ref(py));
        let error = this.routing_exception.as_ref().map(|e| e.clone_ref(py));
        drop(this);
        let app = slf.borrow().app(py)?;
        let app = app.bind(py);
        let request = make_request(&app.getattr(intern!(py, "request_class"))?, &raw)?;
        request.setattr(
            intern!(py, "json_module"),
            app.getattr(intern!(py, "json"))?,
        )?;
        if let Some(rule) = rule {
            request.setattr(intern!(py, "url_rule"), rule)?;
        }
        if let Some(args) = args {
            request.setattr(intern!(py, "view_args"), args)?;
        }
        if let Some(error) = error {
            request.setattr(intern!(py, "routing_exception"), error)?;
        }
        let request = request.unbind();
        slf.borrow_mut().request = Some(request.clone_ref(py));
        Ok(request)
    }
}

#[pymethods]
impl RequestContextBase {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        Self::default()
    }

    #[getter]
    fn app(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.app
            .as_ref()
            .map(|app| app.clone_ref(py))
            .ok_or_else(|| unset("app"))
    }

    #[setter]
    fn set_app(&mut self, app: Py<PyAny>) {
        self.app = Some(app);
    }

    #[getter]
    fn request(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        let made = slf.borrow().request.as_ref().map(|r| r.clone_ref(slf.py()));
        made.map_or_else(|| Self::make_request(slf), Ok)
    }

    #[setter]
    fn set_request(&mut self, request: Py<PyAny>) {
        self.request = Some(request);
    }

    #[getter]
    fn url_adapter(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        let py = slf.py();
        let this = slf.borrow();
        if let Some(adapter) = &this.url_adapter {
            return Ok(adapter.clone_ref(py));
        }
        if !this.native {
            return Err(unset("url_adapter"));
        }
        drop(this);
        let adapter = slf.call_method0(intern!(py, "_bind_url_adapter"))?.unbind();
        slf.borrow_mut().url_adapter = Some(adapter.clone_ref(py));
        Ok(adapter)
    }

    #[setter]
    fn set_url_adapter(&mut self, adapter: Py<PyAny>) {
        self.url_adapter = Some(adapter);
    }

    #[getter]
    fn flashes(&self, py: Python<'_>) -> Py<PyAny> {
        self.flashes
            .as_ref()
            .map_or_else(|| py.None(), |flashes| flashes.clone_ref(py))
    }

    #[setter]
    fn set_flashes(&mut self, flashes: Py<PyAny>) {
        self.flashes = Some(flashes);
    }

    #[getter(_session)]
    fn session(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        let py = slf.py();
        let this = slf.borrow();
        if let Some(session) = &this.session {
            return Ok(session.clone_ref(py));
        }
        if !this.native {
            return Ok(py.None());
        }
        drop(this);
        let session = match Self::open_session(slf)? {
            Some(session) => session.unbind(),
            None => slf.call_method0(intern!(py, "_open_session"))?.unbind(),
        };
        slf.borrow_mut().session = Some(session.clone_ref(py));
        Ok(session)
    }

    #[setter(_session)]
    fn set_session(&mut self, session: Option<Py<PyAny>>) {
        self.session = session;
    }

    /// The session, which reading this marks as accessed.
    ///
    /// # Errors
    ///
    /// `AssertionError` where the context has not been pushed yet.
    #[getter(session)]
    fn python_session<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        Self::accessed_session(slf)
    }

    #[getter(_after_request_functions)]
    fn after_request_functions(&mut self, py: Python<'_>) -> Py<PyList> {
        self.after_request_functions
            .get_or_insert_with(|| PyList::empty(py).unbind())
            .clone_ref(py)
    }

    #[setter(_after_request_functions)]
    fn set_after_request_functions(&mut self, functions: Py<PyList>) {
        self.after_request_functions = Some(functions);
    }

    /// Pairs of token and app context brought along, one for each push not popped yet; the
    /// server's own push is the first.
    #[getter(_cv_tokens)]
    fn tokens(&mut self, py: Python<'_>) -> PyResult<Py<PyList>> {
        if let Some(tokens) = &self.tokens {
            return Ok(tokens.clone_ref(py));
        }
        let pushed = self
            .token
            .take()
            .map(|token| (token, self.app_context.take()));
        let tokens = PyList::new(py, pushed)?.unbind();
        self.tokens = Some(tokens.clone_ref(py));
        Ok(tokens)
    }

    #[setter(_cv_tokens)]
    fn set_tokens(&mut self, tokens: Py<PyList>) {
        self.tokens = Some(tokens);
    }

    #[deleter(app)]
    fn delete_app(&mut self) -> PyResult<()> {
        empty(&mut self.app, "app")
    }

    #[deleter(request)]
    fn delete_request(&mut self) -> PyResult<()> {
        empty(&mut self.request, "request")
    }

    #[deleter(url_adapter)]
    fn delete_url_adapter(&mut self) -> PyResult<()> {
        empty(&mut self.url_adapter, "url_adapter")
    }

    #[deleter(flashes)]
    fn delete_flashes(&mut self) -> PyResult<()> {
        empty(&mut self.flashes, "flashes")
    }

    #[deleter(_session)]
    fn delete_session(&mut self) -> PyResult<()> {
        empty(&mut self.session, "_session")
    }

    #[deleter(_after_request_functions)]
    fn delete_after_request_functions(&mut self) -> PyResult<()> {
        empty(
            &mut self.after_request_functions,
            "_after_request_functions",
        )
    }

    #[deleter(_cv_tokens)]
    fn delete_tokens(&mut self) -> PyResult<()> {
        empty(&mut self.tokens, "_cv_tokens")
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.app)?;
        visit.call(&self.raw)?;
        visit.call(&self.request)?;
        visit.call(&self.url_adapter)?;
        visit.call(&self.flashes)?;
        visit.call(&self.session)?;
        visit.call(&self.after_request_functions)?;
        visit.call(&self.tokens)?;
        visit.call(&self.token)?;
        visit.call(&self.app_context)?;
        visit.call(&self.url_rule)?;
        visit.call(&self.view_args)?;
        visit.call(&self.routing_exception)
    }

    fn __clear__(&mut self) {
        *self = Self::default();
    }
}
