//! Rules: what is added to a map, and what the map makes of it.

use std::fmt;
use std::sync::Arc;

use crate::error::{RuleErrorKind, SharedError};
use crate::ids::EndpointId;
use crate::ids::RuleId;
use crate::methods::{Method, MethodSet};
use crate::rule::converter::Converter;
use crate::rule::parse::variable_position;
use crate::rule::part::{NamedConverter, Part, Trace};
use crate::value::Value;

/// Where a rule that only redirects leads to.
#[derive(Clone)]
pub enum RedirectTo {
    /// A URL, absolute or relative to the application's root, with `<name>` for variables.
    Url(String),
    /// Code that makes such a URL of the variables.
    Call(RedirectFn),
}

/// Makes the target of a redirect from the variables' names and values.
pub type RedirectFn = Arc<dyn Fn(&[(&str, &Value)]) -> Result<String, SharedError> + Send + Sync>;

impl fmt::Debug for RedirectTo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(url) => f.debug_tuple("Url").field(url).finish(),
            Self::Call(_) => f.write_str("Call"),
        }
    }
}

impl From<&str> for RedirectTo {
    fn from(url: &str) -> Self {
        Self::Url(url.to_owned())
    }
}

impl From<String> for RedirectTo {
    fn from(url: String) -> Self {
        Self::Url(url)
    }
}

impl From<RedirectFn> for RedirectTo {
    fn from(call: RedirectFn) -> Self {
        Self::Call(call)
    }
}

/// A URL rule, before it is added to a [`Map`](crate::Map).
///
/// ```
/// use bustapi_router::Rule;
///
/// let rule = Rule::new("/blog/<int:year>/<slug>")
///     .endpoint("blog.post")
///     .methods(["GET"]);
/// # let _ = rule;
/// ```
#[derive(Debug, Clone)]
pub struct Rule {
    pub(crate) string: String,
    pub(crate) endpoint: String,
    pub(crate) methods: Option<MethodSet>,
    pub(crate) defaults: Vec<(Box<str>, Value)>,
    pub(crate) subdomain: Option<String>,
    pub(crate) host: Option<String>,
    pub(crate) strict_slashes: Option<bool>,
    pub(crate) merge_slashes: Option<bool>,
    pub(crate) redirect_to: Option<RedirectTo>,
    pub(crate) alias: bool,
    pub(crate) build_only: bool,
    pub(crate) websocket: bool,
    pub(crate) converters: Vec<NamedConverter>,
}

impl Rule {
    /// A rule for the paths that `rule` describes; it must begin with a slash.
    #[must_use]
    pub fn new(rule: impl Into<String>) -> Self {
        Self {
            string: rule.into(),
            endpoint: String::new(),
            methods: None,
            defaults: Vec::new(),
            subdomain: None,
            host: None,
            strict_slashes: None,
            merge_slashes: None,
            redirect_to: None,
            alias: false,
            build_only: false,
            websocket: false,
            converters: Vec::new(),
        }
    }

    /// Where the variable of this number begins in a rule string, in bytes, be it malformed or
    /// not; `None` where there are fewer.
    ///
    /// ```
    /// use bustapi_router::Rule;
    ///
    /// assert_eq!(Rule::variable_position("/<any('<'):x>/<int:", 1), Some(14));
    /// assert_eq!(Rule::variable_position("/<any('<'):x>/", 1), None);
    /// ```
    #[must_use]
    pub fn variable_position(rule: &str, number: usize) -> Option<usize> {
        variable_position(rule, number)
    }

    /// The name that the rule leads to, and is built by; empty unless set.
    #[must_use]
    pub fn endpoint(mut self, endpoint: impl Into<String>) -> Self {
        self.endpoint = endpoint.into();
        self
    }

    /// The methods the rule takes (all, unless set). GET brings HEAD.
    #[must_use]
    pub fn methods<S: AsRef<str>>(mut self, methods: impl IntoIterator<Item = S>) -> Self {
        let mut methods: MethodSet = methods.into_iter().collect();
        methods.add_implied();
        self.methods = Some(methods);
        self
    }

