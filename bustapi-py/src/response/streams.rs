//! Bodies that Python makes piece by piece.
//!
//! # Theory of operation
//!
//! A piece is asked for when the client has taken the one before. hyper lets go of a body as soon
//! as the answer is complete: at its stated length, or at once where there is none to send. The
//! iterable may have things to do behind its last piece, so it is then taken to its end, and
//! closed (PEP 3333); what it yields meanwhile is dropped. A body that is let go of before has lost
//! its client, and is closed where it stands.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

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
use crate::ground::thread_state::{attach_to_call, keep_thread_state};

/// An iterable of bytes and the context variables its steps run under.
pub(crate) struct Pieces {
    iterator: Py<PyAny>,
    /// What `close()` is called on, at the end or when the client leaves (PEP 3333).
    iterable: Py<PyAny>,
    /// One context for all steps, as a generator may set variables in one and reset them in another.
    context: OnceLock<Py<PyAny>>,
    /// What the first step gave, while nobody has taken it.
    ahead: Mutex<Ahead>,
    progress: Mutex<Progress>,
}

/// How far an iterable has come: it must not be closed in the middle of a step.
#[derive(Default)]
struct Progress {
    is_stepping: bool,
    /// The iterable has said that there is nothing more, or has failed.
    is_exhausted: bool,
    /// The body is dropped, and nobody waits for pieces any more.
    end: Option<End>,
}

/// What is done with an iterable whose body is dropped.
#[derive(Clone, Copy)]
pub(crate) enum End {
    /// The client has gone.
    Close,
    /// The answer is complete: there may be things to do behind the last piece.
    Finish,
}

/// How long an iterable may go on yielding behind the end of its answer: one that never ends must
/// not keep a thread for ever.
const FINISH_TIME: Duration = Duration::from_secs(10);

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
    /// Whatever `iter(iterable)` raises; the iterable is closed then.
    pub(crate) fn new(iterable: &Bound<'_, PyAny>) -> PyResult<Self> {
        let iterator = iterable.try_iter().map(Bound::into_any);
        let pieces = Self {
            iterator: iterator.as_ref().unwrap_or(iterable).clone().unbind(),
            iterable: iterable.clone().unbind(),
            context: OnceLock::new(),
            ahead: Mutex::default(),
            progress: Mutex::default(),
        };
        match iterator {
            Ok(_) => Ok(pieces),
            Err(error) => Err(pieces.close_after(iterable.py(), error)),
        }
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
        if self.progress().is_exhausted {
            return Ok(None);
        }
        let next = self.next_of_iterator(py);
        if !matches!(next, Ok(Some(_))) {
            self.progress().is_exhausted = true;
        }
        next
    }

    fn next_of_iterator(&self, py: Python<'_>) -> PyResult<Option<Bytes>> {
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

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a step for a body that is waiting; ends the iterable if the body has gone meanwhile.
    fn step(&self, py: Python<'_>, sender: oneshot::Sender<Piece>) {
        {
            let mut progress = self.progress();
            if progress.end.is_some() {
                return;
            }
            progress.is_stepping = true;
        }
        let piece = self.next(py).map_err(|error| {
            error::report(py, error, "an answer that was being sent");
            BodyError::from("the application failed while streaming")
        });
        let end = {
            let mut progress = self.progress();
            progress.is_stepping = false;
            progress.end
        };
        match end {
            // A receiver that goes from now on has the iterable ended.
            None => drop(sender.send(piece)),
            Some(end) => self.end(py, end),
        }
    }

    /// Notes that the body is dropped; whether the iterable is to be ended, as the step that is
    /// under way will not do it.
    fn drop_body(&self, end: End) -> bool {
        let mut progress = self.progress();
        progress.end = Some(end);
        !progress.is_stepping
    }

    fn end(&self, py: Python<'_>, end: End) {
        if matches!(end, End::Finish) {
            self.finish(py);
        }
        self.close(py);
    }

    /// Takes the iterable to its end, for what it does there.
    fn finish(&self, py: Python<'_>) {
        let until = Instant::now() + FINISH_TIME;
        loop {
            match self.next(py) {
                Ok(None) => return,
                Ok(Some(_)) if Instant::now() >= until => {
                    bustapi_core::log(
                        "an iterable that yields more than its answer may hold is closed",
                    );
                    return;
                }
                Ok(Some(_)) => {}
                Err(error) => {
                    error::report(py, error, "what follows the last piece of an answer");
                    return;
                }
            }
        }
    }

    /// Closes the iterable after an error, which becomes the context of what `close` raises.
    pub(crate) fn close_after(&self, py: Python<'_>, error: PyErr) -> PyErr {
        let exception = error::exception(py, error);
        let closed = error::while_handling(&exception, || self.try_close(py));
        closed
            .err()
            .unwrap_or_else(|| PyErr::from_value(exception.into_any()))
    }

    fn close(&self, py: Python<'_>) {
        if let Err(error) = self.try_close(py) {
            error::report(py, error, "the closing of an answer's iterable");
        }
    }

    fn try_close(&self, py: Python<'_>) -> PyResult<()> {
        let context = self.enter(py)?;
        if let Some(close) = self.iterable.bind(py).getattr_opt(intern!(py, "close"))? {
            context.call_method1(py, intern!(py, "run"), (close,))?;
        }
        Ok(())
    }
}

