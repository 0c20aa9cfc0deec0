//! The state machine that finds a rule for a path.
//!
//! # Theory of operation
//!
//! A path is split at its slashes into parts, with the domain in front. The rules form a tree:
//! each state has static transitions (one lookup by text) and dynamic ones (in order of weight).
//! The search goes depth first, static before dynamic, and backtracks; the first rule reached
//! that takes the method decides. Rules that are reached and do not take it add to the set of
//! allowed methods. That is Werkzeug's machine, and so are its finer points, noted below.
//!
//! A state has one way to it, which fixes how many parts were used before it, so the search
//! visits each state at most once for each path: its cost is bounded by the map, not by the
//! path. (A path of 10,000 segments is not even split further than the tree is deep.)
//!
//! Static rules are also in an index, from whole path to state. Static transitions come first at
//! every state, so the state the index gives is the first one the search would reach; if a rule
//! there takes the request, the search is over. If not, it runs in full.

use rustc_hash::FxHashMap;
use smallvec::SmallVec;
use std::sync::Arc;

use crate::methods::{Method, MethodSet};
use crate::part::{DynamicPart, Part};
use crate::rule::{BoundRule, RuleId};

type StateId = u32;
const ROOT: StateId = 0;

#[derive(Debug, Clone, Default)]
struct State {
    fixed: FxHashMap<Box<str>, StateId>,
    dynamic: Vec<(Arc<DynamicPart>, StateId)>,
    /// In the order of adding.
    rules: SmallVec<[RuleId; 2]>,
}

/// The tree of all rules that can match.
#[derive(Debug, Clone)]
pub(crate) struct StateMachine {
    states: Vec<State>,
    /// From a path to the states it leads to by static parts alone, with the state of the domain.
    index: FxHashMap<Box<str>, SmallVec<[(StateId, StateId); 1]>>,
}

impl Default for StateMachine {
    fn default() -> Self {
        Self {
            states: vec![State::default()],
            index: FxHashMap::default(),
        }
    }
}

/// What is looked for.
#[derive(Clone, Copy)]
pub(crate) struct Sought<'a> {
    pub(crate) domain: &'a str,
    pub(crate) path: &'a str,
    pub(crate) method: Method<'a>,
    pub(crate) websocket: bool,
}

/// How a search ends.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Found {
    Rule(RuleId, Spans),
    /// A rule matches with one more slash at the end.
    SlashRequired,
}

/// Where an argument's text lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) in_domain: bool,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

pub(crate) type Spans = SmallVec<[Span; 4]>;

/// What a search learns from rules that it reaches and may not take.
#[derive(Debug, Default, Clone, PartialEq)]
pub(crate) struct Misses {
    pub(crate) methods: MethodSet,
    pub(crate) websocket_mismatch: bool,
}

