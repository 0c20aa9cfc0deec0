//! Coroutine functions as views: the event loop that runs them, and its queue.

pub(crate) mod coroutine;
pub(crate) mod driver;
