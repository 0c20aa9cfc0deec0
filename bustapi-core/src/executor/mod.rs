//! Decides where calls run that may or may not block: at once on the IO thread, or on a
//! pool of threads. Generic over what is called; nothing here knows Python.
//!
//! # Theory of operation
//!
//! Handing a call to another thread and back costs two to four microseconds; running it on
//! the IO thread costs nothing but holds up every other connection for as long as it takes.
//! So each endpoint is watched: [`Habit`] says where its calls run.
//!
//! Calls on the IO thread are queued and run together by one task, which the runtime
//! schedules behind the connections that are ready: entering the interpreter is paid once
//! for all of them. A batch ends after `BATCH_TIME`, so that sockets are looked at, and
//! calls of an endpoint that turns out slow while they wait in the queue move to the pool.

pub(crate) mod batch;
mod habit;
mod pool;
mod queue;
mod thread_usage;
mod work;

pub use habit::{CROWDED_CALLS, Habit, ISOLATED, QUICK, TRIAL_CALLS};
pub use queue::Executor;
pub use thread_usage::Spent;
pub use work::{Place, Work};
