//! Proxies for what is current: the application, `g`, the request, the session.
//!
//! # Theory of operation
//!
//! A proxy is Werkzeug's `LocalProxy` in every respect; the class made here derives from it
//! and answers the usual accesses (attributes, items, membership, iteration) without running
//! Python: 26 ns in place of 650. Whatever else is done with a proxy, and its own names (such as
//! `__class__`), is left to `LocalProxy`, whose fields are filled as its constructor does.
#![expect(
    unsafe_code,
    reason = "only the C API can derive a native class from a Python one with slots of its own"
)]

use std::ffi::{c_char, c_int};
use std::mem::size_of;
use std::ptr;

use pyo3::exceptions::{PyRuntimeError, PyTypeError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyString, PyType};

use crate::context::app::AppContextBase;
use crate::context::request::RequestContextBase;
use crate::ground::object::allocate;

/// What a proxy stands for.
struct Target {
    variable: Py<PyAny>,
    /// Read from the context at each access; `None` stands for the context itself.
    attribute: Option<Attribute>,
    unbound_message: String,
}

/// An attribute of a context, by its name or known to the native half.
enum Attribute {
    App,
    Globals,
    Request,
    Session,
    Named(Py<PyString>),
}

impl Target {
    fn current<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let mut value = ptr::null_mut();
        // SAFETY: the variable is a ContextVar (checked by `make_proxy`); the call stores a new
        // reference, or null where the variable has no value.
        let context = unsafe {
            if ffi::PyContextVar_Get(self.variable.as_ptr(), ptr::null_mut(), &raw mut value) < 0 {
                return Err(PyErr::fetch(py));
            }
            Bound::from_owned_ptr_or_opt(py, value)
        };
        let context =
            context.ok_or_else(|| PyRuntimeError::new_err(self.unbound_message.clone()))?;
        match &self.attribute {
            None => Ok(context),
            Some(Attribute::App) => match context.cast::<AppContextBase>() {
                Ok(native) => AppContextBase::current_app(native),
                Err(_) => context.getattr("app"),
            },
            Some(Attribute::Globals) => match context.cast::<AppContextBase>() {
                Ok(native) => AppContextBase::current_globals(native),
                Err(_) => context.getattr("g"),
            },
            Some(Attribute::Request) => match context.cast::<RequestContextBase>() {
                Ok(native) => RequestContextBase::current_request(native),
                Err(_) => context.getattr("request"),
            },
            Some(Attribute::Session) => match context.cast::<RequestContextBase>() {
                Ok(native) => RequestContextBase::accessed_session(native),
                Err(_) => context.getattr("session"),
            },
            Some(Attribute::Named(name)) => context.getattr(name.bind(py)),
        }
    }
}

/// The class of proxies and where in an instance its target stands.
struct ProxyClass {
    class: Py<PyType>,
    offset: isize,
}

static CLASS: PyOnceLock<ProxyClass> = PyOnceLock::new();

impl ProxyClass {
    fn get(py: Python<'_>) -> PyResult<&Self> {
        CLASS.get_or_try_init(py, || {
            let base = py
                .import("werkzeug.local")?
                .getattr("LocalProxy")?
                .cast_into::<PyType>()?;
            let base_size: usize = base.getattr("__basicsize__")?.extract()?;
            let size = base_size + size_of::<*const Target>();
            let slot = |slot, pfunc| ffi::PyType_Slot { slot, pfunc };
            let mut slots = [
                slot(ffi::Py_tp_getattro, getattro as *mut _),
                slot(ffi::Py_tp_setattro, setattro as *mut _),
                slot(ffi::Py_mp_subscript, subscript as *mut _),
                slot(ffi::Py_mp_ass_subscript, ass_subscript as *mut _),
                slot(ffi::Py_sq_contains, contains as *mut _),
                slot(ffi::Py_tp_iter, iter as *mut _),
                slot(0, ptr::null_mut()),
            ];
            let too_large = |_| PyTypeError::new_err("LocalProxy is too large to derive from");
            let mut spec = ffi::PyType_Spec {
                name: c"bustapi._native.LocalProxy".as_ptr().cast::<c_char>(),
                basicsize: c_int::try_from(size).map_err(too_large)?,
                itemsize: 0,
                flags: u32::try_from(ffi::Py_TPFLAGS_DEFAULT)
                    .map_err(|_| PyTypeError::new_err("type flags"))?,
                slots: slots.as_mut_ptr(),
            };
            // SAFETY: the slots' functions have the signatures that their slots ask for, the list
            // ends with a null slot, and the instances have room for the base's fields and one
            // pointer after them. The class is a new reference, or null with an exception set.
            let class = unsafe {
                let class = ffi::PyType_FromSpecWithBases(&raw mut spec, base.as_ptr());
                Bound::from_owned_ptr_or_err(py, class)?.cast_into::<PyType>()?
            };
            // Every class gets these of its own, where they would hide those of the proxy or of
            // what it stands for. The name also is in the messages of Python's own errors.
            class.setattr("__name__", base.name()?)?;
            class.setattr("__qualname__", base.qualname()?)?;
            let inherited = base.getattr("__dict__")?;
            for name in ["__module__", "__doc__"] {
                class.setattr(name, inherited.get_item(name)?)?;
            }
            Ok(Self {
                class: class.unbind(),
                offset: isize::try_from(base_size)
                    .map_err(|_| PyTypeError::new_err("LocalProxy is too large to derive from"))?,
            })
        })
    }
}

