//! What can be told of a map as a whole.

pub(crate) mod unreachable;
