//! Which responses of an application are made and read without its classes.

use bustapi_http::ReasonPhrase;
use http::StatusCode;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyType};

use crate::response::page::Pages;

/// What `bustapi.plan` tells of an application's responses.
pub(crate) struct PlainResponses {
    /// `str` and `bytes` become the default response class's responses.
    pub(crate) text: bool,
    json: bool,
    /// Responses of the default class are read without calling them.
    pub(crate) lean: bool,
    pub(crate) class: Py<PyType>,
    /// The attributes of the JSON provider: one that is set may change what it writes.
    json_attributes: Py<PyDict>,
    /// Werkzeug's names of status codes.
    status_names: Py<PyDict>,
    config: Py<PyDict>,
    /// The answers of HTTP exceptions.
    pub(super) pages: Pages,
}

impl PlainResponses {
    /// Reads the description that `bustapi.plan` makes.
    ///
    /// # Errors
    ///
    /// A missing attribute of it.
    pub(crate) fn of(said: &Bound<'_, PyAny>) -> PyResult<Self> {
        let flag = |name: &str| said.getattr(name)?.extract::<bool>();
        let dict = |name: &str| -> PyResult<Py<PyDict>> {
            Ok(said.getattr(name)?.cast_into::<PyDict>()?.unbind())
        };
        Ok(Self {
            text: flag("plain_text")?,
            json: flag("plain_json")?,
            lean: flag("lean_response")?,
            class: said
                .getattr("response_class")?
                .cast_into::<PyType>()?
                .unbind(),
            json_attributes: dict("json_attributes")?,
            status_names: dict("status_names")?,
            config: dict("config")?,
            pages: Pages::new(said.getattr("page_of")?.unbind(), dict("status_names")?),
        })
    }

    /// Whether `response` can be read without calling it.
    pub(crate) fn is_lean(&self, response: &Bound<'_, PyAny>) -> bool {
        self.lean && response.get_type().is(self.class.bind(response.py()))
    }

    /// Whether the native writer writes what the JSON provider would.
    pub(crate) fn writes_json(&self, py: Python<'_>) -> bool {
        // Flask's own sets one attribute, the application.
        self.json && self.json_attributes.bind(py).len() <= 1 && !self.is_debug(py)
    }

    /// What a response object made with this status says after the code, if not the usual.
    ///
    /// # Errors
    ///
    /// What looking it up raises.
    pub(crate) fn reason_phrase(
        &self,
        py: Python<'_>,
        status: StatusCode,
    ) -> PyResult<Option<ReasonPhrase>> {
        let name = self.status_names.bind(py).get_item(status.as_u16())?;
        let name = match &name {
            Some(name) => name.cast::<PyString>()?.to_str()?.to_uppercase(),
            None => "UNKNOWN".to_owned(),
        };
        Ok(ReasonPhrase::new(&name).filter(|_| status.canonical_reason() != Some(&name)))
    }

    /// Whether JSON is to be indented for reading, as in debug mode.
    fn is_debug(&self, py: Python<'_>) -> bool {
        !matches!(
            self.config.bind(py).get_item(intern!(py, "DEBUG")),
            Ok(Some(debug)) if debug.is_truthy().is_ok_and(|debug| !debug)
        )
    }
}
