//! The one answer to "has the application replaced this?"
//!
//! What is done natively is what the package's own methods would do, so that a class must still
//! have them, or derive from one that has. Each module of the package that has such a class makes
//! its [`Defaults`]: what the class holds when it is defined, before anything could patch it, by
//! named groups of attributes. The native halves are handed these, and `bustapi.plan` asks the
//! same objects. A class is compared once for each version that `CPython` gives its attributes.

use std::sync::{Mutex, PoisonError};

use pyo3::exceptions::{PyKeyError, PyValueError};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple, PyType};

/// How many classes are remembered; programs have one or two.
const REMEMBERED: usize = 8;

/// What a class held when it was defined, by named groups of attributes.
#[pyclass(frozen, module = "bustapi._native")]
pub(crate) struct Defaults {
    class: Py<PyType>,
    groups: Vec<Group>,
    seen: Mutex<Vec<Seen>>,
}

struct Group {
    name: String,
    held: Vec<Held>,
}

/// A name, and what a class holds under it.
type Held = (Py<PyString>, Option<Py<PyAny>>);

/// What was found out about a class while its attributes had this version.
struct Seen {
    class: Py<PyType>,
    version: u32,
    kept: u32,
}

impl Defaults {
    /// The class whose attributes were noted.
    pub(crate) fn class<'a, 'py>(&'a self, py: Python<'py>) -> &'a Bound<'py, PyType> {
        self.class.bind(py)
    }

    /// Makes sure that the groups are those that a native half knows, in its order: the bits of
    /// [`Defaults::kept_by`] mean them.
    ///
    /// # Errors
    ///
    /// `ValueError` for others.
    pub(crate) fn expect(&self, names: &[&str]) -> PyResult<()> {
        if self
            .groups
            .iter()
            .map(|group| &*group.name)
            .eq(names.iter().copied())
        {
            return Ok(());
        }
        Err(PyValueError::new_err(format!(
            "the groups of attributes must be {names:?}, in this order"
        )))
    }

    /// The number of the group of this name.
    ///
    /// # Errors
    ///
    /// `KeyError` if there is none.
    pub(crate) fn group(&self, name: &str) -> PyResult<usize> {
        let found = self.groups.iter().position(|group| group.name == name);
        found.ok_or_else(|| PyKeyError::new_err(name.to_owned()))
    }

    /// The groups, as bits from the lowest, of which `class` holds all that was noted; none for
    /// a class that does not derive from the noted one.
    ///
    /// # Errors
    ///
    /// Whatever looking at the class raises.
    pub(crate) fn kept_by(&self, class: &Bound<'_, PyType>) -> PyResult<u32> {
        let version = version_of(class);
        let lock = || self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if version != 0
            && let Some(seen) = lock().iter().find(|seen| seen.class.is(class))
            && seen.version == version
        {
            return Ok(seen.kept);
        }
        let version = ClassVersion::of(class)?.version;
        let kept = self.compare(class)?;
        // What is forgotten is dropped after the lock, as dropping a class may run code.
        let mut seen = lock();
        let mut forgotten = Vec::new();
        while let Some(at) = seen.iter().position(|seen| seen.class.is(class)) {
            forgotten.push(seen.swap_remove(at));
        }
        if seen.len() >= REMEMBERED {
            forgotten.push(seen.remove(0));
        }
        seen.push(Seen {
            class: class.clone().unbind(),
            version,
            kept,
        });
        drop(seen);
        Ok(kept)
    }

