//! Request bodies as the file objects that views and middleware read.
//!
//! To `io` they are raw streams: its wrappers ask for methods, not for a base class, and a class that
//! is made of `io`'s costs more to make and to free than most bodies to read. The package registers
//! the class with Werkzeug's `LimitedStream`, which is what a view has under Flask's own server.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use bustapi_core::{ReadError, RequestBody};
use bytes::{Buf, Bytes, BytesMut};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyMemoryView, PySlice, PyTuple, PyType};

use crate::error;

/// A request's body, read as `wsgi.input` (PEP 3333). Reading waits for the client with the
/// interpreter released; the end is where the body ends.
#[pyclass(frozen, module = "bustapi._native")]
pub(crate) struct RawBody {
    source: Mutex<Source>,
    closed: AtomicBool,
    /// How long the body is, in bytes; `None` where only its end will tell.
    length: Option<u64>,
}

struct Source {
    body: RequestBody,
    /// Bytes received but not yet asked for.
    buffer: BytesMut,
    ended: bool,
    /// How many bytes have been taken.
    position: u64,
}

/// How far a reading goes.
#[derive(Clone, Copy)]
enum Until {
    End,
    Count(usize),
    /// What is there already, or else the next piece, but no more than this many bytes.
    Piece(usize),
    /// The next newline, but no further than this many bytes.
    Line(usize),
}

impl Source {
    /// Takes the bytes up to `until`, receiving more as needed.
    fn take(&mut self, until: Until) -> Result<BytesMut, ReadError> {
        let taken = self.receive(until)?;
        self.position += taken.len() as u64;
        Ok(taken)
    }

