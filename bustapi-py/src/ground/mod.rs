//! What every other folder may use: objects, contexts, threads, and what has been replaced.

pub(crate) mod bytes;
pub(crate) mod context_variable;
pub(crate) mod handed;
pub(crate) mod object;
pub(crate) mod overrides;
pub(crate) mod thread_state;
