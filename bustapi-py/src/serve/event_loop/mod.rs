//! Coroutine views, on one event loop per process.
//!
//! # Theory of operation
//!
//! The loop runs on a thread of its own. The IO thread queues calls and writes one byte to a
//! socket pair when the queue was empty; the loop's reader then drains the queue, so one
//! wake-up serves every call that came meanwhile. For each call the steps before the view run
//! at once, in a `contextvars.Context` of the request's own; the view's coroutine becomes a
//! task in that context; when it is done, the steps after the view run in the context again.
//! Answers are collected and handed back to the IO thread with one wake-up per turn of the
//! loop.
//!
//! What cannot run on the loop's thread goes on the pool, where it may wait for a loop of
//! its own: requests with hooks that are coroutine functions, and the error handlers.

mod completion;
mod coroutine;
mod driver;
mod queue;
mod task;

pub(crate) use queue::{Answers, LoopQueue};
pub(crate) use task::{set_event_loop, start};
