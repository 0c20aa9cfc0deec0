//! Which of a class's attributes an application has replaced.
//!
//! What is done natively is what the package's own methods would do, so that a class must still
//! have them, or derive from one that has. What a class held when it was defined, before anything
//! could patch it, is noted; another class is compared with that once for each version that
//! `CPython` gives its attributes.

use std::sync::{Mutex, PoisonError};

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyString, PyTuple, PyType};

/// How many classes are remembered; programs have one or two.
const REMEMBERED: usize = 8;

/// What a class held when it was defined, by groups of attributes.
pub(crate) struct Defaults {
    class: Py<PyType>,
    groups: Vec<Vec<Held>>,
    known: Mutex<Vec<Known>>,
}

/// A name, and what a class holds under it.
type Held = (Py<PyString>, Option<Py<PyAny>>);

/// What was found out about a class while its attributes had this version.
struct Known {
    class: Py<PyType>,
    version: u32,
    kept: u8,
}

impl Defaults {
    /// Notes what `class` holds under the names of up to eight groups.
    ///
    /// # Errors
    ///
    /// Whatever looking at the class raises.
    pub(crate) fn note(class: &Bound<'_, PyType>, groups: &[&[&str]]) -> PyResult<Self> {
        let note = |name: &&str| {
            let name = PyString::intern(class.py(), name);
            let held = held(class, &name)?.map(Bound::unbind);
            Ok((name.unbind(), held))
        };
        let groups = groups.iter().map(|names| names.iter().map(note).collect());
        Ok(Self {
            class: class.clone().unbind(),
            groups: groups.collect::<PyResult<_>>()?,
            known: Mutex::default(),
        })
    }

    /// The groups, as bits from the lowest, of which `class` holds all that was noted; none for
    /// a class that does not derive from the noted one.
    ///
    /// # Errors
    ///
    /// Whatever looking at the class raises.
    pub(crate) fn kept_by(&self, class: &Bound<'_, PyType>) -> PyResult<u8> {
        let version = version_of(class);
        let lock = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if version != 0
            && let Some(known) = lock().iter().find(|known| known.class.is(class))
            && known.version == version
        {
            return Ok(known.kept);
        }
        // A class has no version until an attribute is looked up.
        class.getattr(intern!(class.py(), "__init__"))?;
        let version = version_of(class);
        let kept = self.compare(class)?;
        // What was forgotten is dropped after the lock: dropping a class may run code.
        let mut known = lock();
        let mut forgotten = Vec::new();
        while let Some(at) = known.iter().position(|known| known.class.is(class)) {
            forgotten.push(known.swap_remove(at));
        }
        if known.len() >= REMEMBERED {
            forgotten.push(known.remove(0));
        }
        known.push(Known {
            class: class.clone().unbind(),
            version,
            kept,
        });
        drop(known);
        Ok(kept)
    }

    fn compare(&self, class: &Bound<'_, PyType>) -> PyResult<u8> {
        let py = class.py();
        if !class.is_subclass(self.class.bind(py))? {
            return Ok(0);
        }
        let mut kept = 0;
        for (bit, group) in self.groups.iter().enumerate() {
            let mut same = true;
            for (name, default) in group {
                same &= match (held(class, name.bind(py))?, default) {
                    (Some(held), Some(default)) => held.is(default),
                    (held, default) => held.is_none() && default.is_none(),
                };
            }
            kept |= u8::from(same) << bit;
        }
        Ok(kept)
    }
}

// A changed class has the tag 0 until it gets another. The flag that says the same is not kept
// from CPython 3.13 on.
#[expect(unsafe_code, reason = "pyo3 does not show the version tag")]
pub(crate) fn version_of(class: &Bound<'_, PyType>) -> u32 {
    // SAFETY: a type object is a PyTypeObject for as long as it is referenced, and the field
    // is only written with the interpreter attached, as `class` proves this thread is.
    unsafe { (*class.as_type_ptr()).tp_version_tag }
}

/// What a class or its bases hold under a name, without asking descriptors.
fn held<'py>(
    class: &Bound<'py, PyType>,
    name: &Bound<'py, PyString>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = class.py();
    for base in class.getattr(intern!(py, "__mro__"))?.cast::<PyTuple>()? {
        let attributes = base.getattr(intern!(py, "__dict__"))?;
        if attributes.contains(name)? {
            return attributes.get_item(name).map(Some);
        }
    }
    Ok(None)
}
