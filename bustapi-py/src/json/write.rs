//! JSON as Flask's default provider writes it, for values made of plain Python types.
//!
//! That is `json.dumps` with sorted keys and ASCII escapes. What is not written here is the
//! provider's matter: it calls `json.dumps` for the whole value, and so has Python's errors. Once
//! `default` has been called it is too late for that, as what it was given may be used up (an
//! iterator, say): then `json.dumps` writes the one value within that is not plain.

use bustapi_http::python_json::{COMPACT, SPACED, Separators, push_float, push_int, push_string};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};

/// Nesting beyond this is left to Python, which knows how deep its stack may get.
const MAX_DEPTH: u32 = 64;

/// Why writing stopped.
enum Stop {
    /// The provider has to write it.
    NotPlain,
    /// `default` raised an exception.
    Raised(PyErr),
}

type Written = Result<(), Stop>;

/// Writes `value` as `json.dumps` does with `sort_keys`, `ensure_ascii` and compact
/// separators. `None` where anything but exact `dict` with `str` keys, `list`, `tuple`,
/// `str`, `int`, `float`, `bool` and `None` occurs: that is the provider's matter.
pub(crate) fn dumps(value: &Bound<'_, PyAny>, out: &mut Vec<u8>) -> Option<()> {
    Writer::new(out, COMPACT, None).write(value, 0).ok()
}

/// Writes a value with sorted keys and ASCII escapes.
///
/// `default` is called for a value of another type and returns what is written in its place;
/// `spaced` puts a space after commas and colons. `None` is returned for what `json.dumps` has
/// to write.
///
/// # Errors
///
/// What `default` raises.
#[pyfunction]
pub(crate) fn dump_json(
    value: &Bound<'_, PyAny>,
    default: &Bound<'_, PyAny>,
    spaced: bool,
) -> PyResult<Option<String>> {
    let text = dumps_with(value, default, if spaced { SPACED } else { COMPACT })?;
    Ok(text.and_then(|text| String::from_utf8(text).ok()))
}

/// As [`dump_json`]; the text is ASCII.
///
/// # Errors
///
/// What `default` raises.
pub(crate) fn dumps_with(
    value: &Bound<'_, PyAny>,
    default: &Bound<'_, PyAny>,
    separators: Separators,
) -> PyResult<Option<Vec<u8>>> {
    let mut out = Vec::with_capacity(512);
    match Writer::new(&mut out, separators, Some(default)).write(value, 0) {
        Ok(()) => Ok(Some(out)),
        Err(Stop::Raised(error)) => Err(error),
        Err(Stop::NotPlain) => Ok(None),
    }
}

struct Writer<'a, 'py> {
    out: &'a mut Vec<u8>,
    separators: Separators,
    default: Option<&'a Bound<'py, PyAny>>,
    /// The items of the dicts that are being written, those of the innermost last.
    entries: Vec<Entry<'py>>,
    /// Whether `default` was called: it may have used up what it was given, so that the whole
    /// value cannot be written once more.
    called_default: bool,
}

/// An item of a dict.
struct Entry<'py> {
    /// The text of `_key`.
    text: &'py str,
    _key: Bound<'py, PyString>,
    value: Bound<'py, PyAny>,
}

impl<'py> Entry<'py> {
    #[expect(unsafe_code, reason = "the text is kept beside what it belongs to")]
    fn new(key: Bound<'py, PyString>, value: Bound<'py, PyAny>) -> Result<Self, Stop> {
        let text: *const str = text_of(&key)?;
        Ok(Self {
            // SAFETY: the UTF-8 form of a string belongs to the object and never changes; the
            // object is kept alive by `_key` for as long as the entry, and the field is private
            // to this module, which copies it nowhere.
            text: unsafe { &*text },
            _key: key,
            value,
        })
    }
}

impl<'a, 'py> Writer<'a, 'py> {
    fn new(
        out: &'a mut Vec<u8>,
        separators: Separators,
        default: Option<&'a Bound<'py, PyAny>>,
    ) -> Self {
        Self {
            out,
            separators,
            default,
            entries: Vec::new(),
            called_default: false,
        }
    }

    fn write(&mut self, value: &Bound<'py, PyAny>, depth: u32) -> Written {
        match self.write_natively(value, depth) {
            Err(Stop::NotPlain) if self.called_default => self.write_by_python(value),
            written => written,
        }
    }

