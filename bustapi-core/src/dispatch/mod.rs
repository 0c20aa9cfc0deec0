//! What answers requests, and how they find it.

pub(crate) mod handler;
pub(crate) mod routed;
pub(crate) mod routes;
