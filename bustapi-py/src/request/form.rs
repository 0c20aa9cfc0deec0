//! Forms in request bodies, as Werkzeug's types.
//!
//! The syntax and the limits are `bustapi-http`'s. What an application has replaced, and bodies
//! that only a stream can limit, are left to Werkzeug's parser.

use bustapi_http::HttpError;
use bustapi_http::form::{FormDecoder, FormEvent, FormKind, FormLimits};
use bustapi_http::headers::parse_plain_int;
use bustapi_http::multipart::PartHeaders;
use bustapi_http::query::parse_query_bytes;
use bytes::Bytes;
use pyo3::exceptions::{PyAttributeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyList, PyString, PyType};

use crate::error;
use crate::request::class::{Steps, attributes, steps_of, werkzeug_method};
use crate::request::multi_dict;
use crate::request::object::{Limit, RequestBase, cached_data};
use crate::request::raw::RawRequest;

/// A form that was parsed.
struct Parsed<'py> {
    form: Bound<'py, PyAny>,
    /// `None` where this kind of form has no files.
    files: Option<Bound<'py, PyAny>>,
}

/// `request.form` when it is first read.
///
/// # Errors
///
/// `RequestEntityTooLarge` beyond a limit; whatever the application's own steps raise.
pub(crate) fn form<'py>(
    request: &Bound<'py, RequestBase>,
    raw: &Bound<'py, RawRequest>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = request.py();
    let Some(parsed) = parse(request, raw)? else {
        request.call_method0(intern!(py, "_load_form_data"))?;
        return loaded(request, intern!(py, "form"));
    };
    if let Some(files) = parsed.files {
        attributes(request)?.set_item(intern!(py, "files"), files)?;
    }
    Ok(parsed.form)
}

/// `request.files` when it is first read; without files if the form has been read.
///
/// # Errors
///
/// As [`form`].
pub(crate) fn files<'py>(
    request: &Bound<'py, RequestBase>,
    raw: &Bound<'py, RawRequest>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = raw.py();
    if !attributes(request)?.contains(intern!(py, "form"))? {
        request.call_method0(intern!(py, "_load_form_data"))?;
        return loaded(request, intern!(py, "files"));
    }
    let files = no_files(request)?;
    attributes(request)?.set_item(intern!(py, "files"), &files)?;
    request.call_method0(intern!(py, "_explain_missing_files"))?;
    Ok(files)
}

/// `request._load_form_data()`.
///
/// # Errors
///
/// As [`form`].
pub(crate) fn load(request: &Bound<'_, RequestBase>) -> PyResult<()> {
    let py = request.py();
    if attributes(request)?.contains(intern!(py, "form"))? {
        return Ok(());
    }
    let parsed = match request.get().raw(py) {
        Some(raw) => parse(request, raw)?,
        None => None,
    };
    if let Some(parsed) = parsed {
        let files = match parsed.files {
            Some(files) => files,
            None => no_files(request)?,
        };
        let attributes = attributes(request)?;
        attributes.set_item(intern!(py, "form"), parsed.form)?;
        attributes.set_item(intern!(py, "files"), files)?;
    } else {
        check_boundary(request)?;
        request.get().note_files();
        werkzeug_method(py, intern!(py, "_load_form_data"))?.call1((request,))?;
    }
    request.call_method0(intern!(py, "_explain_missing_files"))?;
    Ok(())
}

/// What loading has put into the instance.
fn loaded<'py>(
    request: &Bound<'py, RequestBase>,
    name: &Bound<'py, PyString>,
) -> PyResult<Bound<'py, PyAny>> {
    attributes(request)?.get_item(name)?.ok_or_else(|| {
        PyAttributeError::new_err(format!("`_load_form_data` did not assign `{name}`"))
    })
}

fn no_files<'py>(request: &Bound<'py, RequestBase>) -> PyResult<Bound<'py, PyAny>> {
    let name = intern!(request.py(), "parameter_storage_class");
    multi_dict::empty(&request.getattr(name)?)
}

/// Which kind of form the headers announce.
fn kind_of(request: &Bound<'_, RequestBase>) -> PyResult<Option<FormKind>> {
    let py = request.py();
    let content_type = request
        .getattr(intern!(py, "headers"))?
        .call_method1(intern!(py, "get"), (intern!(py, "Content-Type"),))?;
    Ok(match content_type.cast::<PyString>() {
        Ok(text) => FormKind::of(text.to_str()?),
        Err(_) => None,
    })
}

