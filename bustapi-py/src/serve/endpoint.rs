//! What is remembered of each rule's calls.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use bustapi_core::executor::Habit;

/// What is remembered of one rule's calls.
#[derive(Default)]
pub(crate) struct Endpoint {
    pub(crate) habit: Arc<Habit>,
    /// Whether its view is a coroutine function that the event loop may run.
    pub(super) is_coroutine: AtomicBool,
    /// Whether that has been looked at.
    pub(super) is_known: AtomicBool,
}

impl Endpoint {
    /// Notes where calls of this endpoint are to go from now on.
    pub(crate) fn set_coroutine(&self, is_coroutine: bool) {
        self.is_coroutine.store(is_coroutine, Relaxed);
        self.is_known.store(true, Relaxed);
    }
}

/// The endpoints met so far, by the index of their rule.
#[derive(Default)]
pub(crate) struct Endpoints {
    pub(super) by_rule: Vec<Arc<Endpoint>>,
    /// Of requests that the server does not match itself.
    pub(super) other: Arc<Endpoint>,
}