    fn receive(&mut self, until: Until) -> Result<BytesMut, ReadError> {
        let mut searched = 0;
        loop {
            let available = self.buffer.len();
            let enough = match until {
                Until::End => None,
                Until::Count(count) => (available >= count).then_some(count),
                Until::Piece(most) => (available > 0 || most == 0).then_some(available.min(most)),
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
        let chunk = if !self.buffer.is_empty() {
            Some(self.buffer.split().freeze())
        } else if self.ended {
            None
        } else {
            self.body.chunk_blocking()?
        };
        match &chunk {
            Some(chunk) => self.position += chunk.len() as u64,
            None => self.ended = true,
        }
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
            length: body.length(),
            closed: AtomicBool::new(false),
            source: Mutex::new(Source {
                body,
                buffer: BytesMut::new(),
                ended: false,
                position: 0,
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

    /// Writes what is read to `buffer`, which may be anything that can be written to.
    fn fill(&self, buffer: &Bound<'_, PyAny>, until: fn(usize) -> Until) -> PyResult<usize> {
        let py = buffer.py();
        let view = PyMemoryView::from(buffer)?.call_method1(intern!(py, "cast"), ("B",))?;
        if view.getattr(intern!(py, "readonly"))?.is_truthy()? {
            return Err(PyTypeError::new_err("the buffer cannot be written to"));
        }
        let taken = self.take(py, until(view.len()?))?;
        let end = isize::try_from(taken.len())?;
        view.set_item(PySlice::new(py, 0, end, 1), PyBytes::new(py, &taken))?;
        Ok(taken.len())
    }

    fn check_open(&self) -> PyResult<()> {
        if self.closed.load(Relaxed) {
            return Err(PyValueError::new_err("I/O operation on closed file."));
        }
        Ok(())
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

/// `io.UnsupportedOperation`, for what a raw stream that is only read does not do.
fn unsupported(py: Python<'_>, operation: &'static str) -> PyErr {
    match py
        .import("io")
        .and_then(|io| io.getattr("UnsupportedOperation"))
    {
        Ok(class) => class
            .cast_into::<PyType>()
            .map_or_else(Into::into, |class| PyErr::from_type(class, operation)),
        Err(error) => error,
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

    /// As `read`, but no more than what is there already, or else the next piece as it arrives.
    #[pyo3(signature = (size=None, /))]
    fn read1<'py>(&self, py: Python<'py>, size: Option<isize>) -> PyResult<Bound<'py, PyBytes>> {
        let most = limit(size).unwrap_or(usize::MAX);
        Ok(PyBytes::new(py, &self.take(py, Until::Piece(most))?))
    }

    /// All that is left.
    fn readall<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(py, &self.read_all(py)?))
    }

    /// All that is left, as Werkzeug's stream names it.
    fn exhaust<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        self.readall(py)
    }

    /// Fills `buffer` as far as the body goes; how many bytes that were.
    #[pyo3(signature = (buffer, /))]
    fn readinto(&self, buffer: &Bound<'_, PyAny>) -> PyResult<usize> {
        self.fill(buffer, Until::Count)
    }

    /// As `readinto`, but no more than `read1` reads.
    #[pyo3(signature = (buffer, /))]
    fn readinto1(&self, buffer: &Bound<'_, PyAny>) -> PyResult<usize> {
        self.fill(buffer, Until::Piece)
    }

    /// How many bytes have been read.
    fn tell(&self, py: Python<'_>) -> PyResult<u64> {
        self.with_source(py, |source| Ok(source.position))
    }

    /// How many bytes there are in all; `None` where only the end will tell.
    #[getter]
    fn limit(&self) -> Option<u64> {
        self.length
    }

    /// Whether all has been read.
    #[getter]
    fn is_exhausted(&self, py: Python<'_>) -> PyResult<bool> {
        let length = self.length;
        self.with_source(py, |source| {
            let is_at_end = source.ended && source.buffer.is_empty();
            Ok(is_at_end || length.is_some_and(|length| source.position >= length))
        })
    }

    #[getter]
    fn closed(&self) -> bool {
        self.closed.load(Relaxed)
    }

    /// Marks the stream as closed. As with Werkzeug's, what is left can be read all the same: by
    /// `get_data`, after a wrapper that has closed it.
    fn close(&self) {
        self.closed.store(true, Relaxed);
    }

    fn __enter__(slf: PyRef<'_, Self>) -> PyResult<PyRef<'_, Self>> {
        slf.check_open()?;
        Ok(slf)
    }

    #[pyo3(signature = (*_args))]
    fn __exit__(&self, _args: &Bound<'_, PyTuple>) {
        self.close();
    }

    #[expect(clippy::unused_self, reason = "a method in Python")]
    fn readable(&self) -> bool {
        true
    }

    #[expect(clippy::unused_self, reason = "a method in Python")]
    fn writable(&self) -> bool {
        false
    }

    #[expect(clippy::unused_self, reason = "a method in Python")]
    fn seekable(&self) -> bool {
        false
    }

    fn isatty(&self) -> PyResult<bool> {
        self.check_open()?;
        Ok(false)
    }

    fn flush(&self) -> PyResult<()> {
        self.check_open()
    }

    #[pyo3(signature = (*_args))]
    fn seek(slf: &Bound<'_, Self>, _args: &Bound<'_, PyTuple>) -> PyResult<()> {
        Err(unsupported(slf.py(), "seek"))
    }

    #[pyo3(signature = (*_args))]
    fn truncate(slf: &Bound<'_, Self>, _args: &Bound<'_, PyTuple>) -> PyResult<()> {
        Err(unsupported(slf.py(), "truncate"))
    }

    fn fileno(slf: &Bound<'_, Self>) -> PyResult<()> {
        Err(unsupported(slf.py(), "fileno"))
    }

    #[pyo3(signature = (*_args))]
    fn write(slf: &Bound<'_, Self>, _args: &Bound<'_, PyTuple>) -> PyResult<()> {
        Err(unsupported(slf.py(), "write"))
    }

    #[pyo3(signature = (*_args))]
    fn writelines(slf: &Bound<'_, Self>, _args: &Bound<'_, PyTuple>) -> PyResult<()> {
        Err(unsupported(slf.py(), "write"))
    }

    fn __iter__(slf: PyRef<'_, Self>) -> PyResult<PyRef<'_, Self>> {
        slf.check_open()?;
        Ok(slf)
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let line = self.readline(py, None)?;
        Ok((!line.as_bytes().is_empty()).then_some(line))
    }
}
