//! The converters that every map knows: Werkzeug's.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;

use crate::error::{ConversionError, SharedError, message_error};
use crate::rule::converter::{Converter, ConverterArgs};
use crate::text::python::{ascii_digits, float_text, parse_float, parse_int};
use crate::text::quote::push_quoted_path;
use crate::value::{Value, parse_uuid};

/// Makes one of the converters that every map knows: `default`, `string`, `any`, `path`, `int`,
/// `float` or `uuid`; `None` for other names.
///
/// # Errors
///
/// Where the converter refuses its arguments.
///
/// ```
/// use bustapi_router::{ConverterArgs, Value, builtin_converter};
///
/// let mut args = ConverterArgs::default();
/// args.set("max", Value::Int(12));
/// let month = builtin_converter("int", &args).unwrap()?;
/// assert_eq!(month.to_value("07").unwrap(), Value::Int(7));
/// assert!(month.to_value("13").is_err());
/// # Ok::<(), bustapi_router::SharedError>(())
/// ```
#[must_use]
pub fn builtin_converter(
    name: &str,
    args: &ConverterArgs,
) -> Option<Result<Arc<dyn Converter>, SharedError>> {
    Some(match name {
        "default" | "string" => StringConverter::make(args).map(wrap),
        "any" => AnyConverter::make(args).map(wrap),
        "path" => args.bind([]).map(|[]| wrap(PathConverter)),
        "int" => IntConverter::make(args).map(wrap),
        "float" => FloatConverter::make(args).map(wrap),
        "uuid" => args.bind([]).map(|[]| wrap(UuidConverter)),
        _ => return None,
    })
}

fn wrap(converter: impl Converter + 'static) -> Arc<dyn Converter> {
    Arc::new(converter)
}

/// `string`, and what a variable without a converter is: text without a slash.
#[derive(Debug)]
struct StringConverter {
    regex: String,
}

impl StringConverter {
    fn make(args: &ConverterArgs) -> Result<Self, SharedError> {
        let [minimum, maximum, length] = args.bind(["minlength", "maxlength", "length"])?;
        let given = |value: Option<&Value>| -> Result<Option<String>, SharedError> {
            match value {
                None | Some(Value::None) => Ok(None),
                Some(value) => count(value).map(Some),
            }
        };
        let repeat = if let Some(length) = given(length)? {
            format!("{{{length}}}")
        } else {
            let minimum = match minimum {
                None => "1".to_owned(),
                Some(value) => count(value)?,
            };
            let maximum = given(maximum)?.unwrap_or_default();
            format!("{{{minimum},{maximum}}}")
        };
        Ok(Self {
            regex: format!("[^/]{repeat}"),
        })
    }
}

/// A number of characters, from what `int()` takes.
fn count(value: &Value) -> Result<String, SharedError> {
    integer_text(value).map_err(|error| match error {
        ConversionError::Rejected => message_error("not a length"),
        ConversionError::Failed(source) => source,
    })
}

/// What [`Converter::push_url`] is for converters that leave `to_url` as it is.
fn push_text(value: &Value, out: &mut String) -> Result<(), ConversionError> {
    let text = value.to_text().map_err(ConversionError::Failed)?;
    push_quoted_path(out, &text);
    Ok(())
}

impl Converter for StringConverter {
    fn regex(&self) -> &str {
        &self.regex
    }

    fn push_url(&self, value: &Value, out: &mut String) -> Result<(), ConversionError> {
        push_text(value, out)
    }

    fn part_isolating(&self) -> bool {
        true
    }
}

/// `any`: one of the given words.
#[derive(Debug)]
struct AnyConverter {
    items: BTreeSet<Arc<str>>,
    regex: String,
}