/// Makes a proxy for what `variable` holds, or for an attribute of that.
///
/// :raises TypeError: if `variable` is no context variable.
#[pyfunction]
pub(crate) fn make_proxy<'py>(
    variable: &Bound<'py, PyAny>,
    attribute: Option<Bound<'py, PyString>>,
    unbound_message: String,
) -> PyResult<Bound<'py, PyAny>> {
    let py = variable.py();
    // SAFETY: the reference is valid; the macro only reads its type.
    if unsafe { ffi::PyContextVar_CheckExact(variable.as_ptr()) } == 0 {
        return Err(PyTypeError::new_err("a proxy needs a context variable"));
    }
    let class = ProxyClass::get(py)?;
    let keywords = PyDict::new(py);
    keywords.set_item("unbound_message", &unbound_message)?;
    let base = class.class.bind(py).getattr("__base__")?;
    let plain = base.call((variable, &attribute), Some(&keywords))?;
    let proxy = allocate(class.class.bind(py))?;
    // `LocalProxy.__init__` would assign these, but `object.__setattr__`, which it uses, refuses
    // classes with a native `__setattr__`.
    for slot in ["_LocalProxy__wrapped", "_get_current_object"] {
        let slot = base.getattr(slot)?;
        let value = slot.call_method1("__get__", (&plain,))?;
        slot.call_method1("__set__", (&proxy, value))?;
    }
    let target = Box::new(Target {
        variable: variable.clone().unbind(),
        attribute: attribute
            .map(|name| {
                Ok::<_, PyErr>(match name.to_str()? {
                    "app" => Attribute::App,
                    "g" => Attribute::Globals,
                    "request" => Attribute::Request,
                    "session" => Attribute::Session,
                    _ => Attribute::Named(name.unbind()),
                })
            })
            .transpose()?,
        unbound_message,
    });
    // SAFETY: the instance has a pointer's room at the offset, zeroed when it was allocated. The
    // target is never freed: proxies are made once, for the module that holds them.
    unsafe {
        let slot = proxy
            .as_ptr()
            .byte_offset(class.offset)
            .cast::<*const Target>();
        *slot = Box::into_raw(target);
    }
    Ok(proxy)
}

/// The target of a proxy; `None` while its constructor runs.
///
/// # Safety
///
/// `proxy` must be an instance of the class made here.
unsafe fn target<'a>(proxy: *mut ffi::PyObject, class: &ProxyClass) -> Option<&'a Target> {
    // SAFETY: the caller's promise; the pointer is null or was leaked by `make_proxy`.
    unsafe {
        let slot = proxy.byte_offset(class.offset).cast::<*const Target>();
        (*slot).as_ref()
    }
}

/// Whether a name is `LocalProxy`'s own matter, such as `__class__` or `_get_current_object`.
fn is_private(name: *mut ffi::PyObject, py: Python<'_>) -> bool {
    // SAFETY: attribute names reach these slots as references to strings.
    let name = unsafe { Borrowed::from_ptr(py, name) };
    let Ok(name) = name.cast::<PyString>() else {
        return false;
    };
    name.to_str().is_ok_and(|name| {
        name.starts_with("__") || name == "_get_current_object" || name.starts_with("_LocalProxy")
    })
}

