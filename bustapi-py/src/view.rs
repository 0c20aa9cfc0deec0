//! Takes a request through the steps of an application's plan.
//!
//! The steps and their order are those of `bustapi.lifecycle`, which describes them. Those
//! that are Flask's own and have nothing to do are left out; any other is the lifecycle's
//! method, and an exception goes to the lifecycle from the step that raised it.

use std::sync::{Arc, Mutex, PoisonError};

use bustapi_core::executor::Executor;
use bustapi_core::{RequestBody, internal_error};
use bustapi_http::{Request, Response};
use pyo3::exceptions::{PyBaseException, PyKeyError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};

use crate::call::Calls;
use crate::context::{AppContextBase, Fill, RequestContextBase, allocate};
use crate::context_variable;
use crate::error;
use crate::hooks::{self, Scopes};
use crate::plan::Plan;
use crate::reply::{StartResponse, from_response, from_wsgi};
use crate::request::RawRequest;
use crate::response::Content;

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
    package: Package,
    plan: Mutex<Option<Arc<Plan>>>,
}

/// How far a request got when an exception was raised; `bustapi.plan.recover` goes on there.
enum Failure {
    /// A hook or the view raised it: the application's error handlers are asked.
    Dispatching(PyErr),
    /// Making the response raised it, or pushing the context.
    Finalizing(PyErr),
}

impl View {
    pub(crate) fn new(app: Py<PyAny>, package: Package) -> Self {
        Self {
            app,
            package,
            plan: Mutex::new(None),
        }
    }

    /// The application's answer; what nothing in Python handles is reported and answers 500.
    pub(crate) fn answer(
        &self,
        py: Python<'_>,
        request: Request<RequestBody>,
        streams: &Executor<Calls>,
    ) -> Response {
        let answered = self.current_plan(py).and_then(|plan| {
            let raw = Bound::new(py, RawRequest::new(request))?;
            if plan.wsgi {
                self.call_wsgi(&raw, streams)
            } else {
                let context = allocate(plan.request_context_class.bind(py))?;
                Road {
                    view: self,
                    plan: &plan,
                    app: self.app.bind(py),
                    raw,
                    context: context.cast_into()?,
                    streams,
                }
                .take()
            }
        });
        answered.unwrap_or_else(|error| {
            error::report(py, error);
            internal_error()
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
        )?);
        *lock() = Some(Arc::clone(&plan));
        Ok(plan)
    }

    fn call_wsgi(
        &self,
        raw: &Bound<'_, RawRequest>,
        streams: &Executor<Calls>,
    ) -> PyResult<Response> {
        let py = raw.py();
        let start = Bound::new(py, StartResponse::new())?;
        let environ = raw.get().environ(py)?;
        let iterable = self.app.bind(py).call1((environ, &start))?;
        from_wsgi(&start, &iterable, streams)
    }
}

/// The rule that a request matched.
struct Matched<'py> {
    endpoint: Bound<'py, PyString>,
    rule: Bound<'py, PyAny>,
    view_args: Bound<'py, PyDict>,
}

/// One request on the road.
struct Road<'a, 'py> {
    view: &'a View,
    plan: &'a Plan,
    app: &'a Bound<'py, PyAny>,
    raw: Bound<'py, RawRequest>,
    context: Bound<'py, RequestContextBase>,
    streams: &'a Executor<Calls>,
}

