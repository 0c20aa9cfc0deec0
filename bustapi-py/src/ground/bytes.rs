//! Python's bytes as parts of bodies.

use bytes::Bytes;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

/// Bodies above this many bytes are handed over, not copied: below, a copy is cheaper than
/// keeping the Python object alive on the way to the socket.
const COPY_LIMIT: usize = 64 * 1024;

/// A Python bytes object as part of a body.
pub(crate) fn to_bytes(bytes: &Bound<'_, PyBytes>) -> Bytes {
    if bytes.as_bytes().len() <= COPY_LIMIT {
        return Bytes::copy_from_slice(bytes.as_bytes());
    }
    Bytes::from_owner(pyo3::pybacked::PyBackedBytes::from(bytes.clone()))
}
