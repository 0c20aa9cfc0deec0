//! The ways from the IO thread to the event loop and back.

use std::future::poll_fn;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use bustapi_core::Responder;
use bustapi_http::Response;
use pyo3::prelude::*;

use crate::serve::calls::PendingRequest;

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // No code that can panic runs under these locks, so poison means nothing.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What waits to be begun, or to be cancelled, by the loop.
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all are of the large kind, and a box each would cost an allocation"
)]
pub(super) enum Order {
    Begin(PendingRequest),
    Cancel(Py<PyAny>),
}

/// The way from the IO thread to the event loop.
pub(crate) struct LoopQueue {
    pub(super) orders: Mutex<Vec<Order>>,
    pub(super) wake: UnixStream,
}

impl LoopQueue {
    pub(crate) fn push(&self, call: PendingRequest) {
        self.order(Order::Begin(call));
    }

    pub(super) fn order(&self, order: Order) {
        let mut orders = lock(&self.orders);
        let was_empty = orders.is_empty();
        orders.push(order);
        drop(orders);
        if was_empty && let Err(error) = (&self.wake).write(&[0]) {
            bustapi_core::log(&format!("cannot wake the event loop: {error}"));
        }
    }
}

/// The way back: answers for the IO thread.
#[derive(Default)]
pub(crate) struct Answers {
    ready: Mutex<Vec<(Responder, Response)>>,
    waker: Mutex<Option<Waker>>,
}

impl Answers {
    /// Adds an answer; whether it is the first since the last wake-up.
    pub(super) fn push(&self, responder: Responder, response: Response) -> bool {
        let mut ready = lock(&self.ready);
        ready.push((responder, response));
        ready.len() == 1
    }

    pub(super) fn wake(&self) {
        if let Some(waker) = lock(&self.waker).as_ref() {
            waker.wake_by_ref();
        }
    }

    /// Hands answers to their connections; never completes. To be spawned on the IO thread.
    pub(crate) async fn deliver(self: Arc<Self>) {
        poll_fn(|context| {
            *lock(&self.waker) = Some(context.waker().clone());
            let ready = std::mem::take(&mut *lock(&self.ready));
            for (responder, response) in ready {
                responder.complete(response);
            }
            Poll::<()>::Pending
        })
        .await;
    }
}