/// Refuses before Werkzeug's parser what is refused before the native one.
///
/// # Errors
///
/// `BadRequest` where a multipart form's boundary is too long, unless the application reads forms
/// in its own way.
fn check_boundary(request: &Bound<'_, RequestBase>) -> PyResult<()> {
    let steps = steps_of(&request.get_type())?;
    if !steps.has(Steps::FORM) || !steps.has(Steps::MEDIA_TYPE) {
        return Ok(());
    }
    let refused = kind_of(request)?
        .and_then(|kind| FormDecoder::new(&kind, FormLimits::default()).err())
        .and_then(|fault| error::from_form(request.py(), &fault));
    refused.map_or(Ok(()), Err)
}

/// Parses the body; `None` where Werkzeug has to do it.
fn parse<'py>(
    request: &Bound<'py, RequestBase>,
    raw: &Bound<'py, RawRequest>,
) -> PyResult<Option<Parsed<'py>>> {
    let py = raw.py();
    let steps = steps_of(&request.get_type())?;
    if !steps.has(Steps::FORM) || !steps.has(Steps::MEDIA_TYPE) {
        return Ok(None);
    }
    let mut body = match cached_data(request)? {
        Some(data) => match data.cast_exact::<PyBytes>() {
            Ok(data) => Source::Read(Some(Bytes::copy_from_slice(data.as_bytes()))),
            Err(_) => return Ok(None),
        },
        None if RequestBase::reads_directly(request, steps)? => Source::Arriving(raw),
        None => return Ok(None),
    };
    let class = request.getattr(intern!(py, "parameter_storage_class"))?;
    let Some(kind) = kind_of(request)? else {
        let form = multi_dict::empty(&class)?;
        return Ok(Some(Parsed { form, files: None }));
    };
    let is_multipart = matches!(kind, FormKind::Multipart { .. });
    let limit = |limit: Limit| limit.of(request, steps)?.extract::<Option<usize>>();
    let parsed = if is_multipart {
        let (Ok(max_memory), Ok(max_parts), Ok(length)) = (
            limit(Limit::FormMemory),
            limit(Limit::FormParts),
            request
                .getattr(intern!(py, "content_length"))?
                .extract::<Option<u64>>(),
        ) else {
            return Ok(None);
        };
        let limits = FormLimits {
            max_memory,
            max_parts,
        };
        FormDecoder::new(&kind, limits)
            .map_err(Fault::Form)
            .and_then(|decoder| Sink::new(request, length).receive_all(decoder, &mut body))
    } else {
        parse_urlencoded(&class, &body.read_all(py)?)
    };
    match parsed {
        Ok(parsed) => Ok(Some(parsed)),
        // A malformed form counts as an empty one, as in Werkzeug.
        Err(fault) => {
            if let Some(error) = fault.raised(py) {
                return Err(error);
            }
            Ok(Some(Parsed {
                form: multi_dict::empty(&class)?,
                files: Some(multi_dict::empty(&class)?).filter(|_| is_multipart),
            }))
        }
    }
}

/// Why a form is no good.
enum Fault {
    Form(HttpError),
    Python(PyErr),
}

impl From<HttpError> for Fault {
    fn from(error: HttpError) -> Self {
        Self::Form(error)
    }
}

impl From<PyErr> for Fault {
    fn from(error: PyErr) -> Self {
        Self::Python(error)
    }
}

impl Fault {
    /// What is raised; `None` for what Werkzeug passes over in silence: malformed forms, and
    /// any `ValueError`.
    fn raised(self, py: Python<'_>) -> Option<PyErr> {
        match self {
            Self::Form(error) => error::from_form(py, &error),
            Self::Python(error) if error.is_instance_of::<PyValueError>(py) => None,
            Self::Python(error) => Some(error),
        }
    }
}

/// Where the bytes of the form come from.
enum Source<'a, 'py> {
    Read(Option<Bytes>),
    Arriving(&'a Bound<'py, RawRequest>),
}

impl Source<'_, '_> {
    fn next_chunk(&mut self, py: Python<'_>) -> PyResult<Option<Bytes>> {
        match self {
            Self::Read(bytes) => Ok(bytes.take()),
            Self::Arriving(raw) => raw.get().next_chunk(py),
        }
    }

    fn read_all(&mut self, py: Python<'_>) -> PyResult<Bytes> {
        match self {
            Self::Read(bytes) => Ok(bytes.take().unwrap_or_default()),
            Self::Arriving(raw) => raw.get().read_body(py),
        }
    }
}