    /// Whether an object has attributes of its own under names of the group with this bit, which
    /// then take the place of its class's.
    ///
    /// # Errors
    ///
    /// Whatever hashing a key of `attributes` raises.
    pub(crate) fn are_set(&self, group: usize, attributes: &Bound<'_, PyDict>) -> PyResult<bool> {
        for (name, _) in &self.groups[group].held {
            if attributes.contains(name)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn compare(&self, class: &Bound<'_, PyType>) -> PyResult<u32> {
        let py = class.py();
        if !class.is_subclass(self.class.bind(py))? {
            return Ok(0);
        }
        let mut kept = 0;
        for (bit, group) in self.groups.iter().enumerate() {
            let mut same = true;
            for (name, default) in &group.held {
                same &= match (held(class, name.bind(py))?, default) {
                    (Some(held), Some(default)) => held.is(default),
                    (held, default) => held.is_none() && default.is_none(),
                };
            }
            kept |= u32::from(same) << bit;
        }
        Ok(kept)
    }

    /// The bits of groups; all for no names.
    fn bits(&self, names: &Bound<'_, PyTuple>) -> PyResult<u32> {
        if names.is_empty() {
            return Ok((0..self.groups.len()).fold(0, |bits, bit| bits | 1 << bit));
        }
        names.iter().try_fold(0, |bits, name| {
            let group = self.group(name.cast::<PyString>()?.to_str()?)?;
            Ok(bits | 1 << group)
        })
    }
}

#[pymethods]
impl Defaults {
    /// Notes what `cls` holds under the names of each group; at most 32.
    #[new]
    #[pyo3(signature = (cls, groups, /))]
    fn new(cls: &Bound<'_, PyType>, groups: &Bound<'_, PyDict>) -> PyResult<Self> {
        if groups.len() > u32::BITS as usize {
            return Err(PyValueError::new_err("there are more than 32 groups"));
        }
        let group = |(name, names): (Bound<'_, PyAny>, Bound<'_, PyAny>)| {
            let note = |name: PyResult<Bound<'_, PyAny>>| {
                let name = name?.cast_into::<PyString>()?;
                let held = held(cls, &name)?.map(Bound::unbind);
                Ok((name.unbind(), held))
            };
            PyResult::Ok(Group {
                name: name.extract()?,
                held: names.try_iter()?.map(note).collect::<PyResult<_>>()?,
            })
        };
        Ok(Self {
            class: cls.clone().unbind(),
            groups: groups.iter().map(group).collect::<PyResult<_>>()?,
            seen: Mutex::default(),
        })
    }

    /// Tell whether a class has something else under a name of one of the groups, or of any; so
    /// does a class that does not derive from the noted one.
    ///
    /// :raises `KeyError`: there is no group of that name.
    #[pyo3(signature = (cls, /, *groups))]
    fn replaced_by(&self, cls: &Bound<'_, PyType>, groups: &Bound<'_, PyTuple>) -> PyResult<bool> {
        let bits = self.bits(groups)?;
        Ok(self.kept_by(cls)? & bits != bits)
    }

    /// Tell whether an object, or its class, has something else under a name of one of the
    /// groups, or of any.
    ///
    /// :raises `KeyError`: there is no group of that name.
    #[pyo3(signature = (obj, /, *groups))]
    fn replaced_in(&self, obj: &Bound<'_, PyAny>, groups: &Bound<'_, PyTuple>) -> PyResult<bool> {
        if self.replaced_by(&obj.get_type(), groups)? {
            return Ok(true);
        }
        let bits = self.bits(groups)?;
        let Some(own) = obj.getattr_opt(intern!(obj.py(), "__dict__"))? else {
            return Ok(false);
        };
        let own = own.cast::<PyDict>()?;
        for group in (0..self.groups.len()).filter(|group| bits & (1 << group) != 0) {
            if self.are_set(group, own)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.class)?;
        for (_, held) in self.groups.iter().flat_map(|group| &group.held) {
            visit.call(held)?;
        }
        Ok(())
    }
}

/// A class and the version that `CPython` gave its present attributes; 0 is no version.
pub(crate) struct ClassVersion {
    class: Py<PyType>,
    version: u32,
}

impl ClassVersion {
    /// The version that `class` has now.
    ///
    /// # Errors
    ///
    /// Whatever looking at the class raises.
    pub(crate) fn of(class: &Bound<'_, PyType>) -> PyResult<Self> {
        // A class gets its version when an attribute that its own class has no descriptor for is
        // looked up.
        class.getattr(intern!(class.py(), "__init__"))?;
        Ok(Self {
            version: version_of(class),
            class: class.clone().unbind(),
        })
    }

    /// Whether this is the version of `class`.
    pub(crate) fn is_of(&self, class: &Bound<'_, PyType>) -> bool {
        self.class.is(class)
    }

    /// Whether no attribute of the class has changed since.
    pub(crate) fn is_current(&self, py: Python<'_>) -> bool {
        self.version != 0 && version_of(self.class.bind(py)) == self.version
    }
}

// A changed class has the tag 0 until it gets another. The flag that says the same is not kept
// from CPython 3.13 on.
#[expect(unsafe_code, reason = "pyo3 does not show the version tag")]
fn version_of(class: &Bound<'_, PyType>) -> u32 {
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
