//! The values of URL variables.
//!
//! A [`Value`] compares and prints as the Python value it stands for, because Werkzeug decides
//! by `==` whether a rule's defaults fit and writes URLs with `str()`.

use std::any::Any;
use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use crate::error::{SharedError, message_error};
use crate::text::python::{float_text, parse_int, repr_str};
use smallvec::SmallVec;

/// The value of one variable.
#[derive(Debug, Clone)]
pub enum Value {
    /// No value. Left out when a URL is built.
    None,
    /// A truth value; equal to 0 or 1, printed as `False` or `True`.
    Bool(bool),
    /// An integer that fits 64 bits.
    Int(i64),
    /// Any other integer, in canonical decimal form (made by [`Value::integer`]).
    BigInt(Arc<str>),
    /// A floating point number.
    Float(f64),
    /// A string.
    Str(Arc<str>),
    /// A UUID, most significant byte first.
    Uuid([u8; 16]),
    /// Several values under one name, for query strings.
    List(Arc<[Value]>),
    /// A value that only its converter knows.
    Object(Arc<dyn Object>),
}

/// A value made by a custom converter, or given to one.
///
/// The defaults make an object that is text and nothing else.
pub trait Object: Any + fmt::Debug + Send + Sync {
    /// The object's text, as Python's `str()`.
    ///
    /// # Errors
    ///
    /// Whatever the object's own code says; building the URL then fails with it.
    fn to_text(&self) -> Result<String, SharedError>;

    /// Whether the object equals another value, as Python's `==`.
    fn equals(&self, other: &Value) -> bool;

    /// The object's text inside a list, as Python's `repr()`.
    ///
    /// # Errors
    ///
    /// As for [`to_text`](Self::to_text).
    fn to_repr(&self) -> Result<String, SharedError> {
        self.to_text()
    }

    /// The bytes that stand for the object in a query string.
    ///
    /// # Errors
    ///
    /// As for [`to_text`](Self::to_text).
    fn to_query(&self) -> Result<Vec<u8>, SharedError> {
        self.to_text().map(String::into_bytes)
    }

    /// The object as an integer in decimal digits, for the `int` converter.
    ///
    /// # Errors
    ///
    /// Where the object is no number.
    fn to_integer(&self) -> Result<String, SharedError> {
        let text = self.to_text()?;
        parse_int(&text).ok_or_else(|| message_error(format!("`{text}` is not an integer")))
    }

    /// The object as a floating point number, for the `float` converter.
    ///
    /// # Errors
    ///
    /// Where the object is no number.
    fn to_float(&self) -> Result<f64, SharedError> {
        let text = self.to_text()?;
        crate::text::python::parse_float(&text)
            .ok_or_else(|| message_error(format!("`{text}` is not a number")))
    }
}

impl Value {
    /// An integer given in decimal digits, of any size; `None` where `digits` is not one.
    ///
    /// ```
    /// use bustapi_router::Value;
    /// assert_eq!(Value::integer("007"), Some(Value::Int(7)));
    /// assert!(matches!(Value::integer("99999999999999999999"), Some(Value::BigInt(_))));
    /// assert_eq!(Value::integer("seven"), None);
    /// ```
    #[must_use]
    pub fn integer(digits: &str) -> Option<Self> {
        // `i64::from_str` takes a leading `+` and zeros, as Python does.
        if let Ok(number) = digits.parse::<i64>() {
            return Some(Self::Int(number));
        }
        let canonical = parse_int(digits)?;
        Some(match canonical.parse::<i64>() {
            Ok(number) => Self::Int(number),
            Err(_) => Self::BigInt(canonical.into()),
        })
    }

    /// Wraps an object of your own.
    #[must_use]
    pub fn object(object: impl Object) -> Self {
        Self::Object(Arc::new(object))
    }

