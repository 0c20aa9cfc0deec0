//! Bodies that Python makes piece by piece.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bustapi_core::executor::{Executor, Habit, Place, Work};
use bustapi_http::{BodyError, BodyStream};
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use pyo3::exceptions::PyTypeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use tokio::sync::oneshot;

use crate::attach::keep_thread_state;
use crate::error;
use crate::reply::to_bytes;

/// An iterable of bytes and the context variables its steps run under.
pub(crate) struct Pieces {
    iterator: Py<PyAny>,
    /// What `close()` is called on, at the end or when the client leaves (PEP 3333).
    iterable: Py<PyAny>,
    /// One context for all steps, as a generator may set variables in one and reset them in another.
    context: Py<PyAny>,
}

impl Pieces {
    /// # Errors
    ///
    /// Whatever `iter(iterable)` raises.
    pub(crate) fn new(iterable: &Bound<'_, PyAny>) -> PyResult<Self> {
        let py = iterable.py();
        let context = py
            .import(intern!(py, "contextvars"))?
            .call_method0(intern!(py, "copy_context"))?;
        Ok(Self {
            iterator: iterable.try_iter()?.into_any().unbind(),
            iterable: iterable.clone().unbind(),
            context: context.unbind(),
        })
    }

    /// The next piece that is not empty, `None` at the end.
    pub(crate) fn next(&self, py: Python<'_>) -> PyResult<Option<Bytes>> {
        let next = self.iterator.bind(py).getattr(intern!(py, "__next__"))?;
        loop {
            let item = match self.context.call_method1(py, intern!(py, "run"), (&next,)) {
                Ok(item) => item,
                Err(error) if error.is_instance_of::<pyo3::exceptions::PyStopIteration>(py) => {
                    return Ok(None);
                }
                Err(error) => return Err(error),
            };
            let item = item.bind(py).cast::<PyBytes>().map_err(|_| {
                PyTypeError::new_err(format!(
                    "a response body yields bytes, not {}",
                    item.bind(py).get_type()
                ))
            })?;
            if !item.as_bytes().is_empty() {
                return Ok(Some(to_bytes(item)));
            }
        }
    }

    fn close(&self, py: Python<'_>) {
        let closed = self
            .iterable
            .bind(py)
            .getattr_opt(intern!(py, "close"))
            .and_then(|close| match close {
                Some(close) => self
                    .context
                    .call_method1(py, intern!(py, "run"), (close,))
                    .map(|_| ()),
                None => Ok(()),
            });
        if let Err(error) = closed {
            error::report(py, error);
        }
    }
}

type Piece = Result<Option<Bytes>, BodyError>;

/// A step of a streamed body, run on a thread that may wait.
pub(crate) enum Step {
    Next(Arc<Pieces>, oneshot::Sender<Piece>),
    Close(Arc<Pieces>),
}

/// Runs the steps of streamed bodies, on threads of their own: as many streams as the pool
/// has threads must not keep a view from running.
pub(crate) struct StreamWork;

/// Where streamed bodies wait for their pieces.
pub(crate) type Streams = Executor<StreamWork>;

impl Work for StreamWork {
    type Job = Step;

    fn on_thread(&self, body: &mut dyn FnMut()) {
        keep_thread_state(body);
    }

    fn run(&self, next: &mut dyn FnMut() -> Option<Step>) {
        Python::attach(|py| {
            while let Some(step) = next() {
                step.run(py);
            }
        });
    }
}

impl Step {
    fn run(self, py: Python<'_>) {
        match self {
            Self::Next(pieces, sender) => {
                let piece = pieces.next(py).map_err(|error| {
                    error::report(py, error);
                    BodyError::from("the application failed while streaming")
                });
                // Without a receiver the client has gone; its Close step is on its way.
                drop(sender.send(piece));
            }
            Self::Close(pieces) => pieces.close(py),
        }
    }
}

/// The body: asks for the next piece when the client has taken the one before.
pub(crate) struct PieceStream {
    pieces: Arc<Pieces>,
    /// What there is before the next piece.
    first: Option<Bytes>,
    waiting: Option<oneshot::Receiver<Piece>>,
    streams: Streams,
    habit: Arc<Habit>,
    length: Option<u64>,
}

impl PieceStream {
    /// `first` comes before the pieces; `length` is the body's length in bytes where the
    /// application has stated it.
    pub(crate) fn body(
        first: Option<Bytes>,
        pieces: Pieces,
        streams: Streams,
        length: Option<u64>,
    ) -> BodyStream {
        Box::pin(Self {
            first,
            pieces: Arc::new(pieces),
            waiting: None,
            streams,
            habit: Arc::default(),
            length,
        })
    }
}

impl HttpBody for PieceStream {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        if let Some(first) = this.first.take() {
            return Poll::Ready(Some(Ok(Frame::data(first))));
        }
        let waiting = this.waiting.get_or_insert_with(|| {
            let (sender, receiver) = oneshot::channel();
            let step = Step::Next(Arc::clone(&this.pieces), sender);
            this.streams.submit(&this.habit, Place::Pool, step);
            receiver
        });
        let piece = std::task::ready!(Pin::new(waiting).poll(context));
        this.waiting = None;
        Poll::Ready(match piece {
            Ok(Ok(piece)) => piece.map(|bytes| Ok(Frame::data(bytes))),
            Ok(Err(error)) => Some(Err(error)),
            Err(_) => Some(Err(BodyError::from("the server is stopping"))),
        })
    }

    fn size_hint(&self) -> SizeHint {
        self.length
            .map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

impl Drop for PieceStream {
    fn drop(&mut self) {
        let step = Step::Close(Arc::clone(&self.pieces));
        self.streams.submit(&self.habit, Place::Pool, step);
    }
}