    /// The methods the rule takes, as they are: GET does not bring HEAD.
    #[must_use]
    pub fn method_set(mut self, methods: MethodSet) -> Self {
        self.methods = Some(methods);
        self
    }

    /// A value that the rule adds to every match. A variable of the rule may be given one too:
    /// it is then written into URLs, and left out when building.
    #[must_use]
    pub fn default(mut self, name: &str, value: impl Into<Value>) -> Self {
        let value = value.into();
        match self.defaults.iter_mut().find(|(known, _)| **known == *name) {
            Some((_, old)) => *old = value,
            None => self.defaults.push((name.into(), value)),
        }
        self
    }

    /// Several [`default`](Self::default)s.
    #[must_use]
    pub fn defaults<'n>(self, defaults: impl IntoIterator<Item = (&'n str, Value)>) -> Self {
        defaults
            .into_iter()
            .fold(self, |rule, (name, value)| rule.default(name, value))
    }

    /// The subdomain (itself a rule string) instead of the map's default one. Not used by a map
    /// that matches whole hosts.
    #[must_use]
    pub fn subdomain(mut self, subdomain: impl Into<String>) -> Self {
        self.subdomain = Some(subdomain.into());
        self
    }

    /// The host, with its port if it has one (itself a rule string). Used only by a map that
    /// matches whole hosts.
    #[must_use]
    pub fn host(mut self, host: impl Into<String>) -> Self {
        self.host = Some(host.into());
        self
    }

    /// Whether a missing slash at the end redirects, and a surplus one is not found. If not, the
    /// rule matches with and without. The map's setting, unless set.
    #[must_use]
    pub const fn strict_slashes(mut self, strict: bool) -> Self {
        self.strict_slashes = Some(strict);
        self
    }

    /// Whether paths with runs of slashes are redirected to this rule. The map's setting, unless
    /// set.
    #[must_use]
    pub const fn merge_slashes(mut self, merge: bool) -> Self {
        self.merge_slashes = Some(merge);
        self
    }

    /// Redirects every match. A match fails where the target names what is no variable.
    #[must_use]
    pub fn redirect_to(mut self, target: impl Into<RedirectTo>) -> Self {
        self.redirect_to = Some(target.into());
        self
    }

    /// Marks the rule as another URL of its endpoint, which redirects to the canonical one.
    #[must_use]
    pub const fn alias(mut self, alias: bool) -> Self {
        self.alias = alias;
        self
    }

    /// Makes the rule good for building URLs only.
    #[must_use]
    pub const fn build_only(mut self, build_only: bool) -> Self {
        self.build_only = build_only;
        self
    }

    /// Makes the rule match WebSocket requests only.
    #[must_use]
    pub const fn websocket(mut self, websocket: bool) -> Self {
        self.websocket = websocket;
        self
    }

    /// Gives the variable `name` this very converter, whatever the rule string says.
    #[must_use]
    pub fn converter(mut self, name: &str, converter: Arc<dyn Converter>) -> Self {
        self.converters.retain(|(known, _)| **known != *name);
        self.converters.push((name.into(), converter));
        self
    }

    pub(crate) fn check(&self) -> Result<(), RuleErrorKind> {
        if !self.string.starts_with('/') {
            return Err(RuleErrorKind::NoLeadingSlash);
        }
        let fits = self.methods.as_ref().is_none_or(MethodSet::fits_websocket);
        if self.websocket && !fits {
            return Err(RuleErrorKind::WebsocketMethods);
        }
        Ok(())
    }
}

/// A rule in its map.
#[derive(Debug, Clone)]
pub struct BoundRule {
    pub(crate) id: RuleId,
    pub(crate) rule: Rule,
    pub(crate) endpoint_id: EndpointId,
    pub(crate) strict_slashes: bool,
    pub(crate) merge_slashes: bool,
    pub(crate) domain_rule: String,
    pub(crate) parts: Vec<Part>,
    pub(crate) domain_trace: Vec<Trace>,
    pub(crate) path_trace: Vec<Trace>,
    /// The pieces of the domain and the path with text percent-encoded and defaults filled in.
    pub(crate) domain_pieces: Vec<Piece>,
    pub(crate) path_pieces: Vec<Piece>,
    /// In the order of their variables' first appearance, domain first.
    pub(crate) converters: Vec<NamedConverter>,
    /// The names of a match's values: those of the variables, then those of the other defaults.
    pub(crate) value_names: Vec<Box<str>>,
    /// For each value the default that takes its place.
    pub(crate) value_defaults: Vec<Option<Value>>,
}

