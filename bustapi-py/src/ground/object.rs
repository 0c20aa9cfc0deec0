//! Objects made by the interpreter's own calls: Latin-1 strings, and instances of subclasses.

use pyo3::exceptions::PyAttributeError;
use pyo3::exceptions::PyRuntimeError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyString, PyTuple};

/// Bytes as WSGI shows them: each byte is one character.
///
/// # Errors
///
/// `MemoryError`.
#[expect(unsafe_code, reason = "pyo3 has no safe form of this call")]
pub(crate) fn latin1<'py>(py: Python<'py>, bytes: &[u8]) -> PyResult<Bound<'py, PyString>> {
    let length = bytes.len().cast_signed();
    // SAFETY: the pointer and length are those of a slice, which is only read, and without error
    // handler none is looked up. A new string is returned, or null with an exception set.
    unsafe {
        let text = ffi::PyUnicode_DecodeLatin1(bytes.as_ptr().cast(), length, std::ptr::null());
        Ok(Bound::from_owned_ptr_or_err(py, text)?.cast_into_unchecked())
    }
}

/// Allocates an instance of `class`, a Python subclass of a class of this module, without
/// running its `__init__`.
///
/// # Errors
///
/// `RuntimeError` if `class` has no constructor, else whatever that raises.
#[expect(
    unsafe_code,
    reason = "pyo3 cannot make an instance of a Python subclass"
)]
pub(crate) fn allocate<'py>(
    class: &Bound<'py, pyo3::types::PyType>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = class.py();
    // SAFETY: a type object's tp_new, called with the type itself and an empty tuple, is what
    // `type.__call__` does before `__init__`; it returns a new reference, or null with an
    // exception set. Holding `class` keeps the type alive.
    unsafe {
        let type_object = class.as_type_ptr();
        let new = (*type_object)
            .tp_new
            .ok_or_else(|| PyRuntimeError::new_err("the class cannot be instantiated"))?;
        let none = PyTuple::empty(py);
        let object = new(type_object, none.as_ptr(), std::ptr::null_mut());
        Bound::from_owned_ptr_or_err(py, object)
    }
}

/// What `del` does to an attribute that is kept in a slot.
///
/// # Errors
///
/// `AttributeError` where the slot is empty.
pub(crate) fn empty<T>(slot: &mut Option<T>, name: &str) -> PyResult<()> {
    match slot.take() {
        Some(_) => Ok(()),
        None => Err(PyAttributeError::new_err(name.to_owned())),
    }
}