fn parse_urlencoded<'py>(class: &Bound<'py, PyAny>, body: &[u8]) -> Result<Parsed<'py>, Fault> {
    let pairs = parse_query_bytes(body, None)?;
    Ok(Parsed {
        form: multi_dict::make(class, pairs.into_iter())?,
        files: None,
    })
}

/// Takes a multipart form's fields and files as they arrive.
struct Sink<'a, 'py> {
    request: &'a Bound<'py, RequestBase>,
    length: Option<u64>,
    fields: Vec<(Option<String>, String)>,
    files: Vec<(Option<String>, Bound<'py, PyAny>)>,
    current: Option<Upload<'py>>,
}

/// A file that is arriving.
struct Upload<'py> {
    name: Option<String>,
    filename: String,
    headers: PartHeaders,
    stream: Bound<'py, PyAny>,
    write: Bound<'py, PyAny>,
}

impl<'a, 'py> Sink<'a, 'py> {
    fn new(request: &'a Bound<'py, RequestBase>, length: Option<u64>) -> Self {
        Self {
            request,
            length,
            fields: Vec::new(),
            files: Vec::new(),
            current: None,
        }
    }

    fn receive_all(
        mut self,
        mut decoder: FormDecoder,
        body: &mut Source<'_, 'py>,
    ) -> Result<Parsed<'py>, Fault> {
        let py = self.request.py();
        let mut events = Vec::new();
        while let Some(chunk) = body.next_chunk(py)? {
            // Events that came before a failure are taken as well: Werkzeug has opened files for
            // them by then.
            let received = decoder.receive(&chunk, &mut events);
            drop(chunk);
            for event in events.drain(..) {
                self.take(event)?;
            }
            received?;
        }
        decoder.finish(&mut events)?;
        for event in events {
            self.take(event)?;
        }
        let class = self
            .request
            .getattr(intern!(py, "parameter_storage_class"))?;
        Ok(Parsed {
            form: multi_dict::make(&class, self.fields.into_iter())?,
            files: Some(multi_dict::make(&class, self.files.into_iter())?),
        })
    }

    fn take(&mut self, event: FormEvent) -> PyResult<()> {
        let py = self.request.py();
        match event {
            FormEvent::Field { name, value } => self.fields.push((name, value)),
            FormEvent::FileStart {
                name,
                filename,
                headers,
            } => {
                let stream = self.open(&filename, &headers)?;
                self.current = Some(Upload {
                    name,
                    filename,
                    headers,
                    write: stream.getattr(intern!(py, "write"))?,
                    stream,
                });
            }
            FormEvent::FileData(bytes) => {
                if let Some(upload) = &self.current {
                    upload.write.call1((PyBytes::new(py, &bytes),))?;
                }
            }
            FormEvent::FileEnd => {
                if let Some(upload) = self.current.take() {
                    self.request.get().note_files();
                    let name = upload.name.clone();
                    self.files.push((name, upload.finish()?));
                }
            }
        }
        Ok(())
    }

    /// What the application wants a file written to.
    fn open(&self, filename: &str, headers: &PartHeaders) -> PyResult<Bound<'py, PyAny>> {
        let py = self.request.py();
        let keywords = PyDict::new(py);
        keywords.set_item(intern!(py, "total_content_length"), self.length)?;
        keywords.set_item(intern!(py, "filename"), filename)?;
        keywords.set_item(intern!(py, "content_type"), headers.get("content-type"))?;
        // Werkzeug hands on any integer that the part has, even a negative one.
        let length = headers.get("content-length").and_then(parse_plain_int);
        keywords.set_item(intern!(py, "content_length"), length.unwrap_or(0))?;
        self.request
            .call_method(intern!(py, "_get_file_stream"), (), Some(&keywords))
    }
}

impl<'py> Upload<'py> {
    /// The file as views get it.
    fn finish(self) -> PyResult<Bound<'py, PyAny>> {
        static FILE: PyOnceLock<Py<PyType>> = PyOnceLock::new();
        static HEADERS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
        let py = self.stream.py();
        let file = FILE.import(py, "werkzeug.datastructures", "FileStorage")?;
        let headers = HEADERS.import(py, "werkzeug.datastructures", "Headers")?;
        self.stream.call_method1(intern!(py, "seek"), (0,))?;
        let fields = PyList::empty(py);
        for field in self.headers.iter() {
            fields.append(field)?;
        }
        let keywords = PyDict::new(py);
        keywords.set_item(intern!(py, "headers"), headers.call1((fields,))?)?;
        file.call((self.stream, self.filename, self.name), Some(&keywords))
    }
}