impl<'py> Road<'_, 'py> {
    fn py(&self) -> Python<'py> {
        self.raw.py()
    }

    /// All steps, from pushing the contexts to popping them.
    fn take(&self) -> PyResult<Response> {
        let py = self.py();
        let answered = self.push().map_err(Failure::Finalizing);
        let answered = answered.and_then(|matched| Ok((self.dispatch(matched)?, None)));
        let (answered, error) = match answered.or_else(|failure| self.recover(failure)) {
            Ok((response, error)) => (Ok(response), error),
            // It is to propagate; the teardown functions still run.
            Err(error) => (Err(error.clone_ref(py)), Some(error)),
        };
        self.pop(error)?;
        answered
    }

    /// Makes the contexts current, opens the session unless it can wait, and routes; `None`
    /// where no rule matched, which the lifecycle finds in the request.
    fn push(&self) -> PyResult<Option<Matched<'py>>> {
        let py = self.py();
        let app_context =
            allocate(self.plan.app_context_class.bind(py))?.cast_into::<AppContextBase>()?;
        AppContextBase::fill(&app_context, self.app);
        RequestContextBase::fill(
            &self.context,
            Fill {
                app: self.app,
                raw: self.raw.clone(),
                app_context: app_context.as_any().clone(),
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
        if !self.plan.lazy_session {
            self.context.getattr(intern!(py, "_session"))?;
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

    /// From the hooks before the view to the response.
    fn dispatch(&self, matched: Option<Matched<'py>>) -> Result<Response, Failure> {
        let py = self.py();
        let Some(matched) = matched else {
            return self.dispatch_in_python();
        };
        if self.plan.own_full_dispatch || self.plan.watches_requests(py) {
            return self.dispatch_in_python();
        }
        let scopes = Scopes::of(&matched.endpoint).map_err(Failure::Dispatching)?;
        let value = self
            .call_view(&matched, &scopes)
            .map_err(Failure::Dispatching)?;
        self.finalize(&scopes, &value).map_err(Failure::Finalizing)
    }

    fn dispatch_in_python(&self) -> Result<Response, Failure> {
        self.app
            .call_method0(intern!(self.py(), "full_dispatch_request"))
            .and_then(|response| self.convert(&response))
            .map_err(Failure::Finalizing)
    }

    /// What the hooks before the view return, or else the view.
    fn call_view(
        &self,
        matched: &Matched<'py>,
        scopes: &Scopes<'py>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = self.py();
        if self.plan.own_preprocess {
            let value = self.app.call_method0(intern!(py, "preprocess_request"))?;
            if !value.is_none() {
                return Ok(value);
            }
        } else if self.plan.has_before(py) {
            let Matched {
                endpoint,
                view_args,
                ..
            } = matched;
            if let Some(value) = hooks::before(self.plan, self.app, scopes, endpoint, view_args)? {
                return Ok(value);
            }
        }
        let answers_options = self.raw.get().is_options()
            && matched
                .rule
                .getattr_opt(intern!(py, "provide_automatic_options"))?
                .is_some_and(|provides| provides.is_truthy().unwrap_or(true));
        if self.plan.own_dispatch || answers_options {
            return self.app.call_method0(intern!(py, "dispatch_request"));
        }
        let functions = self.plan.view_functions.bind(py);
        let Some(view) = functions.get_item(&matched.endpoint)? else {
            return Err(PyKeyError::new_err(matched.endpoint.clone().unbind()));
        };
        let args = Some(&matched.view_args).filter(|args| !args.is_empty());
        self.plan.functions.call(
            self.app,
            self.plan.own_ensure_sync,
            &view,
            &PyTuple::empty(py),
            args,
        )
    }

    /// Makes a response of what the view returned; natively where nobody else sees it.
    fn finalize(&self, scopes: &Scopes<'py>, value: &Bound<'py, PyAny>) -> PyResult<Response> {
        let py = self.py();
        let plan = self.plan;
        if plan.own_finalize {
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
        let keeps_session = RequestContextBase::opened_session(&self.context).is_some()
            || plan.may_refresh_session(py, self.raw.get());
        let unseen = !plan.own_process_response
            && !plan.has_after(py)
            && after_this.is_none()
            && !keeps_session;
        if unseen && let Some(content) = content {
            return Ok(content.into_response());
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
            let response = hooks::after(plan, self.app, scopes, after_this, response)?;
            if keeps_session {
                self.save_session(&response)?;
            }
            response
        };
        self.convert(&response)
    }

    fn save_session(&self, response: &Bound<'py, PyAny>) -> PyResult<()> {
        let py = self.py();
        let interface = self.plan.session_interface.bind(py);
        let session = self.context.getattr(intern!(py, "_session"))?;
        let is_null = interface.call_method1(intern!(py, "is_null_session"), (&session,))?;
        if !is_null.is_truthy()? {
            interface.call_method1(intern!(py, "save_session"), (self.app, session, response))?;
        }
        Ok(())
    }

    /// A response object as a response, while its context is current.
    fn convert(&self, response: &Bound<'py, PyAny>) -> PyResult<Response> {
        if let Some(response) = from_response(self.plan, response, self.raw.get())? {
            return Ok(response);
        }
        let py = self.py();
        let start = Bound::new(py, StartResponse::new())?;
        let environ = self.raw.get().environ(py)?;
        let iterable = response.call1((environ, &start))?;
        from_wsgi(&start, &iterable, self.streams)
    }

    /// The response to an exception, and the exception if teardown functions are to see it.
    fn recover(&self, failure: Failure) -> PyResult<(Response, Option<PyErr>)> {
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
                .call1((self.app, error.value(py), dispatching))?;
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