impl StateMachine {
    pub(crate) fn add(&mut self, rule: &BoundRule) {
        let mut state = ROOT;
        let mut domain_state = None;
        let mut static_path = String::new();
        let mut all_static = true;
        for (depth, part) in rule.parts.iter().enumerate() {
            state = self.transition(state, part);
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
        // A domain rule with a slash in it has more than one part and never matches.
        let one_domain_part = !rule.domain_rule.contains('/');
        if let Some(domain_state) = domain_state
            && all_static
            && one_domain_part
        {
            let targets = self.index.entry(static_path.into()).or_default();
            if !targets.contains(&(domain_state, state)) {
                targets.push((domain_state, state));
            }
        }
    }

    /// The state behind `part`, made if it is new.
    fn transition(&mut self, from: StateId, part: &Part) -> StateId {
        let new = StateId::try_from(self.states.len()).expect("fewer than 2^32 states");
        let state = &mut self.states[from as usize];
        match part {
            Part::Static(text) => {
                if let Some(known) = state.fixed.get(text) {
                    return *known;
                }
                state.fixed.insert(text.clone(), new);
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

    /// Finds the rule for a path. `misses` is only complete when there is none.
    pub(crate) fn find(
        &self,
        rules: &[BoundRule],
        sought: &Sought<'_>,
        misses: &mut Misses,
    ) -> Option<Found> {
        if let Some(targets) = self.index.get(sought.path) {
            let domain = self.states[ROOT as usize].fixed.get(sought.domain);
            let target = targets.iter().find(|(of, _)| Some(of) == domain);
            if let Some((_, state)) = target
                && let Some(found) = self.accept_static(rules, *state, sought)
            {
                return Some(found);
            }
        }
        self.search(rules, sought, misses)
    }

    fn accept_static(
        &self,
        rules: &[BoundRule],
        state: StateId,
        sought: &Sought<'_>,
    ) -> Option<Found> {
        let state = &self.states[state as usize];
        let fits = |id: &&RuleId| {
            let rule = &rules[id.index()];
            rule.takes(sought.method) && rule.rule.websocket == sought.websocket
        };
        match state.rules.iter().find(fits) {
            Some(id) => Some(Found::Rule(*id, Spans::new())),
            None => self.with_slash(rules, state, sought, &Spans::new()),
        }
    }

    /// The first rule that would take the request if the path had one more slash. Rules that are
    /// reached so and do not take the method do not count as misses.
    fn with_slash(
        &self,
        rules: &[BoundRule],
        state: &State,
        sought: &Sought<'_>,
        spans: &Spans,
    ) -> Option<Found> {
        let behind = *state.fixed.get("")?;
        for id in &self.states[behind as usize].rules {
            let rule = &rules[id.index()];
            if rule.rule.websocket == sought.websocket && rule.takes(sought.method) {
                return Some(if rule.strict_slashes {
                    Found::SlashRequired
                } else {
                    Found::Rule(*id, spans.clone())
                });
            }
        }
        None
    }

    /// The search in full, without the index.
    pub(crate) fn search(
        &self,
        rules: &[BoundRule],
        sought: &Sought<'_>,
        misses: &mut Misses,
    ) -> Option<Found> {
        let mut search = Search {
            machine: self,
            rules,
            sought,
            misses,
            spans: Spans::new(),
            frames: SmallVec::new(),
        };
        search.run()
    }
}

/// What of the path is left in a state.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Rest {
    /// Domain and path.
    All,
    /// The path from this byte on, which begins a part; at the path's end, one empty part.
    From(usize),
    /// Nothing, not even an empty part.
    Nothing,
}

/// A state on the way, and which of its transitions is next.
struct Frame {
    state: StateId,
    rest: Rest,
    spans: usize,
    next: Next,
}

#[derive(Clone, Copy)]
enum Next {
    Static,
    Dynamic(usize),
}

struct Search<'a> {
    machine: &'a StateMachine,
    rules: &'a [BoundRule],
    sought: &'a Sought<'a>,
    misses: &'a mut Misses,
    spans: Spans,
    /// An explicit stack: the tree is as deep as the longest rule has parts, and that must not
    /// be a question of the thread's stack.
    frames: SmallVec<[Frame; 12]>,
}

impl Search<'_> {
    fn run(&mut self) -> Option<Found> {
        self.push(ROOT, Rest::All);
        while let Some(frame) = self.frames.last() {
            let (state, rest, next) = (frame.state, frame.rest, frame.next);
            self.spans.truncate(frame.spans);
            if rest == Rest::Nothing {
                if let Some(found) = self.at_end(state) {
                    return Some(found);
                }
                self.frames.pop();
                continue;
            }
            match next {
                Next::Static => self.step_static(state, rest),
                Next::Dynamic(index) => {
                    if !self.step_dynamic(state, rest, index) {
                        if let Some(found) = self.slash_over(state, rest) {
                            return Some(found);
                        }
                        self.frames.pop();
                    }
                }
            }
        }
        None
    }

    fn push(&mut self, state: StateId, rest: Rest) {
        self.frames.push(Frame {
            state,
            rest,
            spans: self.spans.len(),
            next: Next::Static,
        });
    }

    fn set_next(&mut self, next: Next) {
        if let Some(frame) = self.frames.last_mut() {
            frame.next = next;
        }
    }

    /// The first part of what is left, and what is left behind it.
    fn split(&self, rest: Rest) -> (&str, Rest) {
        match rest {
            Rest::All => (self.sought.domain, Rest::From(0)),
            Rest::Nothing => ("", Rest::Nothing),
            Rest::From(start) => {
                let part = &self.sought.path[start..];
                match memchr::memchr(b'/', part.as_bytes()) {
                    Some(length) => (&part[..length], Rest::From(start + length + 1)),
                    None => (part, Rest::Nothing),
                }
            }
        }
    }

    fn step_static(&mut self, state: StateId, rest: Rest) {
        self.set_next(Next::Dynamic(0));
        let (part, behind) = self.split(rest);
        let target = self.machine.states[state as usize].fixed.get(part).copied();
        if let Some(target) = target {
            self.push(target, behind);
        }
    }

    /// Takes the first dynamic transition from number `index` on that matches; false for none.
    fn step_dynamic(&mut self, state: StateId, rest: Rest, index: usize) -> bool {
        let machine = self.machine;
        let dynamic = &machine.states[state as usize].dynamic;
        if dynamic.len() <= index {
            return false;
        }
        let (part, behind) = self.split(rest);
        let in_domain = rest == Rest::All;
        let start = match rest {
            Rest::From(start) => start,
            Rest::All | Rest::Nothing => 0,
        };
        let end = start + part.len();
        for (number, (test, target)) in dynamic.iter().enumerate().skip(index) {
            let (end, behind) = match (test.is_final, in_domain) {
                (false, _) => (end, behind),
                (true, false) => (self.sought.path.len(), Rest::Nothing),
                // A domain part that takes slashes would swallow the path, and its rule's own
                // path would have nothing left to match: such rules never match.
                (true, true) => continue,
            };
            let source = if in_domain {
                self.sought.domain
            } else {
                self.sought.path
            };
            let Some((groups, slash)) = test.captures(&source[start..end]) else {
                continue;
            };
            self.set_next(Next::Dynamic(number + 1));
            let spans = groups.iter().map(|(from, to)| Span {
                in_domain,
                start: start + from,
                end: start + to,
            });
            self.spans.extend(spans);
            // The slash behind a suffixed part is a part of its own, the empty last one.
            let behind = if slash {
                Rest::From(self.sought.path.len())
            } else {
                behind
            };
            self.push(*target, behind);
            return true;
        }
        false
    }

    /// All parts are used: a rule of this state, or one that only lacks a slash.
    fn at_end(&mut self, state: StateId) -> Option<Found> {
        if let Some(id) = self.fitting(state, false) {
            return Some(Found::Rule(id, self.spans.clone()));
        }
        let state = &self.machine.states[state as usize];
        self.machine
            .with_slash(self.rules, state, self.sought, &self.spans)
    }

    /// Only a slash is left over: rules that are not strict match all the same.
    fn slash_over(&mut self, state: StateId, rest: Rest) -> Option<Found> {
        if rest != Rest::From(self.sought.path.len()) {
            return None;
        }
        let id = self.fitting(state, true)?;
        Some(Found::Rule(id, self.spans.clone()))
    }

    /// The first rule of `state` that takes the request; notes the others.
    fn fitting(&mut self, state: StateId, lenient_only: bool) -> Option<RuleId> {
        for id in &self.machine.states[state as usize].rules {
            let rule = &self.rules[id.index()];
            if lenient_only && rule.strict_slashes {
                continue;
            }
            if !rule.takes(self.sought.method) {
                if let Some(methods) = &rule.rule.methods {
                    self.misses.methods.extend_from(methods);
                }
            } else if rule.rule.websocket == self.sought.websocket {
                return Some(*id);
            } else {
                self.misses.websocket_mismatch = true;
            }
        }
        None
    }
}
