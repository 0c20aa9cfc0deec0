//! The tree of states that the rules of a map make.
//!
//! A part of a rule is a transition. A state has one way to it, so a state also stands for the
//! beginning that all rules behind it share. The [search](crate::matching::search) walks the tree;
//! what it walks by is said there.

use std::sync::Arc;

use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use crate::ids::RuleId;
use crate::ids::StateId;
use crate::map::route_index::RouteIndex;
use crate::methods::{Method, MethodSet};
use crate::rule::part::{DynamicPart, Part};
use crate::rule::rule::BoundRule;

/// Where every search begins.
pub(crate) const ROOT: StateId = 0;

#[derive(Debug, Clone, Default)]
pub(crate) struct State {
    /// Static transitions by text.
    texts: Texts,
    /// The static transition of the empty part, which nearly every path takes first. It is kept
    /// apart because comparing empty texts is slow: they have no address of their own, and some
    /// implementations of `memcmp` stumble over that (100 ns on AMD's Zen 4).
    pub(crate) empty: Option<StateId>,
    /// In order of weight.
    pub(crate) dynamic: Vec<(Arc<DynamicPart>, StateId)>,
    /// In the order of adding.
    pub(crate) rules: SmallVec<[RuleId; 2]>,
    /// The only way from here.
    pub(crate) chain: Option<Box<Chain>>,
    /// The routes of rules with one variable, where this is the state behind a domain.
    pub(crate) routes: Option<Box<RouteIndex>>,
}

/// Static parts in a row.
#[derive(Debug, Clone)]
pub(crate) struct Chain {
    /// Joined by slashes.
    pub(crate) text: Box<str>,
    pub(crate) end: StateId,
}

/// Transitions by text, none of them empty. Most states have one, and comparing is quicker than
/// hashing.
#[derive(Debug, Clone, Default)]
pub(crate) enum Texts {
    #[default]
    None,
    One(Box<str>, StateId),
    Many(Box<FxHashMap<Box<str>, StateId>>),
}

impl Texts {
    fn insert(&mut self, text: &str, target: StateId) {
        *self = match std::mem::take(self) {
            Self::None => Self::One(text.into(), target),
            Self::One(first, first_target) => {
                let both = [(first, first_target), (text.into(), target)];
                Self::Many(Box::new(both.into_iter().collect()))
            }
            Self::Many(mut texts) => {
                texts.insert(text.into(), target);
                Self::Many(texts)
            }
        };
    }
}

impl State {
    /// The text and target of the only transition, where that is a static one and no rule ends
    /// here.
    fn only_way(&self) -> Option<(&str, StateId)> {
        match &self.texts {
            Texts::One(text, target)
                if self.dynamic.is_empty() && self.rules.is_empty() && self.empty.is_none() =>
            {
                Some((text, *target))
            }
            _ => None,
        }
    }

    /// The target of the static transition by this text.
    #[inline]
    pub(crate) fn fixed(&self, text: &str) -> Option<StateId> {
        if text.is_empty() {
            return self.empty;
        }
        match &self.texts {
            Texts::None => None,
            Texts::One(only, target) => (**only == *text).then_some(*target),
            Texts::Many(texts) => texts.get(text).copied(),
        }
    }
}

/// What a rule asks of a request besides its path, in the few bytes that every match reads: whole
/// rules lie far apart in memory.
#[derive(Debug, Clone, Copy)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a property of the rule of its own"
)]
pub(crate) struct Gate {
    /// The standard methods the rule takes, as bits; all of them where it takes any.
    known_methods: u16,
    /// Whether the rule takes methods that have no bit; which, only the rule knows.
    other_methods: bool,
    any_method: bool,
    pub(crate) websocket: bool,
    pub(crate) strict_slashes: bool,
    /// Whether a match has values.
    pub(crate) has_values: bool,
    /// Whether a match can turn out to be a redirect.
    pub(crate) may_redirect: bool,
}

impl Gate {
    pub(crate) fn new(rule: &BoundRule) -> Self {
        let (known_methods, other_methods) =
            rule.methods().map_or((u16::MAX, false), MethodSet::bits);
        Self {
            known_methods,
            other_methods,
            any_method: rule.methods().is_none(),
            websocket: rule.is_websocket(),
            strict_slashes: rule.strict_slashes(),
            has_values: !rule.value_names().is_empty(),
            may_redirect: rule.redirect_to().is_some() || rule.is_alias(),
        }
    }

    /// Whether the rule itself is the whole answer.
    #[inline]
    pub(crate) const fn is_plain(self) -> bool {
        !self.has_values && !self.may_redirect
    }

    /// Whether the rule takes the method that has this bit.
    #[inline]
    pub(crate) const fn takes_known(self, bit: u16) -> bool {
        self.known_methods & bit != 0
    }

    #[inline]
    pub(crate) fn takes(self, method: &Method<'_>, rule: impl FnOnce() -> bool) -> bool {
        match method {
            Method::Known(bit) => self.takes_known(*bit),
            Method::Other(_) => self.any_method || (self.other_methods && rule()),
        }
    }
}

