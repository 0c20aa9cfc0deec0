//! The native half of the app context; [`request`](super::request) says why there are halves.

use pyo3::exceptions::PyAttributeError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};

use crate::ground::object::empty;

pub(super) type Slot = Option<Py<PyAny>>;

pub(super) fn unset(name: &str) -> PyErr {
    PyAttributeError::new_err(name.to_owned())
}

/// What an app context holds.
#[pyclass(subclass, module = "bustapi._native")]
#[derive(Default)]
pub(crate) struct AppContextBase {
    app: Slot,
    g: Slot,
    url_adapter: Slot,
    pub(super) tokens: Option<Py<PyList>>,
    /// Set while the server has pushed this context.
    pub(super) token: Slot,
    /// Whether attributes not assigned are to be made on first use.
    native: bool,
}

impl AppContextBase {
    /// Makes the freshly allocated `context` one for `app`, pushed with `token`.
    pub(crate) fn fill(context: &Bound<'_, Self>, app: &Bound<'_, PyAny>) {
        let mut this = context.borrow_mut();
        this.app = Some(app.clone().unbind());
        this.native = true;
    }

    pub(crate) fn set_token(context: &Bound<'_, Self>, token: Bound<'_, PyAny>) {
        context.borrow_mut().token = Some(token.unbind());
    }

    pub(crate) fn current_app<'py>(context: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let py = context.py();
        context.borrow().app(py).map(|app| app.into_bound(py))
    }

    pub(crate) fn current_globals<'py>(context: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        Self::g(context).map(|g| g.into_bound(context.py()))
    }
}

#[pymethods]
impl AppContextBase {
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
    fn g(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        let py = slf.py();
        let this = slf.borrow();
        if let Some(g) = &this.g {
            return Ok(g.clone_ref(py));
        }
        if !this.native {
            return Err(unset("g"));
        }
        let app = this.app(py)?;
        drop(this);
        let g = app
            .bind(py)
            .getattr(intern!(py, "app_ctx_globals_class"))?
            .call0()?
            .unbind();
        slf.borrow_mut().g = Some(g.clone_ref(py));
        Ok(g)
    }

    #[setter]
    fn set_g(&mut self, g: Py<PyAny>) {
        self.g = Some(g);
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
        let app = this.app(py)?;
        drop(this);
        let adapter = app
            .bind(py)
            .call_method1(intern!(py, "create_url_adapter"), (py.None(),))?
            .unbind();
        slf.borrow_mut().url_adapter = Some(adapter.clone_ref(py));
        Ok(adapter)
    }

    #[setter]
    fn set_url_adapter(&mut self, adapter: Py<PyAny>) {
        self.url_adapter = Some(adapter);
    }

    /// The tokens of the pushes not popped yet; the server's own push is the first.
    #[getter(_cv_tokens)]
    fn tokens(&mut self, py: Python<'_>) -> PyResult<Py<PyList>> {
        if let Some(tokens) = &self.tokens {
            return Ok(tokens.clone_ref(py));
        }
        let tokens = PyList::new(py, self.token.take())?.unbind();
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

    #[deleter(g)]
    fn delete_g(&mut self) -> PyResult<()> {
        empty(&mut self.g, "g")
    }

    #[deleter(url_adapter)]
    fn delete_url_adapter(&mut self) -> PyResult<()> {
        empty(&mut self.url_adapter, "url_adapter")
    }

    #[deleter(_cv_tokens)]
    fn delete_tokens(&mut self) -> PyResult<()> {
        empty(&mut self.tokens, "_cv_tokens")
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.app)?;
        visit.call(&self.g)?;
        visit.call(&self.url_adapter)?;
        visit.call(&self.tokens)?;
        visit.call(&self.token)
    }

    fn __clear__(&mut self) {
        *self = Self::default();
    }
}
