//! What answers requests.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bustapi_http::Response;

use crate::exchange::own_answers;
use crate::executor::io_role;
use crate::log::log;

/// What a responder and its answer share.
#[derive(Default)]
struct Exchange {
    state: Mutex<State>,
}

/// Called when the client has gone before its answer.
type Abandoned = Box<dyn FnOnce() + Send>;

#[derive(Default)]
enum State {
    /// Nothing has happened, and nobody waits.
    #[default]
    Open,
    /// The connection waits for the answer.
    Awaited(Waker),
    /// As `Awaited`, and somebody wants to know if the client goes.
    Notifying(Option<Waker>, Abandoned),
    Answered(Response),
    /// The answer was taken, or nobody will take it.
    Closed,
}

impl Exchange {
    fn lock(&self) -> MutexGuard<'_, State> {
        // No code that can panic runs under the lock, so poison means nothing.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The one chance to answer a request.
pub struct Responder {
    /// `None` once the answer is given.
    exchange: Option<Arc<Exchange>>,
}

impl fmt::Debug for Responder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Responder").finish_non_exhaustive()
    }
}

impl Responder {
    /// Sends the answer; without effect if the client has gone.
    pub fn complete(mut self, response: Response) {
        if let Some(exchange) = self.exchange.take() {
            send(&exchange, response);
        }
    }

    /// Whether nobody waits for the answer any more, because the client has gone.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.exchange
            .as_ref()
            .is_none_or(|exchange| matches!(*exchange.lock(), State::Closed))
    }

    /// Has `abandoned` called, on the IO thread, if the client goes before the answer is given;
    /// at once if it has gone already. A second call replaces the first one's function.
    pub fn on_abandoned(&self, abandoned: impl FnOnce() + Send + 'static) {
        let Some(exchange) = &self.exchange else {
            return;
        };
        let mut state = exchange.lock();
        let waker = match std::mem::take(&mut *state) {
            State::Open => None,
            State::Awaited(waker) => Some(waker),
            State::Notifying(waker, _) => waker,
            settled => {
                *state = settled;
                drop(state);
                abandoned();
                return;
            }
        };
        *state = State::Notifying(waker, Box::new(abandoned));
    }
}

fn send(exchange: &Exchange, response: Response) {
    let mut state = exchange.lock();
    let waker = match std::mem::replace(&mut *state, State::Answered(response)) {
        State::Awaited(waker) => Some(waker),
        State::Notifying(waker, _) => waker,
        State::Open | State::Answered(_) => None,
        State::Closed => {
            *state = State::Closed;
            None
        }
    };
    drop(state);
    if let Some(waker) = waker {
        io_role::wake(waker);
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        if let Some(exchange) = self.exchange.take()
            && !matches!(*exchange.lock(), State::Closed)
        {
            log("a request was dropped without an answer");
            send(&exchange, own_answers::internal_error());
        }
    }
}

/// The waiting side of a [`Responder`].
pub struct Answer {
    exchange: Arc<Exchange>,
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer").finish_non_exhaustive()
    }
}

impl Answer {
    /// Whether somebody wants to know if the client goes.
    pub(crate) fn is_notifying(&self) -> bool {
        matches!(*self.exchange.lock(), State::Notifying(..))
    }
}

impl Future for Answer {
    type Output = Response;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Response> {
        let mut state = self.exchange.lock();
        match std::mem::replace(&mut *state, State::Closed) {
            State::Answered(response) => Poll::Ready(response),
            State::Open => {
                *state = State::Awaited(context.waker().clone());
                Poll::Pending
            }
            State::Awaited(mut waker) => {
                waker.clone_from(context.waker());
                *state = State::Awaited(waker);
                Poll::Pending
            }
            State::Notifying(_, abandoned) => {
                *state = State::Notifying(Some(context.waker().clone()), abandoned);
                Poll::Pending
            }
            // Polled again after its end.
            State::Closed => Poll::Ready(own_answers::internal_error()),
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        let state = std::mem::replace(&mut *self.exchange.lock(), State::Closed);
        if let State::Notifying(_, abandoned) = state {
            abandoned();
        }
    }
}

/// A responder and the future of what it is completed with.
#[must_use]
pub fn responder() -> (Responder, Answer) {
    let exchange = Arc::new(Exchange::default());
    (
        Responder {
            exchange: Some(Arc::clone(&exchange)),
        },
        Answer { exchange },
    )
}
