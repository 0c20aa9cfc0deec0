//! Bytes as Python's strings.
#![expect(unsafe_code, reason = "pyo3 has no safe form of this call")]

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyString;

/// Bytes as WSGI shows them: each byte is one character.
///
/// # Errors
///
/// `MemoryError`.
pub(crate) fn latin1<'py>(py: Python<'py>, bytes: &[u8]) -> PyResult<Bound<'py, PyString>> {
    let length = bytes.len().cast_signed();
    // SAFETY: the pointer and length are those of a slice, which is only read, and without error
    // handler none is looked up. A new string is returned, or null with an exception set.
    unsafe {
        let text = ffi::PyUnicode_DecodeLatin1(bytes.as_ptr().cast(), length, std::ptr::null());
        Ok(Bound::from_owned_ptr_or_err(py, text)?.cast_into_unchecked())
    }
}
