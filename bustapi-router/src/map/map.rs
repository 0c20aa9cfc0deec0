//! The map: all rules, ready to be matched and built.

use std::fmt;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::error::{RuleError, RuleErrorKind};
use crate::ids::EndpointId;
use crate::ids::RuleId;
use crate::map::compile::compile;
use crate::map::settings::{MapOptions, QuerySorter, Settings};
use crate::map::states::{Gate, StateMachine};
use crate::rule::converter::ConverterFactory;
use crate::rule::part_pattern::PatternEngine;
use crate::rule::rule::{BoundRule, Rule};

/// All rules of an application.
///
/// A map is changed through `&mut` and read through `&`, without locks: share it as
/// `Arc<Map>`, and to add rules while it serves, clone it, add, and swap the `Arc`.
///
/// ```
/// use bustapi_router::{Map, MatchRequest, Rule, Value};
///
/// let mut map = Map::default();
/// map.add(Rule::new("/").endpoint("index"))?;
/// map.add(Rule::new("/users/<int:id>").endpoint("user"))?;
///
/// let found = map.match_path(&MatchRequest::new("GET", "/users/42")).unwrap();
/// assert_eq!(map.rule(found.rule).endpoint(), "user");
/// assert_eq!(found.values[0], Value::Int(42));
/// # Ok::<(), bustapi_router::RuleError>(())
/// ```
#[derive(Clone, Default)]
pub struct Map {
    pub(crate) settings: Settings,
    pub(crate) rules: Vec<BoundRule>,
    pub(crate) endpoints: Vec<Endpoint>,
    endpoint_ids: FxHashMap<Box<str>, EndpointId>,
    pub(crate) machine: StateMachine,
}

/// The rules of one endpoint.
#[derive(Debug, Clone)]
pub(crate) struct Endpoint {
    name: Box<str>,
    /// In the order in which they are tried when building.
    pub(crate) rules: Vec<RuleId>,
    /// Those with defaults that a match may be redirected to, in the same order.
    pub(crate) with_defaults: Vec<RuleId>,
}

impl Map {
    /// A map without rules.
    #[must_use]
    pub fn new(options: MapOptions) -> Self {
        let settings = Settings {
            options,
            ..Settings::default()
        };
        Self {
            settings,
            ..Self::default()
        }
    }

    /// The settings.
    #[must_use]
    pub const fn options(&self) -> &MapOptions {
        &self.settings.options
    }

    /// The settings, to change. Those that are defaults of rules reach only rules added later.
    pub const fn options_mut(&mut self) -> &mut MapOptions {
        &mut self.settings.options
    }

    /// Makes a converter known under `name`, for rules added later; it takes the place of a
    /// built-in one of that name.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use bustapi_router::{ConversionError, Converter, Map, MatchRequest, Rule, Value};
    ///
    /// #[derive(Debug)]
    /// struct Hex;
    ///
    /// impl Converter for Hex {
    ///     fn regex(&self) -> &str {
    ///         "[0-9a-f]+"
    ///     }
    ///     fn to_value(&self, text: &str) -> Result<Value, ConversionError> {
    ///         let number = i64::from_str_radix(text, 16).map_err(|_| ConversionError::Rejected)?;
    ///         Ok(Value::Int(number))
    ///     }
    ///     fn to_url(&self, value: &Value) -> Result<String, ConversionError> {
    ///         let number = value.as_i64().ok_or_else(|| ConversionError::failed("no integer"))?;
    ///         Ok(format!("{number:x}"))
    ///     }
    /// }
    ///
    /// let mut map = Map::default();
    /// map.register_converter("hex", Arc::new(|_args| Ok(Arc::new(Hex))));
    /// map.add(Rule::new("/color/<hex:rgb>"))?;
    /// let found = map.match_path(&MatchRequest::new("GET", "/color/ff")).unwrap();
    /// assert_eq!(found.values[0], Value::Int(255));
    /// # Ok::<(), bustapi_router::RuleError>(())
    /// ```
    pub fn register_converter(&mut self, name: &str, factory: ConverterFactory) {
        self.settings.converters.insert(name.into(), factory);
    }

    /// Gives the map an engine for the expressions that the `regex` crate does not take or takes
    /// otherwise than Python (flags, `\b`, possessive repeats), for rules added later.
    pub fn set_engine(&mut self, engine: Arc<dyn PatternEngine>) {
        self.settings.engine = Some(engine);
    }

