//! Every error of the crate.
//!
//! Routing errors are verdicts, not exceptions: they are small values, cheap to make and to
//! pass on, and the caller decides what they become (a status, a Python exception).

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use crate::ids::RuleId;
use crate::methods::MethodSet;
use crate::text::python::{repr_list, repr_str};

/// An error raised by somebody else's code (a converter, an object), shared so that verdicts
/// stay cloneable.
pub type SharedError = Arc<dyn Error + Send + Sync>;

/// Makes a [`SharedError`] out of a message.
#[must_use]
pub fn message_error(message: impl Into<String>) -> SharedError {
    let boxed: Box<dyn Error + Send + Sync> = message.into().into();
    Arc::from(boxed)
}

/// Why a request has no endpoint.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum MatchError {
    /// No rule matches the path, or the first rule that did had a converter that rejected its
    /// text.
    #[error("no rule matches the path")]
    NotFound,
    /// Rules match the path, but for other methods.
    #[error("the path exists, but only for {allowed}")]
    MethodNotAllowed {
        /// The methods of all rules that match the path.
        allowed: MethodSet,
    },
    /// The path has a canonical form, at `url`. Answered with status 308.
    #[error("redirect to `{url}`")]
    RequestRedirect {
        /// The absolute URL, percent-encoded, with the query string of the request.
        url: String,
    },
    /// The only rules that match want a WebSocket and the request is plain HTTP, or the other
    /// way round. Answered with status 400.
    #[error("the rule and the request disagree about being a WebSocket")]
    WebsocketMismatch,
    /// Code called while matching (a converter, the build of a redirect's target) failed in a
    /// way that is no verdict about the path. Answered with status 500.
    #[error("matching `{rule:?}` failed: {source}")]
    Failed {
        /// The rule that had matched.
        rule: RuleId,
        /// What the called code said.
        source: SharedError,
    },
}

impl MatchError {
    /// The HTTP status this verdict is answered with in Flask and Werkzeug.
    #[must_use]
    pub const fn status(&self) -> u16 {
        match self {
            Self::NotFound => 404,
            Self::MethodNotAllowed { .. } => 405,
            Self::RequestRedirect { .. } => 308,
            Self::WebsocketMismatch => 400,
            Self::Failed { .. } => 500,
        }
    }
}

/// Why a converter has no value for a text, or no text for a value.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ConversionError {
    /// The text is not one of this converter's; Werkzeug's `ValidationError`. While matching it
    /// ends the search (404, or 405 when other rules matched the path for other methods); while
    /// building it sends the search on to the endpoint's next rule.
    #[error("the converter rejects the text")]
    Rejected,
    /// The converter failed; reported to the caller as it is.
    #[error("{0}")]
    Failed(#[source] SharedError),
}

impl ConversionError {
    /// A failure with a message.
    #[must_use]
    pub fn failed(message: impl Into<String>) -> Self {
        Self::Failed(message_error(message))
    }
}

/// A rule that cannot be added to a map.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{kind} in URL rule `{rule}` at byte {position}")]
pub struct RuleError {
    /// The rule string (or the host or subdomain it was given).
    pub rule: String,
    /// Where in `rule` the cause begins, in bytes.
    pub position: usize,
    /// The cause.
    pub kind: RuleErrorKind,
}

