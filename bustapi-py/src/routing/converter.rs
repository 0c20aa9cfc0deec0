//! Werkzeug's converters, and Python's expressions, for the router.

use std::ops::Range;
use std::sync::Arc;

use bustapi_router::{
    CompiledPattern, ConversionError, Converter, ConverterArgs, PatternEngine, SharedError, Value,
    builtin_converter, push_quoted_path, quote_path,
};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyFloat, PyInt, PyString, PyTuple};

use super::object::{PythonObject, basic_value, object_value, to_python};
use super::references::References;

/// A converter of a rule as the router wants it.
pub(crate) struct Translated {
    pub(crate) converter: Arc<dyn Converter>,
    /// Set where it holds a Python object.
    pub(crate) held: Option<Arc<PythonObject>>,
    /// Whether matching calls Python.
    pub(crate) calls_python: bool,
    /// Whether building does.
    pub(crate) builds_with_python: bool,
}

/// A Python converter; what it does not override, the router does.
#[derive(Debug)]
struct PythonConverter {
    object: Arc<PythonObject>,
    regex: String,
    weight: i64,
    part_isolating: bool,
    own_to_python: bool,
    own_to_url: bool,
}

/// Reads a converter object.
///
/// # Errors
///
/// Where an attribute has not the type that the router needs.
pub(crate) fn translate(object: &Bound<'_, PyAny>) -> PyResult<Translated> {
    let py = object.py();
    let known = References::get(py)?;
    if let Some(converter) = builtin(known, object)? {
        return Ok(Translated {
            converter,
            held: None,
            calls_python: false,
            builds_with_python: false,
        });
    }
    let defaults = known.converters.get();
    let kept = defaults.kept_by(&object.get_type())?;
    let own = object.getattr_opt(intern!(py, "__dict__"))?;
    let own = own.map(Bound::cast_into::<PyDict>).transpose()?;
    let is_own = |group: usize| -> PyResult<bool> {
        let is_set = match &own {
            Some(own) => defaults.are_set(group, own)?,
            None => false,
        };
        Ok(is_set || kept & (1 << group) == 0)
    };
    let (own_to_python, own_to_url) = (is_own(0)?, is_own(1)?);
    let object = PythonObject::new(object);
    let attribute = |name| object.0.bind(py).getattr(name);
    let converter = PythonConverter {
        regex: attribute(intern!(py, "regex"))?.extract()?,
        weight: attribute(intern!(py, "weight"))?.extract()?,
        part_isolating: attribute(intern!(py, "part_isolating"))?.is_truthy()?,
        own_to_python,
        own_to_url,
        object: Arc::clone(&object),
    };
    Ok(Translated {
        converter: Arc::new(converter),
        held: Some(object),
        calls_python: own_to_python,
        builds_with_python: own_to_url,
    })
}

/// The router's own converter, for an object of exactly one of Werkzeug's number classes.
/// (Those of text are as quick by their expression.)
fn builtin(known: &References, object: &Bound<'_, PyAny>) -> PyResult<Option<Arc<dyn Converter>>> {
    let py = object.py();
    let Some((name, parameters)) = known.number(&object.get_type())? else {
        return Ok(None);
    };
    let mut args = ConverterArgs::default();
    let signed = object.getattr_opt(intern!(py, "signed"))?;
    for parameter in parameters {
        let given = object.getattr(parameter.as_str())?;
        if given.is_none() {
            continue;
        }
        // A limit that is an `int` or a `float` is compared natively, any other by its own code.
        let Some(value) = basic_value(&given) else {
            return Ok(None);
        };
        let number = given.is_instance_of::<PyInt>() || given.is_instance_of::<PyFloat>();
        if !number || (*parameter == "fixed_digits" && !given.is_exact_instance_of::<PyInt>()) {
            return Ok(None);
        }
        args.set(parameter, value);
    }
    let signed = signed.map_or(Ok(false), |signed| signed.is_truthy())?;
    if signed {
        args.set("signed", Value::Bool(true));
    }
    let Some(Ok(converter)) = builtin_converter(name, &args) else {
        return Ok(None);
    };
    let same_regex = object
        .getattr(intern!(py, "regex"))?
        .eq(converter.regex())?;
    let same_weight = object
        .getattr(intern!(py, "weight"))?
        .eq(converter.weight())?;
    let isolating = object.getattr(intern!(py, "part_isolating"))?.is_truthy()?;
    let same = same_regex && same_weight && isolating == converter.part_isolating();
    Ok(same.then(|| match name {
        "int" => Arc::new(ShortInteger(converter)) as Arc<dyn Converter>,
        _ => converter,
    }))
}

/// As long a text, in bytes, as Python makes an integer of whatever the program says: the lowest
/// limit that `sys.set_int_max_str_digits` takes.
const SHORT: usize = 640;

/// The router's converter of integers, for texts that are too short for any limit of Python's to
/// apply. Longer ones fail here, and Werkzeug's implementation then converts or rejects them.
#[derive(Debug)]
struct ShortInteger(Arc<dyn Converter>);

impl ShortInteger {
    fn check(text: &str) -> Result<(), ConversionError> {
        if text.len() > SHORT {
            return Err(ConversionError::failed("the digits may be too many"));
        }
        Ok(())
    }

    fn check_value(value: &Value) -> Result<(), ConversionError> {
        value.as_str().map_or(Ok(()), Self::check)
    }
}

impl Converter for ShortInteger {
    fn regex(&self) -> &str {
        self.0.regex()
    }