/// The tree of all rules that can match.
#[derive(Debug, Clone)]
pub(crate) struct StateMachine {
    pub(crate) states: Vec<State>,
    /// By the number of the rule.
    pub(crate) gates: Vec<Gate>,
    /// From a path to where it leads by static parts alone, for each domain.
    pub(crate) index: FxHashMap<Box<str>, SmallVec<[StaticWay; 1]>>,
}

/// Where a path leads by static parts alone.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StaticWay {
    /// The state behind the domain.
    pub(crate) domain: StateId,
    pub(crate) state: StateId,
    /// The first rule there and what it asks, to be read along with the index.
    pub(crate) rule: RuleId,
    pub(crate) gate: Gate,
}

impl Default for StateMachine {
    fn default() -> Self {
        Self {
            states: vec![State::default()],
            gates: Vec::new(),
            index: FxHashMap::default(),
        }
    }
}

impl StateMachine {
    pub(crate) fn add(&mut self, rule: &BoundRule) {
        let mut state = ROOT;
        let mut domain_state = None;
        let mut static_path = String::new();
        let mut all_static = true;
        let mut way = Vec::with_capacity(rule.parts.len());
        for (depth, part) in rule.parts.iter().enumerate() {
            state = self.transition(state, part);
            way.push(state);
            match part {
                Part::Static(text) if domain_state.is_some() => {
                    if depth > 1 {
                        static_path.push('/');
                    }
                    static_path.push_str(text);
                }
                Part::Static(_) => domain_state = Some(state),
                Part::Dynamic(_) => {
                    all_static = false;
                    domain_state = domain_state.or(Some(state));
                }
            }
        }
        self.states[state as usize].rules.push(rule.id);
        self.renew_chains(&way);
        // A domain rule with a slash in it has more than one part and never matches.
        let one_domain_part = !rule.domain_rule.contains('/');
        let Some(domain_state) = domain_state.filter(|_| one_domain_part) else {
            return;
        };
        if all_static {
            let ways = self.index.entry(static_path.into()).or_default();
            // Rules that come later to the same state are tried later.
            if !ways.iter().any(|way| way.state == state) {
                ways.push(StaticWay {
                    domain: domain_state,
                    state,
                    rule: rule.id,
                    gate: Gate::new(rule),
                });
            }
        } else if let Some(Part::Static(_)) = rule.parts.first()
            && self.states[state as usize].rules.len() == 1
        {
            // Only a rule that is the first of its state is indexed: a later one answers where
            // those before it do not take the request, which the search has to find out.
            let routes = &mut self.states[domain_state as usize].routes;
            routes.get_or_insert_default().add(rule, &way);
        }
    }

    /// Renews the chains along the way of a rule that was added.
    fn renew_chains(&mut self, way: &[StateId]) {
        let mut in_chain = false;
        for (place, &state) in way.iter().enumerate() {
            let here = &mut self.states[state as usize];
            here.chain = None;
            if here.only_way().is_none() {
                in_chain = false;
                // A chain that led through here now ends here, so its rest begins a chain of its
                // own.
                if let Texts::One(_, behind) = here.texts
                    && way.get(place + 1) != Some(&behind)
                {
                    self.begin_chain(behind);
                }
            } else if !in_chain {
                in_chain = true;
                self.begin_chain(state);
            }
        }
    }

    fn begin_chain(&mut self, start: StateId) {
        let mut text = String::new();
        let mut end = start;
        while let Some((part, target)) = self.states[end as usize].only_way() {
            if end != start {
                text.push('/');
            }
            text.push_str(part);
            end = target;
        }
        if end != start {
            let text = text.into();
            self.states[start as usize].chain = Some(Box::new(Chain { text, end }));
        }
    }

    /// The state behind `part`, made if it is new.
    fn transition(&mut self, from: StateId, part: &Part) -> StateId {
        let new = StateId::try_from(self.states.len()).expect("fewer than 2^32 states");
        let state = &mut self.states[from as usize];
        match part {
            Part::Static(text) => {
                if let Some(known) = state.fixed(text) {
                    return known;
                }
                if text.is_empty() {
                    state.empty = Some(new);
                } else {
                    let first = match state.texts {
                        Texts::One(_, first) => Some(first),
                        Texts::None | Texts::Many(_) => None,
                    };
                    state.texts.insert(text, new);
                    if let Some(first) = first {
                        self.begin_chain(first);
                    }
                }
            }
            Part::Dynamic(part) => {
                if let Some((_, known)) = state.dynamic.iter().find(|(known, _)| known == part) {
                    return *known;
                }
                let at = state
                    .dynamic
                    .partition_point(|(known, _)| known.weight <= part.weight);
                state.dynamic.insert(at, (Arc::clone(part), new));
            }
        }
        self.states.push(State::default());
        new
    }

    pub(crate) fn fixed(&self, state: StateId, text: &str) -> Option<StateId> {
        self.states[state as usize].fixed(text)
    }

    pub(crate) fn dynamic(&self, state: StateId) -> &[(Arc<DynamicPart>, StateId)] {
        &self.states[state as usize].dynamic
    }

    pub(crate) fn rules_at(&self, state: StateId) -> &[RuleId] {
        &self.states[state as usize].rules
    }
}