/// The causes of a [`RuleError`].
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum RuleErrorKind {
    /// A rule string begins with a slash.
    #[error("missing leading slash")]
    NoLeadingSlash,
    /// A `<` that begins no `<converter(arguments):name>`.
    #[error("malformed variable")]
    Malformed,
    /// A name that stands for a constant in Python (`None`, `True`, `False`).
    #[error("`{0}` cannot be a variable name")]
    ReservedName(String),
    /// A variable that appears twice and has no default.
    #[error("the variable `{0}` is used twice")]
    DuplicateVariable(String),
    /// A converter name that the map does not know.
    #[error("the converter `{0}` does not exist")]
    UnknownConverter(String),
    /// The text between a converter's parentheses is not a list of arguments.
    #[error("cannot parse the converter argument `{0}`")]
    BadArgument(String),
    /// The converter refuses its arguments.
    #[error("the converter `{name}` refuses its arguments: {source}")]
    ConverterArguments {
        /// The converter's name.
        name: String,
        /// What it said.
        source: SharedError,
    },
    /// A converter's regular expression is not one, or is beyond this crate and no
    /// [`PatternEngine`](crate::PatternEngine) was given that takes it.
    #[error("the regular expression `{pattern}` cannot be used: {source}")]
    Regex {
        /// The expression of the whole part.
        pattern: String,
        /// Why.
        source: SharedError,
    },
    /// A default value that its converter cannot turn into text.
    #[error("the default of `{name}` does not fit its converter: {source}")]
    Default {
        /// The variable.
        name: String,
        /// What the converter said.
        source: SharedError,
    },
    /// WebSocket rules take no methods but GET, HEAD and OPTIONS.
    #[error("a WebSocket rule can only use the methods GET, HEAD and OPTIONS")]
    WebsocketMethods,
    /// More rules than a [`RuleId`] can number.
    #[error("the map is full")]
    TooManyRules,
}

/// A server name that no map can be bound to; Werkzeug answers `BadHost`, status 400.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// Not a host name in ASCII (IDNA-encoded) form with labels of 1 to 63 bytes.
    #[error("`{0}` is not a valid host name")]
    BadHost(String),
    /// A subdomain was given for a map that matches whole hosts.
    #[error("host matching is enabled and a subdomain was given")]
    SubdomainWithHostMatching,
}

/// A URL that cannot be built.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum BuildError {
    /// No rule of the endpoint takes the given values and method.
    NoRule(Box<NoRule>),
    /// A converter (or a value's own text) failed.
    Failed {
        /// The rule that was being built.
        rule: RuleId,
        /// What the called code said.
        source: SharedError,
    },
}

/// What was asked for in vain, and what comes closest.
#[derive(Debug, Clone)]
pub struct NoRule {
    /// The endpoint asked for.
    pub endpoint: String,
    /// The names of the values given, sorted.
    pub values: Vec<String>,
    /// The method asked for.
    pub method: Option<String>,
    /// The closest rule of the map; `None` for an empty map.
    pub suggestion: Option<Suggestion>,
}

/// The rule that comes closest to what was asked for.
#[derive(Debug, Clone)]
pub struct Suggestion {
    /// The rule.
    pub rule: RuleId,
    /// Its endpoint.
    pub endpoint: String,
    /// Its methods, where the endpoint is right and the method is not.
    pub methods: Option<Vec<String>>,
    /// Names of the values it needs and that were not given, sorted.
    pub missing: Vec<String>,
}

impl fmt::Display for NoRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Could not build url for endpoint {}",
            repr_str(&self.endpoint)
        )?;
        if let Some(method) = self.method.as_deref().filter(|method| !method.is_empty()) {
            write!(f, " ({})", repr_str(method))?;
        }
        if !self.values.is_empty() {
            write!(f, " with values {}", repr_list(&self.values))?;
        }
        f.write_str(".")?;
        let Some(suggestion) = &self.suggestion else {
            return Ok(());
        };
        if suggestion.endpoint != self.endpoint {
            return write!(
                f,
                " Did you mean {} instead?",
                repr_str(&suggestion.endpoint)
            );
        }
        if let Some(methods) = &suggestion.methods {
            write!(f, " Did you mean to use methods {}?", repr_list(methods))?;
        }
        if !suggestion.missing.is_empty() {
            write!(
                f,
                " Did you forget to specify values {}?",
                repr_list(&suggestion.missing)
            )?;
        }
        Ok(())
    }
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRule(no_rule) => no_rule.fmt(f),
            Self::Failed { rule, source } => write!(f, "building `{rule:?}` failed: {source}"),
        }
    }
}

impl Error for BuildError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::NoRule(_) => None,
            Self::Failed { source, .. } => Some(source),
        }
    }
}