    /// Sets the order of query strings for [`MapOptions::sort_parameters`], instead of by name
    /// and value.
    pub fn set_query_sorter(&mut self, sorter: Option<QuerySorter>) {
        self.settings.query_sorter = sorter;
    }

    /// Adds a rule. It takes effect at once; among rules of equal weight the one added first is
    /// tried first.
    ///
    /// # Errors
    ///
    /// Where the rule is malformed or one of its converters refuses; the map is then as before.
    pub fn add(&mut self, rule: Rule) -> Result<RuleId, RuleError> {
        let full = |rule: &Rule| RuleError {
            rule: rule.string.clone(),
            position: 0,
            kind: RuleErrorKind::TooManyRules,
        };
        let id = RuleId(u32::try_from(self.rules.len()).map_err(|_| full(&rule))?);
        let known = self.endpoint_ids.get(rule.endpoint.as_str()).copied();
        let endpoint_id = match known {
            Some(known) => known,
            None => EndpointId(u32::try_from(self.endpoints.len()).map_err(|_| full(&rule))?),
        };
        let bound = compile(&self.settings, rule, id, endpoint_id)?;
        self.machine.gates.push(Gate::new(&bound));
        if !bound.rule.build_only {
            self.machine.add(&bound);
        }
        if known.is_none() {
            let name: Box<str> = bound.endpoint().into();
            self.endpoint_ids.insert(name.clone(), endpoint_id);
            self.endpoints.push(Endpoint {
                name,
                rules: Vec::new(),
                with_defaults: Vec::new(),
            });
        }
        let key = bound.build_key();
        let redirects = !bound.rule.build_only && !bound.rule.defaults.is_empty();
        self.rules.push(bound);
        let endpoint = &mut self.endpoints[endpoint_id.index()];
        let rules = &self.rules;
        let place = |list: &mut Vec<RuleId>| {
            let at = list.partition_point(|other| rules[other.index()].build_key() <= key);
            list.insert(at, id);
        };
        place(&mut endpoint.rules);
        if redirects {
            place(&mut endpoint.with_defaults);
        }
        let changed = match (endpoint.with_defaults.is_empty(), redirects) {
            (true, _) => &[][..],
            (false, false) => &[id][..],
            (false, true) => &endpoint.rules,
        };
        for id in changed {
            self.machine.gates[id.index()].may_redirect = true;
        }
        Ok(id)
    }

    /// The rule of this number.
    ///
    /// # Panics
    ///
    /// Where `id` is from another map, and larger than this one's rules are many.
    #[must_use]
    pub fn rule(&self, id: RuleId) -> &BoundRule {
        &self.rules[id.index()]
    }

    /// All rules, endpoint by endpoint; an endpoint's in the order in which they are built.
    pub fn rules(&self) -> impl Iterator<Item = &BoundRule> {
        self.endpoints
            .iter()
            .flat_map(|endpoint| &endpoint.rules)
            .map(|id| self.rule(*id))
    }

    /// The rules of one endpoint, in the order in which they are built.
    pub fn rules_of(&self, endpoint: &str) -> impl Iterator<Item = &BoundRule> {
        let rules = match self.endpoint_id(endpoint) {
            Some(id) => &self.endpoints[id.index()].rules[..],
            None => &[],
        };
        rules.iter().map(|id| self.rule(*id))
    }

    /// The number of an endpoint; `None` where no rule leads to it.
    #[must_use]
    pub fn endpoint_id(&self, endpoint: &str) -> Option<EndpointId> {
        self.endpoint_ids.get(endpoint).copied()
    }

    /// The names of the endpoints, by number.
    #[must_use]
    pub fn endpoints(&self) -> impl ExactSizeIterator<Item = &str> {
        self.endpoints.iter().map(|endpoint| &*endpoint.name)
    }

    /// Whether a rule of `endpoint` has all of these arguments.
    #[must_use]
    pub fn is_endpoint_expecting(&self, endpoint: &str, arguments: &[&str]) -> bool {
        self.rules_of(endpoint)
            .any(|rule| arguments.iter().all(|name| rule.has_argument(name)))
    }

    /// How many rules the map has.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.rules.len()
    }

    /// Whether the map has none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }
}

impl fmt::Debug for Map {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rules = self.rules().map(|rule| (rule.rule(), rule.endpoint()));
        f.debug_map().entries(rules).finish()
    }
}