impl AnyConverter {
    fn make(args: &ConverterArgs) -> Result<Self, SharedError> {
        if let Some((name, _)) = args.named().first() {
            return Err(message_error(format!("has no argument `{name}`")));
        }
        let mut items = BTreeSet::new();
        let mut alternatives = Vec::new();
        for item in args.positional() {
            let Value::Str(text) = item else {
                return Err(message_error(format!("{item:?} is not a string")));
            };
            alternatives.push(escape(text));
            items.insert(Arc::clone(text));
        }
        Ok(Self {
            items,
            regex: format!("(?:{})", alternatives.join("|")),
        })
    }
}

/// Escapes text as Python's `re.escape` does, so that expressions compare as they do there.
pub(crate) fn escape(text: &str) -> String {
    const SPECIAL: &str = "()[]{}?*+-|^$\\.&~# \t\n\r\u{b}\u{c}";
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        if SPECIAL.contains(character) {
            out.push('\\');
        }
        out.push(character);
    }
    out
}

impl Converter for AnyConverter {
    fn regex(&self) -> &str {
        &self.regex
    }

    fn part_isolating(&self) -> bool {
        true
    }

    fn to_url(&self, value: &Value) -> Result<String, ConversionError> {
        let text = value.to_text().map_err(ConversionError::Failed)?;
        let known = match value {
            Value::Str(text) => self.items.contains(text),
            Value::Object(_) => self.items.iter().any(|item| {
                let item = Value::Str(Arc::clone(item));
                *value == item
            }),
            _ => false,
        };
        if known {
            return Ok(text.into_owned());
        }
        let items: Vec<String> = self.items.iter().map(|item| format!("'{item}'")).collect();
        let items = items.join(", ");
        Err(ConversionError::failed(format!(
            "'{text}' is not one of {items}"
        )))
    }
}

/// `path`: text that may hold slashes, but does not begin with one.
#[derive(Debug)]
struct PathConverter;

impl Converter for PathConverter {
    fn push_url(&self, value: &Value, out: &mut String) -> Result<(), ConversionError> {
        push_text(value, out)
    }

    fn regex(&self) -> &'static str {
        "[^/].*?"
    }

    fn weight(&self) -> i64 {
        200
    }

    fn part_isolating(&self) -> bool {
        false
    }
}

/// `int`: decimal digits.
#[derive(Debug)]
struct IntConverter {
    /// The exact number of characters; 0 for any.
    fixed_digits: usize,
    limits: Limits,
    signed: bool,
}

impl IntConverter {
    fn make(args: &ConverterArgs) -> Result<Self, SharedError> {
        let [fixed_digits, minimum, maximum, signed] =
            args.bind(["fixed_digits", "min", "max", "signed"])?;
        let fixed_digits = match fixed_digits {
            None | Some(Value::None) => 0,
            Some(value) => count(value)?
                .parse()
                .map_err(|_| message_error("`fixed_digits` is not a length"))?,
        };
        Ok(Self {
            fixed_digits,
            limits: Limits::new(minimum, maximum)?,
            signed: signed.is_some_and(Value::is_truthy),
        })
    }
}

impl Converter for IntConverter {
    fn regex(&self) -> &'static str {
        if self.signed { r"-?\d+" } else { r"\d+" }
    }

    fn weight(&self) -> i64 {
        50
    }

    fn part_isolating(&self) -> bool {
        true
    }

    fn to_value(&self, text: &str) -> Result<Value, ConversionError> {
        if self.fixed_digits != 0 && text.chars().count() != self.fixed_digits {
            return Err(ConversionError::Rejected);
        }
        if self.limits.is_none()
            && let Ok(number) = text.parse()
        {
            // Nearly every integer takes this way, on which the value is made where it is returned:
            // each move of a value costs a stalled load.
            return Ok(Value::Int(number));
        }
        let value = Value::integer(text)
            .ok_or_else(|| ConversionError::failed(format!("`{text}` is not an integer")))?;
        self.limits.check(value)
    }

    fn push_url(&self, value: &Value, out: &mut String) -> Result<(), ConversionError> {
        match value {
            Value::Int(number) if self.fixed_digits == 0 => {
                write!(out, "{number}").expect("writing to a string does not fail");
            }
            other => out.push_str(&self.to_url(other)?),
        }
        Ok(())
    }

    fn to_url(&self, value: &Value) -> Result<String, ConversionError> {
        let digits = integer_text(value)?;
        if digits.len() >= self.fixed_digits {
            return Ok(digits);
        }
        let zeros = "0".repeat(self.fixed_digits - digits.len());
        Ok(match digits.strip_prefix('-') {
            Some(rest) => format!("-{zeros}{rest}"),
            None => zeros + &digits,
        })
    }
}