    /// The string, where the value is one.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Str(text) => Some(text),
            _ => None,
        }
    }

    /// The integer, where the value is one that fits 64 bits.
    #[must_use]
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Self::Int(number) => Some(*number),
            _ => None,
        }
    }

    /// The value's text, as Python's `str()`.
    ///
    /// # Errors
    ///
    /// Only where an [`Object`] fails.
    pub fn to_text(&self) -> Result<Cow<'_, str>, SharedError> {
        Ok(match self {
            Self::None => Cow::Borrowed("None"),
            Self::Bool(true) => Cow::Borrowed("True"),
            Self::Bool(false) => Cow::Borrowed("False"),
            Self::Int(number) => Cow::Owned(number.to_string()),
            Self::BigInt(digits) => Cow::Borrowed(digits),
            Self::Float(number) => Cow::Owned(float_text(*number)),
            Self::Str(text) => Cow::Borrowed(text),
            Self::Uuid(bytes) => Cow::Owned(uuid_text(bytes)),
            Self::List(_) => Cow::Owned(self.to_repr()?),
            Self::Object(object) => Cow::Owned(object.to_text()?),
        })
    }

    fn to_repr(&self) -> Result<String, SharedError> {
        Ok(match self {
            Self::Str(text) => repr_str(text),
            Self::Uuid(bytes) => format!("UUID('{}')", uuid_text(bytes)),
            Self::Object(object) => object.to_repr()?,
            Self::List(items) => {
                let items: Result<Vec<String>, SharedError> =
                    items.iter().map(Self::to_repr).collect();
                format!("[{}]", items?.join(", "))
            }
            other => other.to_text()?.into_owned(),
        })
    }

    /// What a query string shows for the value.
    pub(crate) fn to_query(&self) -> Result<Cow<'_, [u8]>, SharedError> {
        Ok(match self {
            Self::Object(object) => Cow::Owned(object.to_query()?),
            other => match other.to_text()? {
                Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
                Cow::Owned(text) => Cow::Owned(text.into_bytes()),
            },
        })
    }

    /// Whether the value counts as true in Python.
    pub(crate) fn is_truthy(&self) -> bool {
        match self {
            Self::None => false,
            Self::Bool(truth) => *truth,
            Self::Int(number) => *number != 0,
            Self::Float(number) => *number != 0.0,
            Self::Str(text) => !text.is_empty(),
            Self::List(items) => !items.is_empty(),
            Self::BigInt(_) | Self::Uuid(_) | Self::Object(_) => true,
        }
    }

    /// Orders numbers among numbers and strings among strings, as Python does; `None` for pairs
    /// that Python refuses to order.
    pub(crate) fn compare(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Str(left), Self::Str(right)) => Some(left.cmp(right)),
            (Self::Uuid(left), Self::Uuid(right)) => Some(left.cmp(right)),
            _ => compare_numbers(&self.as_number()?, &other.as_number()?),
        }
    }

    fn as_number(&self) -> Option<Number<'_>> {
        match self {
            Self::Bool(truth) => Some(Number::Int(i64::from(*truth))),
            Self::Int(number) => Some(Number::Int(*number)),
            Self::BigInt(digits) => Some(Number::Big(digits)),
            Self::Float(number) => Some(Number::Float(*number)),
            _ => None,
        }
    }
}

enum Number<'a> {
    Int(i64),
    Big(&'a str),
    Float(f64),
}

fn compare_numbers(left: &Number<'_>, right: &Number<'_>) -> Option<Ordering> {
    match (left, right) {
        (Number::Int(left), Number::Int(right)) => Some(left.cmp(right)),
        (Number::Float(left), Number::Float(right)) => left.partial_cmp(right),
        (Number::Float(left), right) => compare_with_float(right, *left).map(Ordering::reverse),
        (left, Number::Float(right)) => compare_with_float(left, *right),
        // A `Big` is beyond every `Int`, so its sign decides.
        (Number::Int(_), Number::Big(big)) => Some(if big.starts_with('-') {
            Ordering::Greater
        } else {
            Ordering::Less
        }),
        (Number::Big(big), Number::Int(_)) => Some(if big.starts_with('-') {
            Ordering::Less
        } else {
            Ordering::Greater
        }),
        (Number::Big(left), Number::Big(right)) => Some(compare_digits(left, right)),
    }
}

/// Compares canonical decimal integers.
fn compare_digits(left: &str, right: &str) -> Ordering {
    let magnitude =
        |left: &str, right: &str| left.len().cmp(&right.len()).then_with(|| left.cmp(right));
    match (left.strip_prefix('-'), right.strip_prefix('-')) {
        (Some(left), Some(right)) => magnitude(right, left),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => magnitude(left, right),
    }
}

