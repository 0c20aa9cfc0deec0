//! JSON as Flask's default provider writes it, for values made of plain Python types.
//!
//! That is `json.dumps` with sorted keys and ASCII escapes. What is not written here is the
//! provider's matter: it calls `json.dumps` for the whole value, and so has Python's errors.

use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};

/// Nesting beyond this is left to Python, which knows how deep its stack may get.
const MAX_DEPTH: u32 = 64;

/// Below this, Python writes an exponent of two digits, and already for 1e-5. Above, it writes the
/// shortest digits that give the value back as `zmij` does, with an exponent from 1e16.
const SMALLEST_SAME: f64 = 1e-4;

/// What stands between items, and between a key and its value.
#[derive(Clone, Copy)]
struct Separators {
    item: &'static str,
    key: &'static str,
}

const COMPACT: Separators = Separators {
    item: ",",
    key: ":",
};

const SPACED: Separators = Separators {
    item: ", ",
    key: ": ",
};

/// Whether a byte is, or belongs to, a character that is written as an escape.
const ESCAPED: [bool; 256] = {
    let mut escaped = [true; 256];
    let mut byte = b' ';
    while byte <= b'~' {
        escaped[byte as usize] = matches!(byte, b'"' | b'\\');
        byte += 1;
    }
    escaped
};

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
pub(crate) fn dumps(value: &Bound<'_, PyAny>, out: &mut String) -> Option<()> {
    let mut writer = Writer {
        out,
        separators: COMPACT,
        default: None,
    };
    writer.write(value, 0).ok()
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
    let mut out = String::with_capacity(512);
    let mut writer = Writer {
        out: &mut out,
        separators: if spaced { SPACED } else { COMPACT },
        default: Some(default),
    };
    match writer.write(value, 0) {
        Ok(()) => Ok(Some(out)),
        Err(Stop::Raised(error)) => Err(error),
        Err(Stop::NotPlain) => Ok(None),
    }
}

struct Writer<'a, 'py> {
    out: &'a mut String,
    separators: Separators,
    default: Option<&'a Bound<'py, PyAny>>,
}

impl<'py> Writer<'_, 'py> {
    fn write(&mut self, value: &Bound<'py, PyAny>, depth: u32) -> Written {
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
            self.out
                .push_str(if flag.is_true() { "true" } else { "false" });
            return Ok(());
        }
        if value.is_none() {
            self.out.push_str("null");
            return Ok(());
        }
        if let Ok(number) = value.cast_exact::<PyFloat>() {
            return self.write_float(number);
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
        let value = default.call1((value,)).map_err(Stop::Raised)?;
        self.write(&value, depth + 1)
    }

    fn write_items(
        &mut self,
        items: impl Iterator<Item = Bound<'py, PyAny>>,
        depth: u32,
    ) -> Written {
        self.out.push('[');
        for (index, item) in items.enumerate() {
            if index > 0 {
                self.out.push_str(self.separators.item);
            }
            self.write(&item, depth + 1)?;
        }
        self.out.push(']');
        Ok(())
    }

    fn write_dict(&mut self, dict: &Bound<'py, PyDict>, depth: u32) -> Written {
        let mut entries = Vec::with_capacity(dict.len());
        for (key, value) in dict.iter() {
            let key = key
                .cast_into_exact::<PyString>()
                .map_err(|_| Stop::NotPlain)?;
            entries.push((key, value));
        }
        let mut sorted = Vec::with_capacity(entries.len());
        for (key, value) in &entries {
            sorted.push((text_of(key)?, value));
        }
        // Python compares by code point, which is the order of UTF-8 bytes.
        if !sorted.is_sorted_by_key(|(text, _)| *text) {
            sorted.sort_unstable_by_key(|(text, _)| *text);
        }
        self.out.push('{');
        for (index, (key, value)) in sorted.iter().enumerate() {
            if index > 0 {
                self.out.push_str(self.separators.item);
            }
            self.write_text(key);
            self.out.push_str(self.separators.key);
            self.write(value, depth + 1)?;
        }
        self.out.push('}');
        Ok(())
    }

    fn write_int(&mut self, number: &Bound<'_, PyInt>) -> Written {
        if let Ok(small) = number.extract::<i64>() {
            self.out.push_str(itoa::Buffer::new().format(small));
            return Ok(());
        }
        // It may have more digits than the program permits to be written.
        let text = number.repr().map_err(Stop::Raised)?;
        self.out.push_str(text_of(&text)?);
        Ok(())
    }

    fn write_float(&mut self, number: &Bound<'_, PyFloat>) -> Written {
        let value = number.value();
        if value.is_nan() {
            self.out.push_str("NaN");
        } else if value.is_infinite() {
            self.out
                .push_str(if value > 0.0 { "Infinity" } else { "-Infinity" });
        } else if value == 0.0 || value.abs() >= SMALLEST_SAME {
            self.out.push_str(zmij::Buffer::new().format_finite(value));
        } else {
            let text = number.repr().map_err(Stop::Raised)?;
            self.out.push_str(text_of(&text)?);
        }
        Ok(())
    }

    fn write_string(&mut self, text: &Bound<'_, PyString>) -> Written {
        self.write_text(text_of(text)?);
        Ok(())
    }

    fn write_text(&mut self, text: &str) {
        self.out.push('"');
        let mut rest = text;
        while let Some(at) = rest.bytes().position(|byte| ESCAPED[usize::from(byte)]) {
            let (plain, tail) = rest.split_at(at);
            self.out.push_str(plain);
            let mut chars = tail.chars();
            if let Some(c) = chars.next() {
                self.write_escape(c);
            }
            rest = chars.as_str();
        }
        self.out.push_str(rest);
        self.out.push('"');
    }

    fn write_escape(&mut self, c: char) {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let short = match c {
            '"' => "\\\"",
            '\\' => "\\\\",
            '\n' => "\\n",
            '\r' => "\\r",
            '\t' => "\\t",
            '\u{8}' => "\\b",
            '\u{c}' => "\\f",
            _ => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    self.out.push_str("\\u");
                    for shift in [12, 8, 4, 0] {
                        let digit = usize::from(*unit >> shift & 0xf);
                        self.out.push(char::from(HEX[digit]));
                    }
                }
                return;
            }
        };
        self.out.push_str(short);
    }
}

/// The text of a string; surrogates on their own are Python's to write.
fn text_of<'a>(text: &'a Bound<'_, PyString>) -> Result<&'a str, Stop> {
    text.to_str().map_err(|_| Stop::NotPlain)
}

/// As [`dumps`], for session cookies: `None` also for what Flask's serializer would tag, tuples
/// and objects whose one key looks like a tag.
pub(crate) fn dumps_untagged(value: &Bound<'_, PyAny>, out: &mut String) -> Option<()> {
    is_untagged(value, 0).then_some(())?;
    dumps(value, out)
}

fn is_untagged(value: &Bound<'_, PyAny>, depth: u32) -> bool {
    if depth > MAX_DEPTH {
        return false;
    }
    if let Ok(dict) = value.cast_exact::<PyDict>() {
        let single = dict.len() == 1;
        return dict.iter().all(|(key, item)| {
            let is_tag = single
                && key
                    .cast_exact::<PyString>()
                    .is_ok_and(|key| key.to_str().is_ok_and(|key| key.starts_with(' ')));
            !is_tag && is_untagged(&item, depth + 1)
        });
    }
    match value.cast_exact::<PyList>() {
        Ok(list) => list.iter().all(|item| is_untagged(&item, depth + 1)),
        Err(_) => !value.is_exact_instance_of::<PyTuple>(),
    }
}
