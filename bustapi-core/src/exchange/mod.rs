//! One request and its answer.

pub(crate) mod access_log;
pub(crate) mod arriving;
pub(crate) mod deadlines;
pub(crate) mod file_body;
pub(crate) mod gathered;
pub(crate) mod incoming;
pub(crate) mod leftover;
pub(crate) mod own_answers;
pub(crate) mod request_body;
pub(crate) mod responder;
pub(crate) mod sendable;
pub(crate) mod wire_body;
