//! Request bodies as file-like objects.

use std::sync::{Mutex, PoisonError};

use bustapi_core::{ReadError, RequestBody};
use bytes::{Buf, Bytes, BytesMut};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};

use crate::error;

/// A request's body, read as `wsgi.input` (PEP 3333). Reading waits for the client with the
/// interpreter released; the end is where the body ends.
#[pyclass(frozen, module = "bustapi._native")]
pub(crate) struct RawBody {
    source: Mutex<Source>,
}

struct Source {
    body: RequestBody,
    /// Bytes received but not yet asked for.
    buffer: BytesMut,
    ended: bool,
}

/// How far a reading goes.
#[derive(Clone, Copy)]
enum Until {
    End,
    Count(usize),
    /// The next newline, but no further than this many bytes.
    Line(usize),
}

impl Source {
    /// Takes the bytes up to `until`, receiving more as needed.
    fn take(&mut self, until: Until) -> Result<BytesMut, ReadError> {
        let mut searched = 0;
        loop {
            let available = self.buffer.len();
            let enough = match until {
                Until::End => None,
                Until::Count(count) => (available >= count).then_some(count),
                Until::Line(most) => {
                    let newline = self.buffer[searched..]
                        .iter()
                        .position(|byte| *byte == b'\n')
                        .map(|at| searched + at + 1);
                    searched = available;
                    match newline {
                        Some(end) => Some(end.min(most)),
                        None => (available >= most).then_some(most),
                    }
                }
            };
            if let Some(count) = enough {
                return Ok(self.buffer.split_to(count));
            }
            if self.ended {
                return Ok(self.buffer.split());
            }
            match self.body.chunk_blocking()? {
                // The usual whole body: no copy where nothing was left over.
                Some(chunk) if self.buffer.is_empty() => self.buffer = BytesMut::from(chunk),
                Some(chunk) => self.buffer.extend_from_slice(chunk.chunk()),
                None => self.ended = true,
            }
        }
    }
}

impl Source {
    /// What has been received and not asked for, or else the next piece as it arrives.
    fn next_chunk(&mut self) -> Result<Option<Bytes>, ReadError> {
        if !self.buffer.is_empty() {
            return Ok(Some(self.buffer.split().freeze()));
        }
        if self.ended {
            return Ok(None);
        }
        let chunk = self.body.chunk_blocking()?;
        self.ended = chunk.is_none();
        Ok(chunk)
    }

    fn read_all(&mut self) -> Result<Bytes, ReadError> {
        let Some(first) = self.next_chunk()? else {
            return Ok(Bytes::new());
        };
        let Some(second) = self.next_chunk()? else {
            return Ok(first);
        };
        let mut all = BytesMut::from(first);
        all.extend_from_slice(&second);
        while let Some(more) = self.next_chunk()? {
            all.extend_from_slice(&more);
        }
        Ok(all.freeze())
    }
}

impl RawBody {
    pub(crate) fn new(body: RequestBody) -> Self {
        Self {
            source: Mutex::new(Source {
                body,
                buffer: BytesMut::new(),
                ended: false,
            }),
        }
    }

    /// Runs `reading` with the interpreter released.
    ///
    /// # Errors
    ///
    /// As [`error::from_read`].
    fn with_source<T: Send>(
        &self,
        py: Python<'_>,
        reading: impl FnOnce(&mut Source) -> Result<T, ReadError> + Send,
    ) -> PyResult<T> {
        py.detach(|| reading(&mut self.source.lock().unwrap_or_else(PoisonError::into_inner)))
            .map_err(|error| error::from_read(py, &error))
    }

    fn take(&self, py: Python<'_>, until: Until) -> PyResult<BytesMut> {
        self.with_source(py, |source| source.take(until))
    }

    /// All that is left.
    pub(crate) fn read_all(&self, py: Python<'_>) -> PyResult<Bytes> {
        self.with_source(py, Source::read_all)
    }

    /// The next piece, of the size in which it arrived; `None` at the end.
    pub(crate) fn next_chunk(&self, py: Python<'_>) -> PyResult<Option<Bytes>> {
        self.with_source(py, Source::next_chunk)
    }
}

/// A size as Python's file methods take it: negative or `None` means all.
fn limit(size: Option<isize>) -> Option<usize> {
    size.and_then(|size| usize::try_from(size).ok())
}

#[pymethods]
impl RawBody {
    /// Up to `size` bytes; all that is left if negative or `None`.
    #[pyo3(signature = (size=None, /))]
    fn read<'py>(&self, py: Python<'py>, size: Option<isize>) -> PyResult<Bound<'py, PyBytes>> {
        let until = limit(size).map_or(Until::End, Until::Count);
        Ok(PyBytes::new(py, &self.take(py, until)?))
    }

    /// The next line with its newline, cut after `size` bytes.
    #[pyo3(signature = (size=None, /))]
    fn readline<'py>(&self, py: Python<'py>, size: Option<isize>) -> PyResult<Bound<'py, PyBytes>> {
        let until = Until::Line(limit(size).unwrap_or(usize::MAX));
        Ok(PyBytes::new(py, &self.take(py, until)?))
    }

    /// The lines left; no further line is begun after `hint` bytes.
    #[pyo3(signature = (hint=None, /))]
    fn readlines<'py>(&self, py: Python<'py>, hint: Option<isize>) -> PyResult<Bound<'py, PyList>> {
        let most = limit(hint).filter(|hint| *hint > 0).unwrap_or(usize::MAX);
        let lines = PyList::empty(py);
        let mut total = 0;
        while total < most {
            let line = self.readline(py, None)?;
            let length = line.as_bytes().len();
            if length == 0 {
                break;
            }
            total += length;
            lines.append(line)?;
        }
        Ok(lines)
    }

    fn __iter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let line = self.readline(py, None)?;
        Ok((!line.as_bytes().is_empty()).then_some(line))
    }
}