/// `str(int(value))`.
fn integer_text(value: &Value) -> Result<String, ConversionError> {
    let refuse = || ConversionError::failed(format!("{value:?} is not an integer"));
    match value {
        Value::Bool(truth) => Ok(u8::from(*truth).to_string()),
        Value::Int(number) => Ok(number.to_string()),
        Value::BigInt(digits) => Ok(digits.to_string()),
        Value::Float(number) if number.is_finite() => {
            parse_int(&format!("{:.0}", number.trunc())).ok_or_else(refuse)
        }
        Value::Str(text) => parse_int(text).ok_or_else(refuse),
        Value::Uuid(bytes) => Ok(u128::from_be_bytes(*bytes).to_string()),
        Value::Object(object) => object.to_integer().map_err(ConversionError::Failed),
        Value::None | Value::Float(_) | Value::List(_) => Err(refuse()),
    }
}

/// `float`: decimal digits on both sides of a dot.
#[derive(Debug)]
struct FloatConverter {
    limits: Limits,
    signed: bool,
}

impl FloatConverter {
    fn make(args: &ConverterArgs) -> Result<Self, SharedError> {
        let [minimum, maximum, signed] = args.bind(["min", "max", "signed"])?;
        Ok(Self {
            limits: Limits::new(minimum, maximum)?,
            signed: signed.is_some_and(Value::is_truthy),
        })
    }
}

impl Converter for FloatConverter {
    fn regex(&self) -> &'static str {
        if self.signed {
            r"-?\d+\.\d+"
        } else {
            r"\d+\.\d+"
        }
    }

    fn weight(&self) -> i64 {
        50
    }

    fn part_isolating(&self) -> bool {
        true
    }

    fn to_value(&self, text: &str) -> Result<Value, ConversionError> {
        let number = ascii_digits(text)
            .parse()
            .map_err(|_| ConversionError::failed(format!("`{text}` is not a number")))?;
        self.limits.check(Value::Float(number))
    }

    fn to_url(&self, value: &Value) -> Result<String, ConversionError> {
        let refuse = || ConversionError::failed(format!("{value:?} is not a number"));
        let number = match value {
            Value::Float(number) => *number,
            Value::Object(object) => object.to_float().map_err(ConversionError::Failed)?,
            Value::Str(text) => parse_float(text).ok_or_else(refuse)?,
            Value::Bool(_) | Value::Int(_) | Value::BigInt(_) => {
                let digits = integer_text(value)?;
                let number: f64 = digits.parse().map_err(|_| refuse())?;
                if number.is_infinite() {
                    return Err(refuse());
                }
                number
            }
            _ => return Err(refuse()),
        };
        Ok(float_text(number))
    }
}

/// The least and greatest number a converter takes.
#[derive(Debug)]
struct Limits {
    minimum: Option<Value>,
    maximum: Option<Value>,
}

impl Limits {
    fn new(minimum: Option<&Value>, maximum: Option<&Value>) -> Result<Self, SharedError> {
        let limit = |value: Option<&Value>| match value {
            None | Some(Value::None) => Ok(None),
            Some(value) if value.compare(&Value::Int(0)).is_some() => Ok(Some(value.clone())),
            // A NaN compares with no number, so it limits none.
            Some(Value::Float(_)) => Ok(None),
            Some(other) => Err(message_error(format!("{other:?} is not a number"))),
        };
        Ok(Self {
            minimum: limit(minimum)?,
            maximum: limit(maximum)?,
        })
    }

    const fn is_none(&self) -> bool {
        self.minimum.is_none() && self.maximum.is_none()
    }

