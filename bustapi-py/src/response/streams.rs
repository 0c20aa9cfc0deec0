//! Bodies that Python makes piece by piece.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll};

use bustapi_core::executor::{Executor, Habit, Place, Work};
use bustapi_core::{Responder, internal_error};
use bustapi_http::{BodyError, BodyStream, Response};
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use pyo3::exceptions::PyTypeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes};
use tokio::sync::oneshot;

use crate::error;
use crate::ground::bytes::to_bytes;
use crate::ground::thread_state::keep_thread_state;

/// An iterable of bytes and the context variables its steps run under.
pub(crate) struct Pieces {
    iterator: Py<PyAny>,
    /// What `close()` is called on, at the end or when the client leaves (PEP 3333).
    iterable: Py<PyAny>,
    /// One context for all steps, as a generator may set variables in one and reset them in another.
    context: OnceLock<Py<PyAny>>,
    /// What the first step gave, while nobody has taken it.
    ahead: Mutex<Ahead>,
    turn: Mutex<Turn>,
}

/// Whose turn it is: an iterable must not be closed in the middle of a step.
#[derive(Default)]
struct Turn {
    is_stepping: bool,
    /// The body is dropped: there are no more steps, and the iterable is to be closed.
    is_over: bool,
}

#[derive(Default)]
enum Ahead {
    #[default]
    Nothing,
    Piece(Bytes),
    End,
}

impl Pieces {
    /// # Errors
    ///
    /// Whatever `iter(iterable)` raises.
    pub(crate) fn new(iterable: &Bound<'_, PyAny>) -> PyResult<Self> {
        Ok(Self {
            iterator: iterable.try_iter()?.into_any().unbind(),
            iterable: iterable.clone().unbind(),
            context: OnceLock::new(),
            ahead: Mutex::default(),
            turn: Mutex::default(),
        })
    }

    /// The context of all steps: a copy of what was current when this was first called.
    ///
    /// # Errors
    ///
    /// `MemoryError`.
    pub(crate) fn enter(&self, py: Python<'_>) -> PyResult<&Py<PyAny>> {
        if let Some(context) = self.context.get() {
            return Ok(context);
        }
        let copy = py
            .import(intern!(py, "contextvars"))?
            .call_method0(intern!(py, "copy_context"))?;
        Ok(self.context.get_or_init(|| copy.unbind()))
    }

    /// The next piece that is not empty, `None` at the end.
    pub(crate) fn next(&self, py: Python<'_>) -> PyResult<Option<Bytes>> {
        let context = self.enter(py)?;
        let next = self.iterator.bind(py).getattr(intern!(py, "__next__"))?;
        loop {
            let item = match context.call_method1(py, intern!(py, "run"), (&next,)) {
                Ok(item) => item,
                Err(error) if error.is_instance_of::<pyo3::exceptions::PyStopIteration>(py) => {
                    return Ok(None);
                }
                Err(error) => return Err(error),
            };
            let item = item.bind(py);
            let piece = if let Ok(bytes) = item.cast::<PyBytes>() {
                to_bytes(bytes)
            } else if let Ok(array) = item.cast::<PyByteArray>() {
                Bytes::from(array.to_vec())
            } else {
                return Err(PyTypeError::new_err(format!(
                    "a response body yields bytes, not {}",
                    item.get_type()
                )));
            };
            if !piece.is_empty() {
                return Ok(Some(piece));
            }
        }
    }

    /// Takes the first step, and keeps what it gives for the body.
    fn take_first_step(&self, py: Python<'_>) -> PyResult<()> {
        let piece = self.next(py)?;
        *self.ahead.lock().unwrap_or_else(PoisonError::into_inner) =
            piece.map_or(Ahead::End, Ahead::Piece);
        Ok(())
    }

    fn take_ahead(&self) -> Ahead {
        std::mem::take(&mut *self.ahead.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn turn(&self) -> MutexGuard<'_, Turn> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a step for a body that is waiting; closes the iterable if the body has gone
    /// meanwhile.
    fn step(&self, py: Python<'_>, sender: oneshot::Sender<Piece>) {
        {
            let mut turn = self.turn();
            if turn.is_over {
                return;
            }
            turn.is_stepping = true;
        }
        let piece = self.next(py).map_err(|error| {
            error::report(py, error);
            BodyError::from("the application failed while streaming")
        });
        let is_over = {
            let mut turn = self.turn();
            turn.is_stepping = false;
            turn.is_over
        };
        if is_over {
            self.close(py);
        } else {
            // A receiver that goes from now on has the iterable closed.
            drop(sender.send(piece));
        }
    }

    /// Notes that no more steps are taken; whether the iterable is to be closed, as the step that
    /// is under way will not do it.
    fn end(&self) -> bool {
        let mut turn = self.turn();
        turn.is_over = true;
        !turn.is_stepping
    }

    fn close(&self, py: Python<'_>) {
        let closed = self.enter(py).and_then(|context| {
            match self.iterable.bind(py).getattr_opt(intern!(py, "close"))? {
                Some(close) => context
                    .call_method1(py, intern!(py, "run"), (close,))
                    .map(|_| ()),
                None => Ok(()),
            }
        });
        if let Err(error) = closed {
            error::report(py, error);
        }
    }
}

type Piece = Result<Option<Bytes>, BodyError>;

/// A step of a streamed body, run on a thread that may wait.
pub(crate) enum Step {
    /// Answers once the first piece is there: a body that fails before is an error, as nothing
    /// has been sent (PEP 3333, on `start_response`).
    First(Arc<Pieces>, Box<Response>, Responder),
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
            // Dropping the response closes the iterable.
            Self::First(_, _, responder) if responder.is_closed() => {}
            Self::First(pieces, response, responder) => match pieces.take_first_step(py) {
                Ok(()) => responder.complete(*response),
                Err(error) => {
                    error::report(py, error);
                    responder.complete(internal_error());
                }
            },
            Self::Next(pieces, sender) => pieces.step(py, sender),
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
        pieces: Arc<Pieces>,
        streams: Streams,
        length: Option<u64>,
    ) -> BodyStream {
        Box::pin(Self {
            first,
            pieces,
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
        match this.pieces.take_ahead() {
            Ahead::Nothing => {}
            Ahead::Piece(piece) => return Poll::Ready(Some(Ok(Frame::data(piece)))),
            Ahead::End => return Poll::Ready(None),
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
        if self.pieces.end() {
            let step = Step::Close(Arc::clone(&self.pieces));
            self.streams.submit(&self.habit, Place::Pool, step);
        }
    }
}
