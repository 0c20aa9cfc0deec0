//! A request object: what it was made from, its limits, and its body.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use crate::request::class::{Steps, current_config, steps_of};
use crate::request::headers::HeadersBase;
use crate::request::raw::RawRequest;

/// What a request of the native server is made from.
#[pyclass(subclass, frozen, module = "bustapi._native")]
#[derive(Default)]
pub(crate) struct RequestBase {
    pub(super) raw: OnceLock<Py<RawRequest>>,
    /// Whether there may be uploaded files to be closed.
    pub(super) has_files: AtomicBool,
}

impl RequestBase {
    pub(crate) fn set_raw(&self, raw: &Bound<'_, RawRequest>) {
        self.raw.get_or_init(|| raw.clone().unbind());
    }

    pub(crate) fn raw<'a, 'py>(&'a self, py: Python<'py>) -> Option<&'a Bound<'py, RawRequest>> {
        Some(self.raw.get()?.bind(py))
    }

    pub(crate) fn note_files(&self) {
        self.has_files.store(true, Relaxed);
    }

    /// Whether the body may be read without going through the request's `stream`.
    ///
    /// With a limit that the declared length does not keep to, Werkzeug's stream has to count.
    pub(crate) fn reads_directly(slf: &Bound<'_, Self>, steps: Steps) -> PyResult<bool> {
        let py = slf.py();
        let Some(raw) = slf.get().raw(py) else {
            return Ok(false);
        };
        if !steps.has(Steps::STREAM)
            || has_another_environ(slf, raw.get())?
            || !raw.get().owns_input(py)?
            || slf.getattr(intern!(py, "shallow"))?.is_truthy()?
        {
            return Ok(false);
        }
        let limit = Limit::Content.of(slf, steps)?;
        if limit.is_none() {
            return Ok(true);
        }
        let length = slf.getattr(intern!(py, "content_length"))?;
        Ok(!length.is_none() && length.lt(limit)?)
    }

    /// The bytes of the body, as `get_data` has them.
    pub(crate) fn data<'py>(slf: &Bound<'py, Self>, cache: bool) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        if let Some(data) = cached_data(slf)? {
            return Ok(data);
        }
        let steps = steps_of(&slf.get_type())?;
        let data = match slf.get().raw(py) {
            Some(raw) if Self::reads_directly(slf, steps)? => {
                PyBytes::new(py, &raw.get().read_body(py)?).into_any()
            }
            _ => slf
                .getattr(intern!(py, "stream"))?
                .call_method0(intern!(py, "read"))?,
        };
        if cache {
            slf.setattr(intern!(py, "_cached_data"), &data)?;
        }
        Ok(data)
    }
}

/// Whether the application has given the request an environ that the server did not make: its
/// body is read from there.
fn has_another_environ(request: &Bound<'_, RequestBase>, raw: &RawRequest) -> PyResult<bool> {
    let py = request.py();
    let state = request.getattr(intern!(py, "__dict__"))?;
    let assigned = state.cast::<PyDict>()?.get_item(intern!(py, "environ"))?;
    Ok(assigned.is_some_and(|environ| raw.made_environ(py).is_none_or(|made| !environ.is(made))))
}

/// The body if it was read and kept.
pub(crate) fn cached_data<'py>(
    request: &Bound<'py, RequestBase>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let data = request.getattr(intern!(request.py(), "_cached_data"))?;
    Ok((!data.is_none()).then_some(data))
}

/// Limits on what is read, which requests and the config have.
#[derive(Clone, Copy)]
pub(crate) enum Limit {
    Content,
    FormMemory,
    FormParts,
}

impl Limit {
    /// The limit that is in force for `request`: an integer or `None`.
    ///
    /// # Errors
    ///
    /// Whatever the application's property raises, if it has its own.
    pub(crate) fn of<'py>(
        self,
        request: &Bound<'py, RequestBase>,
        steps: Steps,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = request.py();
        let (property, own, key) = match self {
            Self::Content => (
                intern!(py, "max_content_length"),
                intern!(py, "_max_content_length"),
                intern!(py, "MAX_CONTENT_LENGTH"),
            ),
            Self::FormMemory => (
                intern!(py, "max_form_memory_size"),
                intern!(py, "_max_form_memory_size"),
                intern!(py, "MAX_FORM_MEMORY_SIZE"),
            ),
            Self::FormParts => (
                intern!(py, "max_form_parts"),
                intern!(py, "_max_form_parts"),
                intern!(py, "MAX_FORM_PARTS"),
            ),
        };
        if steps.has(Steps::LIMITS)
            && request.getattr(own)?.is_none()
            && let Some(config) = current_config(py)?
        {
            return config.get_item(key);
        }
        request.getattr(property)
    }
}

/// The request's headers while they are only what was received.
///
/// # Errors
///
/// Whatever the application's own headers raise.
pub(crate) fn received<'py>(
    request: &Bound<'py, RequestBase>,
) -> PyResult<Option<Bound<'py, RawRequest>>> {
    let py = request.py();
    let headers = request.getattr(intern!(py, "headers"))?;
    match headers.cast::<HeadersBase>() {
        Ok(headers) => Ok(headers.get().received(py).cloned()),
        Err(_) => Ok(None),
    }
}