    fn check(&self, value: Value) -> Result<Value, ConversionError> {
        let below = |limit: &Value| value.compare(limit).is_some_and(std::cmp::Ordering::is_lt);
        let above = |limit: &Value| value.compare(limit).is_some_and(std::cmp::Ordering::is_gt);
        if self.minimum.as_ref().is_some_and(below) || self.maximum.as_ref().is_some_and(above) {
            return Err(ConversionError::Rejected);
        }
        Ok(value)
    }
}

/// `uuid`: 32 hexadecimal digits in five groups.
#[derive(Debug)]
struct UuidConverter;

impl Converter for UuidConverter {
    fn regex(&self) -> &'static str {
        "[A-Fa-f0-9]{8}-[A-Fa-f0-9]{4}-[A-Fa-f0-9]{4}-[A-Fa-f0-9]{4}-[A-Fa-f0-9]{12}"
    }

    fn part_isolating(&self) -> bool {
        true
    }

    fn to_value(&self, text: &str) -> Result<Value, ConversionError> {
        parse_uuid(text)
            .map(Value::Uuid)
            .ok_or_else(|| ConversionError::failed(format!("`{text}` is not a UUID")))
    }

    fn to_url(&self, value: &Value) -> Result<String, ConversionError> {
        let text = value.to_text().map_err(ConversionError::Failed)?;
        Ok(text.into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::parse::parse_arguments;

    fn made(name: &str, args: &str) -> Arc<dyn Converter> {
        builtin_converter(name, &parse_arguments(args).unwrap())
            .unwrap()
            .unwrap()
    }

    fn refused(name: &str, args: &str) -> bool {
        builtin_converter(name, &parse_arguments(args).unwrap())
            .unwrap()
            .is_err()
    }

    #[test]
    fn string_lengths_become_repeats() {
        assert_eq!(made("string", "").regex(), "[^/]{1,}");
        assert_eq!(made("default", "2, 5").regex(), "[^/]{2,5}");
        assert_eq!(made("string", "length=3").regex(), "[^/]{3}");
        assert!(refused("string", "length=x") && refused("string", "size=3"));
        assert!(refused("string", "1, 2, 3, 4") && refused("string", "1, minlength=2"));
    }

    #[test]
    fn int_checks_limits_and_digits() {
        let int = made("int", "min=3, max=2000");
        assert_eq!(int.to_value("3").unwrap(), Value::Int(3));
        assert!(matches!(int.to_value("2"), Err(ConversionError::Rejected)));
        assert!(matches!(
            int.to_value("2001"),
            Err(ConversionError::Rejected)
        ));
        let fixed = made("int", "fixed_digits=4, signed=True");
        assert_eq!(fixed.to_url(&Value::from(-7)).unwrap(), "-007");
        assert_eq!(fixed.to_url(&Value::from("12")).unwrap(), "0012");
        assert!(matches!(
            fixed.to_value("12"),
            Err(ConversionError::Rejected)
        ));
        assert!(int.to_url(&Value::from("x")).is_err());
        assert_eq!(int.to_url(&Value::from(3.9)).unwrap(), "3");
        assert!(refused("int", "min=abc"));
    }

    #[test]
    fn float_writes_as_python_does() {
        let float = made("float", "");
        assert_eq!(float.to_url(&Value::from(1)).unwrap(), "1.0");
        assert_eq!(float.to_value("٣.٥").unwrap(), Value::from(3.5));
        assert!(refused("float", "fixed_digits=3"));
    }

    #[test]
    fn any_takes_its_words_only() {
        let any = made("any", "a, 'b c', \"d,e\"");
        assert_eq!(any.regex(), r"(?:a|b\ c|d,e)");
        assert_eq!(any.to_url(&Value::from("b c")).unwrap(), "b c");
        let error = any.to_url(&Value::from("x")).unwrap_err();
        assert_eq!(error.to_string(), "'x' is not one of 'a', 'b c', 'd,e'");
        assert!(refused("any", "a, 3"));
    }
}