/// Compares an integer with a float exactly: through the float's integer part.
fn compare_with_float(integer: &Number<'_>, float: f64) -> Option<Ordering> {
    if float.is_nan() {
        return None;
    }
    if float.is_infinite() {
        return Some(if float > 0.0 {
            Ordering::Less
        } else {
            Ordering::Greater
        });
    }
    let digits = match integer {
        Number::Int(number) => Cow::Owned(number.to_string()),
        Number::Big(digits) => Cow::Borrowed(*digits),
        Number::Float(number) => return number.partial_cmp(&float),
    };
    // `{:.0}` of a whole float is exact, however large.
    let whole = parse_int(&format!("{:.0}", float.trunc()))?;
    let fraction = float.fract();
    Some(compare_digits(&digits, &whole).then_with(|| {
        if fraction > 0.0 {
            Ordering::Less
        } else if fraction < 0.0 {
            Ordering::Greater
        } else {
            Ordering::Equal
        }
    }))
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::None, Self::None) => true,
            (Self::Object(object), other) | (other, Self::Object(object)) => object.equals(other),
            (Self::List(left), Self::List(right)) => left == right,
            _ => self.compare(other) == Some(Ordering::Equal),
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Str(text.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Str(text.into())
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<i32> for Value {
    fn from(number: i32) -> Self {
        Self::Int(number.into())
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Float(number)
    }
}

impl From<bool> for Value {
    fn from(truth: bool) -> Self {
        Self::Bool(truth)
    }
}

impl<T: Into<Value>> From<Vec<T>> for Value {
    fn from(items: Vec<T>) -> Self {
        Self::List(items.into_iter().map(Into::into).collect())
    }
}

const HEX: &[u8; 16] = b"0123456789abcdef";

/// The hyphenated lower-case form of a UUID.
fn uuid_text(bytes: &[u8; 16]) -> String {
    let mut text = String::with_capacity(36);
    for (index, byte) in bytes.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        text.push(char::from(HEX[usize::from(byte >> 4)]));
        text.push(char::from(HEX[usize::from(byte & 15)]));
    }
    text
}

/// Reads 32 hexadecimal digits, hyphens ignored.
pub(crate) fn parse_uuid(text: &str) -> Option<[u8; 16]> {
    let mut bytes = [0_u8; 16];
    let mut count = 0_usize;
    for character in text.chars().filter(|character| *character != '-') {
        let digit = u8::try_from(character.to_digit(16)?).ok()?;
        let byte = bytes.get_mut(count / 2)?;
        *byte = (*byte << 4) | digit;
        count += 1;
    }
    (count == 32).then_some(bytes)
}

/// The values of a match; up to two need no memory of their own.
pub type Values = SmallVec<[Value; 2]>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_equal_across_types_as_in_python() {
        assert_eq!(Value::from(1), Value::from(1.0));
        assert_eq!(Value::from(true), Value::from(1));
        assert_ne!(Value::from(1), Value::from("1"));
        assert_ne!(Value::from(f64::NAN), Value::from(f64::NAN));
        let big = Value::integer("100000000000000000000").unwrap();
        assert_eq!(big, Value::from(1e20));
        assert_eq!(big.compare(&Value::from(5)), Some(Ordering::Greater));
        assert_eq!(
            Value::from(2).compare(&Value::from(1.5)),
            Some(Ordering::Greater)
        );
        assert_eq!(
            Value::from(-2).compare(&Value::from(-1.5)),
            Some(Ordering::Less)
        );
        assert_eq!(Value::from("a").compare(&Value::from(1)), None);
    }

    #[test]
    fn lists_print_as_in_python() {
        let list = Value::List([Value::from("a"), Value::from(1), Value::None].into());
        assert_eq!(list.to_text().unwrap(), "['a', 1, None]");
    }

    #[test]
    fn uuids_read_back() {
        let text = "12345678-9abc-def0-1234-56789abcdef0";
        let bytes = parse_uuid(&text.to_uppercase()).unwrap();
        assert_eq!(uuid_text(&bytes), text);
        assert_eq!(parse_uuid("1234"), None);
    }
}
