//! Converters: what text a variable takes, and what value that text is.

use std::fmt;
use std::sync::Arc;

use crate::error::{ConversionError, SharedError, message_error};
use crate::text::quote::quote_path;
use crate::value::Value;

/// Matches and converts one argument of a rule.
///
/// The text that [`regex`](Self::regex) matches is found before any conversion happens: a rule
/// is chosen by expressions and methods alone. Then [`to_value`](Self::to_value) runs, and if it
/// rejects the text the whole request has no match, as in Werkzeug; no other rule is tried.
pub trait Converter: fmt::Debug + Send + Sync {
    /// The regular expression of the text, in Python's syntax, without anchors. Two rules whose
    /// converters have the same expression and weight share a place in the map.
    #[expect(
        clippy::unnecessary_literal_bound,
        reason = "implementations may return an expression they own"
    )]
    fn regex(&self) -> &str {
        "[^/]+"
    }

    /// The rank among converters: lower is tried first.
    fn weight(&self) -> i64 {
        100
    }

    /// Whether the text never holds a slash, so that the argument ends with its segment.
    fn part_isolating(&self) -> bool {
        let regex = self.regex();
        regex == "[^/]+" || !regex.contains('/')
    }

    /// The value of a text that the expression has matched.
    ///
    /// # Errors
    ///
    /// [`ConversionError::Rejected`] where the text is no value after all;
    /// [`ConversionError::Failed`] where the converter itself fails.
    fn to_value(&self, text: &str) -> Result<Value, ConversionError> {
        Ok(Value::from(text))
    }

    /// The percent-encoded text of a value.
    ///
    /// # Errors
    ///
    /// [`ConversionError::Rejected`] to have the endpoint's next rule tried;
    /// [`ConversionError::Failed`] to fail the build.
    fn to_url(&self, value: &Value) -> Result<String, ConversionError> {
        let text = value.to_text().map_err(ConversionError::Failed)?;
        Ok(quote_path(&text))
    }

    /// Writes the text of [`to_url`](Self::to_url) to the end of `out`; of use where that saves a
    /// string.
    ///
    /// # Errors
    ///
    /// As for [`to_url`](Self::to_url); what was written by then is thrown away.
    fn push_url(&self, value: &Value, out: &mut String) -> Result<(), ConversionError> {
        out.push_str(&self.to_url(value)?);
        Ok(())
    }
}

/// Makes a converter from the arguments in a rule, `<name(arguments):variable>`.
pub type ConverterFactory =
    Arc<dyn Fn(&ConverterArgs) -> Result<Arc<dyn Converter>, SharedError> + Send + Sync>;

/// The arguments that a rule gives to a converter.
#[derive(Debug, Clone, Default)]
pub struct ConverterArgs {
    positional: Vec<Value>,
    named: Vec<(String, Value)>,
}

impl ConverterArgs {
    /// The arguments without a name, in order.
    #[must_use]
    pub fn positional(&self) -> &[Value] {
        &self.positional
    }

    /// The arguments with a name, each name once, in order of first appearance.
    #[must_use]
    pub fn named(&self) -> &[(String, Value)] {
        &self.named
    }

    /// The argument of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        let found = self.named.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value)
    }

    /// Adds an argument without a name.
    pub fn push(&mut self, value: Value) {
        self.positional.push(value);
    }

    /// Adds an argument with a name; it takes the place of one of that name.
    pub fn set(&mut self, name: &str, value: Value) {
        match self.named.iter_mut().find(|(known, _)| known == name) {
            Some((_, old)) => *old = value,
            None => self.named.push((name.to_owned(), value)),
        }
    }

    /// Hands the arguments to the parameters `names`, as a Python call does.
    ///
    /// # Errors
    ///
    /// Where there are more arguments than parameters, one of an unknown name, or two for one
    /// parameter.
    pub fn bind<const N: usize>(
        &self,
        names: [&str; N],
    ) -> Result<[Option<&Value>; N], SharedError> {
        let mut bound = [None; N];
        if self.positional.len() > N {
            let given = self.positional.len();
            return Err(message_error(format!(
                "takes at most {N} arguments, {given} were given"
            )));
        }
        for (place, value) in bound.iter_mut().zip(&self.positional) {
            *place = Some(value);
        }
        for (name, value) in &self.named {
            let Some(index) = names.iter().position(|known| known == name) else {
                return Err(message_error(format!("has no argument `{name}`")));
            };
            if bound[index].replace(value).is_some() {
                return Err(message_error(format!("got two values for `{name}`")));
            }
        }
        Ok(bound)
    }
}