type Piece = Result<Option<Bytes>, BodyError>;

/// A step of a streamed body, run on a thread that may wait.
pub(crate) enum StreamStep {
    /// Answers once the first piece is there: a body that fails before is an error, as nothing
    /// has been sent (PEP 3333, on `start_response`).
    First(Arc<Pieces>, Box<Response>, Responder),
    Next(Arc<Pieces>, oneshot::Sender<Piece>),
    End(Arc<Pieces>, End),
}

/// Runs the steps of streamed bodies, on threads of their own: as many streams as the pool
/// has threads must not keep a view from running.
pub(crate) struct StreamWork;

/// Where streamed bodies wait for their pieces.
pub(crate) type Streams = Executor<StreamWork>;

impl Work for StreamWork {
    type Job = StreamStep;

    fn on_thread(&self, body: &mut dyn FnMut()) {
        keep_thread_state(body);
    }

    fn run(&self, next: &mut dyn FnMut() -> Option<StreamStep>) {
        attach_to_call(|py| {
            while let Some(step) = next() {
                step.run(py);
            }
        });
    }
}

impl StreamStep {
    fn run(self, py: Python<'_>) {
        match self {
            // Dropping the response closes the iterable.
            Self::First(_, _, responder) if responder.is_closed() => {}
            Self::First(pieces, response, responder) => match pieces.take_first_step(py) {
                Ok(()) => responder.complete(*response),
                Err(error) => {
                    error::report(py, error, "an answer before its first piece");
                    responder.complete(internal_error());
                }
            },
            Self::Next(pieces, sender) => pieces.step(py, sender),
            Self::End(pieces, end) => pieces.end(py, end),
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
    /// How many bytes complete the answer, and how many of them are handed over.
    wanted: Option<u64>,
    sent: u64,
}

impl PieceStream {
    /// `first` comes before the pieces; `length` is the body's length in bytes where the
    /// application has stated it; of an answer that `ends_with_head` nothing is sent.
    pub(crate) fn body(
        first: Option<Bytes>,
        pieces: Arc<Pieces>,
        streams: Streams,
        length: Option<u64>,
        ends_with_head: bool,
    ) -> BodyStream {
        Box::pin(Self {
            first,
            pieces,
            waiting: None,
            streams,
            habit: Arc::default(),
            length,
            wanted: if ends_with_head { Some(0) } else { length },
            sent: 0,
        })
    }

    fn piece(&mut self, piece: Bytes) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.sent += piece.len() as u64;
        Poll::Ready(Some(Ok(Frame::data(piece))))
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
            return this.piece(first);
        }
        match this.pieces.take_ahead() {
            Ahead::Nothing => {}
            Ahead::Piece(piece) => return this.piece(piece),
            Ahead::End => return Poll::Ready(None),
        }
        let waiting = this.waiting.get_or_insert_with(|| {
            let (sender, receiver) = oneshot::channel();
            let step = StreamStep::Next(Arc::clone(&this.pieces), sender);
            this.streams.submit(&this.habit, Place::Pool, step);
            receiver
        });
        let piece = std::task::ready!(Pin::new(waiting).poll(context));
        this.waiting = None;
        match piece {
            Ok(Ok(Some(piece))) => this.piece(piece),
            Ok(Ok(None)) => Poll::Ready(None),
            Ok(Err(error)) => Poll::Ready(Some(Err(error))),
            Err(_) => Poll::Ready(Some(Err(BodyError::from("the server is stopping")))),
        }
    }

    fn size_hint(&self) -> SizeHint {
        self.length
            .map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

impl Drop for PieceStream {
    fn drop(&mut self) {
        let end = match self.wanted {
            Some(wanted) if self.sent >= wanted => End::Finish,
            _ => End::Close,
        };
        if self.pieces.drop_body(end) {
            let step = StreamStep::End(Arc::clone(&self.pieces), end);
            self.streams.submit(&self.habit, Place::Pool, step);
        }
    }
}