/// Runs `access` on what the proxy stands for, or gives `None` if that is not known.
///
/// # Safety
///
/// To be called by the interpreter, as a slot of the class, with the thread attached.
unsafe fn with_current<T>(
    proxy: *mut ffi::PyObject,
    failed: T,
    access: impl FnOnce(*mut ffi::PyObject) -> T,
) -> T {
    // SAFETY: slots are called with the interpreter attached.
    let py = unsafe { Python::assume_attached() };
    let Some(class) = CLASS.get(py) else {
        return failed;
    };
    // SAFETY: slots are called with instances of the class.
    let current = match unsafe { target(proxy, class) } {
        Some(target) => target.current(py),
        None => Err(PyRuntimeError::new_err("the proxy is not set up")),
    };
    match current {
        Ok(current) => access(current.as_ptr()),
        Err(error) => {
            error.restore(py);
            failed
        }
    }
}

unsafe extern "C" fn getattro(
    proxy: *mut ffi::PyObject,
    name: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: as for every slot, the thread is attached and the arguments are valid. The base
    // class's own slot is not called: it would look `__getattribute__` up, and find this one.
    unsafe {
        let py = Python::assume_attached();
        match CLASS.get(py) {
            Some(_) if is_private(name, py) => {
                let found = ffi::PyObject_GenericGetAttr(proxy, name);
                if !found.is_null() || ffi::PyErr_ExceptionMatches(ffi::PyExc_AttributeError) == 0 {
                    return found;
                }
                ffi::PyErr_Clear();
                with_current(proxy, ptr::null_mut(), |current| {
                    ffi::PyObject_GetAttr(current, name)
                })
            }
            _ => with_current(proxy, ptr::null_mut(), |current| {
                ffi::PyObject_GetAttr(current, name)
            }),
        }
    }
}

unsafe extern "C" fn setattro(
    proxy: *mut ffi::PyObject,
    name: *mut ffi::PyObject,
    value: *mut ffi::PyObject,
) -> c_int {
    // SAFETY: as for `getattro`; a null value asks for deletion, here as there.
    unsafe {
        with_current(proxy, -1, |current| {
            if value.is_null() {
                ffi::PyObject_DelAttr(current, name)
            } else {
                ffi::PyObject_SetAttr(current, name, value)
            }
        })
    }
}

unsafe extern "C" fn subscript(
    proxy: *mut ffi::PyObject,
    key: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: as for `getattro`.
    unsafe {
        with_current(proxy, ptr::null_mut(), |current| {
            ffi::PyObject_GetItem(current, key)
        })
    }
}

unsafe extern "C" fn ass_subscript(
    proxy: *mut ffi::PyObject,
    key: *mut ffi::PyObject,
    value: *mut ffi::PyObject,
) -> c_int {
    // SAFETY: as for `getattro`; a null value asks for deletion, here as there.
    unsafe {
        with_current(proxy, -1, |current| {
            if value.is_null() {
                ffi::PyObject_DelItem(current, key)
            } else {
                ffi::PyObject_SetItem(current, key, value)
            }
        })
    }
}

unsafe extern "C" fn iter(proxy: *mut ffi::PyObject) -> *mut ffi::PyObject {
    // SAFETY: as for `getattro`. Python must not take the proxy for a sequence because it has
    // items: where nothing is current it is not iterable, as is a proxy of Werkzeug's.
    unsafe {
        let py = Python::assume_attached();
        let Some(target) = CLASS.get(py).and_then(|class| target(proxy, class)) else {
            return ptr::null_mut();
        };
        let Ok(current) = target.current(py) else {
            PyTypeError::new_err("'LocalProxy' object is not iterable").restore(py);
            return ptr::null_mut();
        };
        ffi::PyObject_GetIter(current.as_ptr())
    }
}

unsafe extern "C" fn contains(proxy: *mut ffi::PyObject, item: *mut ffi::PyObject) -> c_int {
    // SAFETY: as for `getattro`.
    unsafe { with_current(proxy, -1, |current| ffi::PySequence_Contains(current, item)) }
}
