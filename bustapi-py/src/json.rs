//! JSON as Flask's default provider writes it, for values made of plain Python types.

use std::fmt::Write as _;

use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};

/// Nesting beyond this is left to Python, which knows how deep its stack may get.
const MAX_DEPTH: u32 = 64;

/// Writes `value` as `json.dumps` does with `sort_keys`, `ensure_ascii` and compact
/// separators. `None` where anything but exact `dict` with `str` keys, `list`, `tuple`,
/// `str`, `int`, `float`, `bool` and `None` occurs: that is the provider's matter.
pub(crate) fn dumps(value: &Bound<'_, PyAny>, out: &mut String) -> Option<()> {
    write(value, out, 0)
}

fn write(value: &Bound<'_, PyAny>, out: &mut String, depth: u32) -> Option<()> {
    if depth > MAX_DEPTH {
        return None;
    }
    if let Ok(text) = value.cast_exact::<PyString>() {
        return write_string(text, out);
    }
    if let Ok(dict) = value.cast_exact::<PyDict>() {
        return write_dict(dict, out, depth);
    }
    if let Ok(list) = value.cast_exact::<PyList>() {
        return write_items(list.iter(), out, depth);
    }
    if let Ok(number) = value.cast_exact::<PyInt>() {
        return write_int(number, out);
    }
    if let Ok(flag) = value.cast_exact::<PyBool>() {
        out.push_str(if flag.is_true() { "true" } else { "false" });
        return Some(());
    }
    if value.is_none() {
        out.push_str("null");
        return Some(());
    }
    if let Ok(number) = value.cast_exact::<PyFloat>() {
        return write_float(number, out);
    }
    if let Ok(tuple) = value.cast_exact::<PyTuple>() {
        return write_items(tuple.iter(), out, depth);
    }
    None
}

fn write_items<'py>(
    items: impl Iterator<Item = Bound<'py, PyAny>>,
    out: &mut String,
    depth: u32,
) -> Option<()> {
    out.push('[');
    for (index, item) in items.enumerate() {
        if index > 0 {
            out.push(',');
        }
        write(&item, out, depth + 1)?;
    }
    out.push(']');
    Some(())
}

fn write_dict(dict: &Bound<'_, PyDict>, out: &mut String, depth: u32) -> Option<()> {
    if dict.is_empty() {
        out.push_str("{}");
        return Some(());
    }
    let mut entries = Vec::with_capacity(dict.len());
    for (key, value) in dict.iter() {
        entries.push((key.cast_into_exact::<PyString>().ok()?, value));
    }
    // Python compares by code point, which is the order of UTF-8 bytes.
    let mut sorted = Vec::with_capacity(entries.len());
    for (key, value) in &entries {
        sorted.push((key.to_str().ok()?, key, value));
    }
    sorted.sort_unstable_by_key(|(text, _, _)| *text);
    out.push('{');
    for (index, (_, key, value)) in sorted.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        write_string(key, out)?;
        out.push(':');
        write(value, out, depth + 1)?;
    }
    out.push('}');
    Some(())
}

fn write_int(number: &Bound<'_, PyInt>, out: &mut String) -> Option<()> {
    match number.extract::<i64>() {
        // Writing to a String cannot fail.
        Ok(small) => write!(out, "{small}").ok(),
        Err(_) => {
            out.push_str(number.repr().ok()?.to_str().ok()?);
            Some(())
        }
    }
}

fn write_float(number: &Bound<'_, PyFloat>, out: &mut String) -> Option<()> {
    let value = number.value();
    if value.is_finite() {
        out.push_str(number.repr().ok()?.to_str().ok()?);
    } else if value.is_nan() {
        out.push_str("NaN");
    } else {
        out.push_str(if value > 0.0 { "Infinity" } else { "-Infinity" });
    }
    Some(())
}

fn write_string(text: &Bound<'_, PyString>, out: &mut String) -> Option<()> {
    let text = text.to_str().ok()?;
    out.push('"');
    let mut plain = 0;
    for (at, c) in text.char_indices() {
        if matches!(c, ' '..='~') && c != '"' && c != '\\' {
            continue;
        }
        out.push_str(&text[plain..at]);
        plain = at + c.len_utf8();
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            other => {
                for unit in other.encode_utf16(&mut [0; 2]) {
                    write!(out, "\\u{unit:04x}").ok()?;
                }
            }
        }
    }
    out.push_str(&text[plain..]);
    out.push('"');
    Some(())
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