    /// Writes a value of which nothing was written, nor `default` called for a part of it.
    fn write_by_python(&mut self, value: &Bound<'py, PyAny>) -> Written {
        let py = value.py();
        let dumps = || -> PyResult<Bound<'py, PyString>> {
            let keywords = PyDict::new(py);
            let Separators { item, key } = self.separators;
            keywords.set_item(intern!(py, "separators"), (item, key))?;
            keywords.set_item(intern!(py, "sort_keys"), true)?;
            keywords.set_item(intern!(py, "default"), self.default)?;
            let json = py.import(intern!(py, "json"))?;
            let text = json.call_method(intern!(py, "dumps"), (value,), Some(&keywords))?;
            Ok(text.cast_into::<PyString>()?)
        };
        let text = dumps().map_err(Stop::Raised)?;
        self.out.extend_from_slice(text_of(&text)?.as_bytes());
        Ok(())
    }

    /// Stops at what is not plain before anything of it is written.
    fn write_natively(&mut self, value: &Bound<'py, PyAny>, depth: u32) -> Written {
        if depth > MAX_DEPTH {
            return Err(Stop::NotPlain);
        }
        if let Ok(text) = value.cast_exact::<PyString>() {
            return self.write_string(text);
        }
        if let Ok(dict) = value.cast_exact::<PyDict>() {
            return self.write_dict(dict, depth);
        }
        if let Ok(list) = value.cast_exact::<PyList>() {
            return self.write_items(list.iter(), depth);
        }
        if let Ok(number) = value.cast_exact::<PyInt>() {
            return self.write_int(number);
        }
        if let Ok(flag) = value.cast_exact::<PyBool>() {
            let text: &[u8] = if flag.is_true() { b"true" } else { b"false" };
            self.out.extend_from_slice(text);
            return Ok(());
        }
        if value.is_none() {
            self.out.extend_from_slice(b"null");
            return Ok(());
        }
        if let Ok(number) = value.cast_exact::<PyFloat>() {
            push_float(self.out, number.value());
            return Ok(());
        }
        if let Ok(tuple) = value.cast_exact::<PyTuple>() {
            return self.write_items(tuple.iter(), depth);
        }
        self.write_other(value, depth)
    }

    /// A string of a subclass, or what `default` makes of a value.
    fn write_other(&mut self, value: &Bound<'py, PyAny>, depth: u32) -> Written {
        let Some(default) = self.default else {
            return Err(Stop::NotPlain);
        };
        if let Ok(text) = value.cast::<PyString>() {
            return self.write_string(text);
        }
        // Subclasses of these have methods that Python asks.
        let is_plain = value.is_instance_of::<PyInt>()
            || value.is_instance_of::<PyFloat>()
            || value.is_instance_of::<PyDict>()
            || value.is_instance_of::<PyList>()
            || value.is_instance_of::<PyTuple>();
        if is_plain {
            return Err(Stop::NotPlain);
        }
        self.called_default = true;
        let value = default.call1((value,)).map_err(Stop::Raised)?;
        self.write(&value, depth + 1)
    }

    fn write_items(
        &mut self,
        items: impl Iterator<Item = Bound<'py, PyAny>>,
        depth: u32,
    ) -> Written {
        self.out.push(b'[');
        for (index, item) in items.enumerate() {
            if index > 0 {
                self.out.extend_from_slice(self.separators.item.as_bytes());
            }
            self.write(&item, depth + 1)?;
        }
        self.out.push(b']');
        Ok(())
    }

    fn read_entries(&mut self, dict: &Bound<'py, PyDict>) -> Written {
        for (key, value) in dict.iter() {
            let key = key
                .cast_into_exact::<PyString>()
                .map_err(|_| Stop::NotPlain)?;
            self.entries.push(Entry::new(key, value)?);
        }
        Ok(())
    }

    fn write_dict(&mut self, dict: &Bound<'py, PyDict>, depth: u32) -> Written {
        let first = self.entries.len();
        if let Err(stop) = self.read_entries(dict) {
            self.entries.truncate(first);
            return Err(stop);
        }
        // Python compares by code point, which is the order of UTF-8 bytes.
        let sorted = &mut self.entries[first..];
        if !sorted.is_sorted_by_key(|entry| entry.text) {
            sorted.sort_unstable_by_key(|entry| entry.text);
        }
        self.out.push(b'{');
        for index in first..self.entries.len() {
            if index > first {
                self.out.extend_from_slice(self.separators.item.as_bytes());
            }
            let Entry { text, value, .. } = &self.entries[index];
            let value = value.clone();
            push_string(self.out, text);
            self.out.extend_from_slice(self.separators.key.as_bytes());
            self.write(&value, depth + 1)?;
        }
        self.out.push(b'}');
        self.entries.truncate(first);
        Ok(())
    }

    fn write_int(&mut self, number: &Bound<'_, PyInt>) -> Written {
        if let Ok(small) = number.extract::<i64>() {
            push_int(self.out, small);
            return Ok(());
        }
        // It may have more digits than the program permits to be written.
        let text = number.repr().map_err(Stop::Raised)?;
        self.out.extend_from_slice(text_of(&text)?.as_bytes());
        Ok(())
    }

    fn write_string(&mut self, text: &Bound<'_, PyString>) -> Written {
        push_string(self.out, text_of(text)?);
        Ok(())
    }
}

/// The text of a string; surrogates on their own are Python's to write.
fn text_of<'a>(text: &'a Bound<'_, PyString>) -> Result<&'a str, Stop> {
    text.to_str().map_err(|_| Stop::NotPlain)
}

/// As [`dumps`], for the contents of a session, which may be of a subclass: `None` also for what
/// Flask's serializer would tag, tuples and objects whose one key looks like a tag.
pub(crate) fn dumps_untagged(contents: &Bound<'_, PyDict>, out: &mut Vec<u8>) -> Option<()> {
    are_untagged(contents, 0).then_some(())?;
    Writer::new(out, COMPACT, None).write_dict(contents, 0).ok()
}

fn are_untagged(dict: &Bound<'_, PyDict>, depth: u32) -> bool {
    let single = dict.len() == 1;
    dict.iter().all(|(key, item)| {
        let is_tag = single
            && key
                .cast_exact::<PyString>()
                .is_ok_and(|key| key.to_str().is_ok_and(|key| key.starts_with(' ')));
        !is_tag && is_untagged(&item, depth + 1)
    })
}

fn is_untagged(value: &Bound<'_, PyAny>, depth: u32) -> bool {
    if depth > MAX_DEPTH {
        return false;
    }
    if let Ok(dict) = value.cast_exact::<PyDict>() {
        return are_untagged(dict, depth);
    }
    match value.cast_exact::<PyList>() {
        Ok(list) => list.iter().all(|item| is_untagged(&item, depth + 1)),
        Err(_) => !value.is_exact_instance_of::<PyTuple>(),
    }
}