    fn weight(&self) -> i64 {
        self.0.weight()
    }

    fn part_isolating(&self) -> bool {
        self.0.part_isolating()
    }

    fn to_value(&self, text: &str) -> Result<Value, ConversionError> {
        Self::check(text)?;
        self.0.to_value(text)
    }

    fn to_url(&self, value: &Value) -> Result<String, ConversionError> {
        Self::check_value(value)?;
        self.0.to_url(value)
    }

    fn push_url(&self, value: &Value, out: &mut String) -> Result<(), ConversionError> {
        Self::check_value(value)?;
        self.0.push_url(value, out)
    }
}

impl PythonConverter {
    fn call<'py>(
        &self,
        py: Python<'py>,
        method: &Bound<'py, PyString>,
        argument: Bound<'py, PyAny>,
    ) -> Result<Bound<'py, PyAny>, ConversionError> {
        let called = self.object.0.bind(py).call_method1(method, (argument,));
        called.map_err(|error| rejection(py, error))
    }
}

/// A raised `ValidationError` is a verdict, anything else a failure.
fn rejection(py: Python<'_>, error: PyErr) -> ConversionError {
    match References::get(py) {
        Ok(known) if error.is_instance(py, known.validation_error.bind(py)) => {
            ConversionError::Rejected
        }
        _ => ConversionError::Failed(Arc::new(error)),
    }
}

impl Converter for PythonConverter {
    fn regex(&self) -> &str {
        &self.regex
    }

    fn weight(&self) -> i64 {
        self.weight
    }

    fn part_isolating(&self) -> bool {
        self.part_isolating
    }

    fn to_value(&self, text: &str) -> Result<Value, ConversionError> {
        if !self.own_to_python {
            return Ok(Value::from(text));
        }
        Python::attach(|py| {
            let text = PyString::new(py, text).into_any();
            let value = self.call(py, intern!(py, "to_python"), text)?;
            Ok(basic_value(&value).unwrap_or_else(|| object_value(&value)))
        })
    }

    fn push_url(&self, value: &Value, out: &mut String) -> Result<(), ConversionError> {
        if self.own_to_url {
            out.push_str(&self.to_url(value)?);
        } else {
            push_quoted_path(out, &value.to_text().map_err(ConversionError::Failed)?);
        }
        Ok(())
    }

    fn to_url(&self, value: &Value) -> Result<String, ConversionError> {
        if !self.own_to_url {
            let text = value.to_text().map_err(ConversionError::Failed)?;
            return Ok(quote_path(&text));
        }
        Python::attach(|py| {
            let failed = |error: PyErr| ConversionError::Failed(Arc::new(error));
            let value = to_python(py, value).map_err(failed)?;
            let url = self.call(py, intern!(py, "to_url"), value)?;
            // Anything but a text fails here, and Werkzeug's implementation then raises its error.
            let url = url
                .cast_exact::<PyString>()
                .map_err(|_| ConversionError::failed("`to_url` gave no plain text"))?;
            Ok(url.to_str().map_err(failed)?.to_owned())
        })
    }
}

/// Python's `re`, for expressions that the router cannot do itself.
#[derive(Debug)]
pub(crate) struct PythonEngine;

#[derive(Debug)]
struct PythonPattern {
    pattern: Py<PyAny>,
}

impl PatternEngine for PythonEngine {
    fn compile(&self, expression: &str) -> Result<Arc<dyn CompiledPattern>, SharedError> {
        Python::attach(|py| {
            let compiled = py
                .import(intern!(py, "re"))
                .and_then(|re| re.call_method1(intern!(py, "compile"), (expression,)));
            match compiled {
                Ok(pattern) => Ok(Arc::new(PythonPattern {
                    pattern: pattern.unbind(),
                }) as Arc<dyn CompiledPattern>),
                Err(error) => Err(Arc::new(error) as SharedError),
            }
        })
    }
}

impl PythonPattern {
    fn spans(&self, py: Python<'_>, text: &str) -> PyResult<Option<Vec<(usize, usize)>>> {
        let found = self
            .pattern
            .bind(py)
            .call_method1(intern!(py, "match"), (text,))?;
        if found.is_none() {
            return Ok(None);
        }
        let groups = self.pattern.bind(py).getattr(intern!(py, "groupindex"))?;
        let mut spans = Vec::new();
        for number in 0.. {
            let name = format!("__werkzeug_{number}");
            if !groups.contains(&name)? {
                break;
            }
            let span: Bound<'_, PyTuple> = found
                .call_method1(intern!(py, "span"), (name,))?
                .cast_into()?;
            spans.push(span.extract::<(usize, usize)>()?);
        }
        Ok(Some(spans))
    }
}

impl CompiledPattern for PythonPattern {
    fn captures(&self, text: &str) -> Option<Vec<Range<usize>>> {
        let spans = Python::attach(|py| match self.spans(py, text) {
            Ok(spans) => spans,
            Err(error) => {
                // Only a lack of memory raises here, and the result cannot hold an exception.
                error.write_unraisable(py, Some(self.pattern.bind(py)));
                None
            }
        })?;
        // Python's positions count characters; the router's count bytes.
        let offset = |index: usize| {
            let found = text.char_indices().nth(index);
            found.map_or(text.len(), |(at, _)| at)
        };
        let bytes = |(start, end)| offset(start)..offset(end);
        Some(spans.into_iter().map(bytes).collect())
    }
}