/// A piece of a URL to build: text, or the number of a converter.
#[derive(Debug, Clone)]
pub(crate) enum Piece {
    Text(String),
    Argument(usize),
}

impl BoundRule {
    /// The rule's number.
    #[must_use]
    pub const fn id(&self) -> RuleId {
        self.id
    }

    /// The rule string, as given.
    #[must_use]
    pub fn rule(&self) -> &str {
        &self.rule.string
    }

    /// The endpoint's name.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.rule.endpoint
    }

    /// The endpoint's number.
    #[must_use]
    pub const fn endpoint_id(&self) -> EndpointId {
        self.endpoint_id
    }

    /// The methods, with HEAD where there is GET; `None` for all.
    #[must_use]
    pub const fn methods(&self) -> Option<&MethodSet> {
        self.rule.methods.as_ref()
    }

    /// The defaults, in the order they were given.
    #[must_use]
    pub fn defaults(&self) -> &[(Box<str>, Value)] {
        &self.rule.defaults
    }

    /// The rule string of the subdomain, or of the host in a map that matches hosts.
    #[must_use]
    pub fn domain_rule(&self) -> &str {
        &self.domain_rule
    }

    /// The names of a match's values, in the order of [`Match::values`](crate::Match::values):
    /// first those of the variables, then those of defaults that are no variables.
    #[must_use]
    pub fn value_names(&self) -> &[Box<str>] {
        &self.value_names
    }

    /// The variables and their converters, in the order of appearance, domain first.
    pub fn converters(&self) -> impl Iterator<Item = (&str, &Arc<dyn Converter>)> {
        self.converters
            .iter()
            .map(|(name, converter)| (&**name, converter))
    }

    /// Whether `name` is a variable of the rule or one of its defaults.
    #[must_use]
    pub fn has_argument(&self, name: &str) -> bool {
        self.value_names.iter().any(|known| **known == *name)
    }

    /// Whether a missing slash at the end redirects.
    #[must_use]
    pub const fn strict_slashes(&self) -> bool {
        self.strict_slashes
    }

    /// Whether paths with runs of slashes are redirected to this rule.
    #[must_use]
    pub const fn merge_slashes(&self) -> bool {
        self.merge_slashes
    }

    /// Whether the rule is good for building only.
    #[must_use]
    pub const fn is_build_only(&self) -> bool {
        self.rule.build_only
    }

    /// Whether the rule is another URL of its endpoint.
    #[must_use]
    pub const fn is_alias(&self) -> bool {
        self.rule.alias
    }

    /// Whether the rule matches WebSocket requests only.
    #[must_use]
    pub const fn is_websocket(&self) -> bool {
        self.rule.websocket
    }

    /// Where every match is redirected to.
    #[must_use]
    pub const fn redirect_to(&self) -> Option<&RedirectTo> {
        self.rule.redirect_to.as_ref()
    }

    pub(crate) fn takes(&self, method: &Method<'_>) -> bool {
        self.rule
            .methods
            .as_ref()
            .is_none_or(|methods| methods.has(method))
    }

    /// Werkzeug's `build_compare_key`: of an endpoint's rules, the least is built first.
    pub(crate) fn build_key(&self) -> (bool, std::cmp::Reverse<usize>, std::cmp::Reverse<usize>) {
        (
            self.rule.alias,
            std::cmp::Reverse(self.value_names.len()),
            std::cmp::Reverse(self.rule.defaults.len()),
        )
    }

    /// Whether both rules describe the same URLs, converters aside.
    pub(crate) fn same_trace(&self, other: &Self) -> bool {
        self.domain_trace == other.domain_trace && self.path_trace == other.path_trace
    }

    /// Whether both rules take the same arguments.
    pub(crate) fn same_arguments(&self, other: &Self) -> bool {
        self.value_names.len() == other.value_names.len()
            && self.value_names.iter().all(|name| other.has_argument(name))
    }
}
