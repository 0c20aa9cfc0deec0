//! The answers of Werkzeug's own HTTP exceptions, which are the same each time.
//!
//! `bustapi.error_pages` makes each once, of an exception that was given nothing. It is made anew
//! when the class has changed, or the name of its status.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_LENGTH, HeaderValue};
use http::{HeaderMap, StatusCode};
use pyo3::exceptions::PyBaseException;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString, PyType};

use crate::ground::overrides::ClassVersion;
use crate::response::wsgi::{has_no_body, header_map};

/// How many classes are remembered; Werkzeug has some thirty.
const REMEMBERED: usize = 64;

/// The answers that are known.
pub(super) struct Pages {
    /// `bustapi.error_pages.page_of`.
    make: Py<PyAny>,
    /// Werkzeug's names of status codes.
    status_names: Py<PyDict>,
    /// Classes of exceptions, and the answer of those for which it is always the same.
    known: Mutex<Vec<(ClassVersion, Option<Arc<Page>>)>>,
}

/// The answer that an exception is.
pub(super) struct ErrorAnswer {
    pub(super) status: StatusCode,
    pub(super) fields: HeaderMap,
    pub(super) body: Bytes,
}

/// What exceptions of a class answer that were given nothing.
struct Page {
    /// The attributes that such an exception has.
    attributes: Py<PyDict>,
    /// The name of the status, which is in the text.
    name: Option<Py<PyAny>>,
    status: StatusCode,
    body: Bytes,
    /// The header fields, without the length.
    fields: HeaderMap,
}

impl Pages {
    pub(super) fn new(make: Py<PyAny>, status_names: Py<PyDict>) -> Self {
        Self {
            make,
            status_names,
            known: Mutex::default(),
        }
    }

    /// What an exception is as an answer; `None` where its own methods have to say.
    ///
    /// # Errors
    ///
    /// What making or reading it raises.
    pub(super) fn answer(
        &self,
        error: &Bound<'_, PyBaseException>,
    ) -> PyResult<Option<ErrorAnswer>> {
        let py = error.py();
        let Some(page) = self.page(&error.get_type())? else {
            return Ok(None);
        };
        let state = error.getattr(intern!(py, "__dict__"))?;
        let state = state.cast::<PyDict>()?;
        let blank = page.attributes.bind(py);
        if state.len() != blank.len() {
            return Ok(None);
        }
        let mut fields = page.fields.clone();
        for (name, value) in state {
            match blank.get_item(&name)? {
                Some(default) if default.is(&value) => {}
                Some(_) if name.eq(intern!(py, "valid_methods"))? => match methods(&value)? {
                    Some(allow) => {
                        fields.insert(ALLOW, allow);
                    }
                    None => return Ok(None),
                },
                _ => return Ok(None),
            }
        }
        fields.insert(CONTENT_LENGTH, HeaderValue::from(page.body.len()));
        Ok(Some(ErrorAnswer {
            status: page.status,
            fields,
            body: page.body.clone(),
        }))
    }

    fn page(&self, class: &Bound<'_, PyType>) -> PyResult<Option<Arc<Page>>> {
        let py = class.py();
        let lock = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let known = lock()
            .iter()
            .find(|(version, _)| version.is_of(class))
            .filter(|(version, _)| version.is_current(py))
            .map(|(_, page)| page.clone());
        if let Some(page) = known
            && page
                .as_ref()
                .map_or(Ok(true), |page| self.has_name(py, page))?
        {
            return Ok(page);
        }
        let version = ClassVersion::of(class)?;
        let page = Page::of(self.make.bind(py), class)?.map(Arc::new);
        // What was forgotten is dropped after the lock: dropping a class may run code.
        let mut known = lock();
        let mut forgotten = Vec::new();
        if let Some(at) = known.iter().position(|(version, _)| version.is_of(class)) {
            forgotten.push(known.swap_remove(at));
        }
        if known.len() >= REMEMBERED {
            forgotten.push(known.remove(0));
        }
        known.push((version, page.clone()));
        drop(known);
        Ok(page)
    }

    /// Whether the status still has the name that the page was made with.
    fn has_name(&self, py: Python<'_>, page: &Page) -> PyResult<bool> {
        let name = self.status_names.bind(py).get_item(page.status.as_u16())?;
        Ok(match (name, &page.name) {
            (Some(name), Some(known)) => name.is(known),
            (name, known) => name.is_none() && known.is_none(),
        })
    }
}

impl Page {
    fn of(page_of: &Bound<'_, PyAny>, class: &Bound<'_, PyType>) -> PyResult<Option<Self>> {
        type Made<'py> = (
            Bound<'py, PyDict>,
            Option<Py<PyAny>>,
            u16,
            Bound<'py, PyAny>,
            Bound<'py, PyList>,
        );
        let made: Option<Made<'_>> = page_of.call1((class,))?.extract()?;
        let Some((attributes, name, code, body, fields)) = made else {
            return Ok(None);
        };
        let Some(status) = StatusCode::from_u16(code).ok().filter(|s| !has_no_body(*s)) else {
            return Ok(None);
        };
        let mut fields = header_map(&fields)?;
        fields.remove(CONTENT_LENGTH);
        Ok(Some(Self {
            attributes: attributes.unbind(),
            name,
            status,
            body: Bytes::from(body.extract::<Vec<u8>>()?),
            fields,
        }))
    }
}

/// The methods that a path allows, as `Allow` has them; `None` for what is no list of any.
fn methods(value: &Bound<'_, PyAny>) -> PyResult<Option<HeaderValue>> {
    let Ok(list) = value.cast_exact::<PyList>() else {
        return Ok(None);
    };
    let mut allow = String::new();
    for method in list {
        let Ok(method) = method.cast_into_exact::<PyString>() else {
            return Ok(None);
        };
        if !allow.is_empty() {
            allow.push_str(", ");
        }
        allow.push_str(method.to_str()?);
    }
    let is_plain = !allow.is_empty() && allow.is_ascii();
    Ok(HeaderValue::try_from(allow).ok().filter(|_| is_plain))
}
