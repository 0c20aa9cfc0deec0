//! How a request ends: what becomes of an exception, and popping the contexts.

use pyo3::exceptions::{PyBaseException, PyException};
use pyo3::intern;
use pyo3::prelude::*;

use crate::context::request::RequestContextBase;
use crate::error;
use crate::ground::context_variable;
use crate::lifecycle::error_handlers::{Handling, handling};
use crate::lifecycle::hooks::Scopes;
use crate::lifecycle::outcome::Failure;
use crate::lifecycle::steps::RequestSteps;
use crate::response::reply::Reply;

impl<'py> RequestSteps<'_, 'py> {
    /// Answers a failure, and pops the contexts whatever happened.
    pub(crate) fn settle(&self, answered: Result<Reply, Failure>) -> PyResult<Reply> {
        let py = self.py();
        let answered = answered.map(|response| (response, None));
        let (answered, error) = match answered.or_else(|failure| self.recover(failure)) {
            Ok(answered) => answered,
            // The exception leaves the application. The teardown functions still run, as in a
            // `finally` clause.
            Err(error) => {
                let error = error::exception(py, error);
                error::while_handling(&error, || self.pop(Some(error.clone())))?;
                return Err(PyErr::from_value(error.into_any()));
            }
        };
        let tokens = self.pop(error)?;
        if answered.is_streamed() {
            // The rest of the body is made outside of the request's context, as under WSGI.
            if let Some((token, app_token)) = tokens {
                let names = &self.names;
                context_variable::reset(names.cv_request.bind(py), token.bind(py))?;
                context_variable::reset(names.cv_app.bind(py), app_token.bind(py))?;
            }
            answered.enter(py)?;
        }
        Ok(answered)
    }

    /// The response to an exception, and the exception if teardown functions are to see it.
    fn recover(&self, failure: Failure) -> PyResult<(Reply, Option<Bound<'py, PyBaseException>>)> {
        let py = self.py();
        let error = match failure {
            Failure::Dispatching(error) => match self.handle(error) {
                Ok(response) => return Ok((response, None)),
                Err(error) => error,
            },
            Failure::Finalizing(error) => error,
        };
        if !error.is_instance_of::<PyException>(py) {
            return Err(error);
        }
        let error = error::exception(py, error);
        let response = error::while_handling(&error, || {
            let name = intern!(py, "handle_exception");
            self.app.call_method1(name, (&error,))
        })?;
        Ok((self.convert(&response)?, Some(error)))
    }

    /// The response that error handlers make of an exception, or that it is itself; the exception
    /// again if nothing takes it.
    fn handle(&self, error: PyErr) -> PyResult<Reply> {
        let py = self.py();
        if !error.is_instance_of::<PyException>(py) {
            return Err(error);
        }
        let error = error::exception(py, error);
        let endpoint = RequestContextBase::endpoint(&self.context)?;
        let endpoint = endpoint.map(Bound::cast_into).transpose()?;
        let scopes = Scopes::of(endpoint.as_ref())?;
        let handling = if self.plan.is_current(py) {
            handling(self.plan, &scopes, &error)?
        } else {
            Handling::Calls
        };
        let value = match handling {
            Handling::Returns => error.into_any(),
            Handling::Raises => return Err(PyErr::from_value(error.into_any())),
            Handling::Calls => error::while_handling(&error, || {
                let name = intern!(py, "handle_user_exception");
                self.app.call_method1(name, (&error,))
            })?,
        };
        self.finalize(&scopes, &value)
    }

    /// Ends the request's contexts, after the teardown functions. The variables still hold them
    /// where there is something to set them back with.
    fn pop(
        &self,
        error: Option<Bound<'py, PyBaseException>>,
    ) -> PyResult<Option<(Py<PyAny>, Py<PyAny>)>> {
        let py = self.py();
        let tokens = if error.is_some() || self.plan.has_teardown(py) {
            None
        } else {
            RequestContextBase::take_tokens(&self.context)
        };
        if tokens.is_none() {
            let error = match error {
                Some(error) if self.ignores(&error)? => None,
                error => error,
            };
            self.context.call_method1(intern!(py, "pop"), (error,))?;
        } else if let Some(request) = RequestContextBase::made_request(&self.context) {
            // Closing the request closes uploaded files.
            request.call_method0(intern!(py, "close"))?;
            self.raw.get().forget_request(py)?;
        }
        Ok(tokens)
    }

    fn ignores(&self, error: &Bound<'py, PyBaseException>) -> PyResult<bool> {
        self.app
            .call_method1(intern!(self.py(), "should_ignore_error"), (error,))?
            .is_truthy()
    }
}
