//! From the bytes of a connection to requests.

pub mod framing;
pub(crate) mod http1;
pub(crate) mod rejection;
pub(crate) mod socket;
pub(crate) mod stream;
