//! Decides where calls run that may or may not block: at once with the IO role, or on a
//! pool of threads. Generic over what is called; nothing here knows Python.
//!
//! # Theory of operation
//!
//! Handing a call to another thread and back costs two to four microseconds; running it on
//! the thread that drives the runtime costs nothing. So each endpoint's calls are timed: [`Habit`]
//! says where the next one runs. That is speed and nothing else: a call that takes long after all
//! loses its thread the IO role, and nobody waits for it (`io_role.rs`).
//!
//! Calls with the IO role are queued and run together in a batch, outside the runtime, once the
//! connections that were ready have been looked after: entering the interpreter is paid once
//! for all of them. A batch ends after `BATCH_TIME`, so that sockets are looked at, and
//! calls of an endpoint that turns out slow while they wait in the queue move to the pool.

pub(crate) mod batch;
mod habit;
pub(crate) mod io_role;
mod overdue;
mod pool;
mod queue;
mod thread_usage;
mod work;

pub use habit::{CROWDED_CALLS, Habit, ISOLATED, QUICK, TRIAL_CALLS};
pub use queue::Executor;
pub use thread_usage::Spent;
pub use work::{Place, Work};
