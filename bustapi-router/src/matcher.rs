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
    /// Static transitions by text.
    texts: FxHashMap<Box<str>, StateId>,
    /// The static transition of the empty part, which nearly every path takes first. It is kept
    /// apart because comparing empty texts is slow: they have no address of their own, and some
    /// implementations of `memcmp` stumble over that (100 ns on AMD's Zen 4).
    empty: Option<StateId>,
    dynamic: Vec<(Arc<DynamicPart>, StateId)>,
    /// In the order of adding.
    rules: SmallVec<[RuleId; 2]>,
}

impl State {
    fn fixed(&self, text: &str) -> Option<StateId> {
        if text.is_empty() {
            self.empty
        } else {
            self.texts.get(text).copied()
        }
    }
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    Rule(RuleId),
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
                if let Some(known) = state.fixed(text) {
                    return known;
                }
                if text.is_empty() {
                    state.empty = Some(new);
                } else {
                    state.texts.insert(text.clone(), new);
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

    /// Finds the rule for a path, and where its arguments lie. `misses` is only complete when
    /// there is none.
    pub(crate) fn find(
        &self,
        rules: &[BoundRule],
        sought: &Sought<'_>,
        spans: &mut Spans,
        misses: &mut Misses,
    ) -> Option<Found> {
        if let Some(targets) = self.index.get(sought.path) {
            let domain = self.states[ROOT as usize].fixed(sought.domain);
            let target = targets.iter().find(|(of, _)| Some(*of) == domain);
            if let Some((_, state)) = target
                && let Some(found) = self.accept_static(rules, *state, sought)
            {
                return Some(found);
            }
        }
        self.search(rules, sought, spans, misses)
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
            Some(id) => Some(Found::Rule(*id)),
            None => self.with_slash(rules, state, sought),
        }
    }

    /// The first rule that would take the request if the path had one more slash. Rules that are
    /// reached so and do not take the method do not count as misses.
    fn with_slash(&self, rules: &[BoundRule], state: &State, sought: &Sought<'_>) -> Option<Found> {
        let behind = state.empty?;
        for id in &self.states[behind as usize].rules {
            let rule = &rules[id.index()];
            if rule.rule.websocket == sought.websocket && rule.takes(sought.method) {
                return Some(if rule.strict_slashes {
                    Found::SlashRequired
                } else {
                    Found::Rule(*id)
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
        spans: &mut Spans,
        misses: &mut Misses,
    ) -> Option<Found> {
        spans.clear();
        Search {
            states: &self.states,
            machine: self,
            rules,
            sought,
            misses,
            spans,
            frames: SmallVec::new(),
        }
        .run()
    }
}

/// What of domain and path is left in a state: everything, the path from a byte on (at the
/// path's end, one empty part), or nothing, not even an empty part.
///
/// One number, because every state visited copies it; paths are shorter than the two marks.
type Rest = usize;
const ALL: Rest = usize::MAX;
const NOTHING: Rest = usize::MAX - 1;

/// A state to come back to if the way taken from it fails.
#[derive(Clone, Copy)]
struct Frame {
    state: StateId,
    /// The dynamic transition to try next.
    next: u32,
    rest: Rest,
    /// How many spans there were.
    spans: usize,
}

struct Search<'a> {
    states: &'a [State],
    machine: &'a StateMachine,
    rules: &'a [BoundRule],
    sought: &'a Sought<'a>,
    misses: &'a mut Misses,
    spans: &'a mut Spans,
    /// An explicit stack: the tree is as deep as the longest rule has parts, and that must not
    /// be a question of the thread's stack. States without another way are not put on it.
    frames: SmallVec<[Frame; 8]>,
}

impl Search<'_> {
    fn run(&mut self) -> Option<Found> {
        let (mut state, mut rest) = (ROOT, ALL);
        loop {
            // Down, as long as there is a way.
            while rest != NOTHING {
                let (part, behind) = self.split(rest);
                let here = &self.states[state as usize];
                let step = match here.fixed(part) {
                    Some(target) => {
                        if !here.dynamic.is_empty() || self.may_leave_slash(here, rest) {
                            self.push(state, 0, rest);
                        }
                        Some((target, behind))
                    }
                    None if here.dynamic.is_empty() => None,
                    None => self.step_dynamic(state, 0, rest),
                };
                match step {
                    Some(step) => (state, rest) = step,
                    None => break,
                }
            }
            let found = if rest == NOTHING {
                self.at_end(state)
            } else {
                self.slash_over(state, rest)
            };
            if found.is_some() {
                return found;
            }
            // Back, to the last state with another way.
            (state, rest) = loop {
                let frame = self.frames.pop()?;
                self.spans.truncate(frame.spans);
                if let Some(step) = self.step_dynamic(frame.state, frame.next, frame.rest) {
                    break step;
                }
                if let Some(found) = self.slash_over(frame.state, frame.rest) {
                    return Some(found);
                }
            };
        }
    }

    fn push(&mut self, state: StateId, next: u32, rest: Rest) {
        self.frames.push(Frame {
            state,
            next,
            rest,
            spans: self.spans.len(),
        });
    }

    /// The first part of what is left, and what is left behind it.
    fn split(&self, rest: Rest) -> (&str, Rest) {
        if rest == ALL {
            return (self.sought.domain, 0);
        }
        let part = &self.sought.path[rest..];
        match memchr::memchr(b'/', part.as_bytes()) {
            Some(length) => (&part[..length], rest + length + 1),
            None => (part, NOTHING),
        }
    }

    /// Takes the first dynamic transition from number `next` on that matches.
    fn step_dynamic(&mut self, state: StateId, next: u32, rest: Rest) -> Option<(StateId, Rest)> {
        let here = &self.states[state as usize];
        let tests = here.dynamic.get(next as usize..)?;
        let (part, behind) = self.split(rest);
        let in_domain = rest == ALL;
        let (source, start) = if in_domain {
            (self.sought.domain, 0)
        } else {
            (self.sought.path, rest)
        };
        let segment_end = start + part.len();
        let spans_before = self.spans.len();
        for (number, (test, target)) in (next..).zip(tests) {
            let (end, behind) = match (test.is_final, in_domain) {
                (false, _) => (segment_end, behind),
                (true, false) => (source.len(), NOTHING),
                // A domain part that takes slashes would swallow the path, and its rule's own
                // path would have nothing left to match: such rules never match.
                (true, true) => continue,
            };
            let mut arguments = Arguments {
                spans: self.spans,
                in_domain,
                start,
            };
            let Some(slash) = test.captures(&source[start..end], &mut arguments) else {
                continue;
            };
            let other_way = number as usize + 1 < here.dynamic.len();
            if other_way || self.may_leave_slash(here, rest) {
                self.frames.push(Frame {
                    state,
                    next: number + 1,
                    rest,
                    spans: spans_before,
                });
            }
            // The slash behind a suffixed part is a part of its own, the empty last one.
            let behind = if slash {
                self.sought.path.len()
            } else {
                behind
            };
            return Some((*target, behind));
        }
        None
    }

    /// All parts are used: a rule of this state, or one that only lacks a slash.
    fn at_end(&mut self, state: StateId) -> Option<Found> {
        if let Some(id) = self.fitting(state, false) {
            return Some(Found::Rule(id));
        }
        let state = &self.states[state as usize];
        self.machine.with_slash(self.rules, state, self.sought)
    }

    /// Whether [`slash_over`](Self::slash_over) has a say here.
    fn may_leave_slash(&self, state: &State, rest: Rest) -> bool {
        rest == self.sought.path.len() && !state.rules.is_empty()
    }

    /// Only a slash is left over: rules that are not strict match all the same.
    fn slash_over(&mut self, state: StateId, rest: Rest) -> Option<Found> {
        if rest != self.sought.path.len() {
            return None;
        }
        self.fitting(state, true).map(Found::Rule)
    }

    /// The first rule of `state` that takes the request; notes the others.
    fn fitting(&mut self, state: StateId, lenient_only: bool) -> Option<RuleId> {
        for id in &self.states[state as usize].rules {
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

/// Takes the arguments of one part, whose text begins at `start` of the domain or the path.
pub(crate) struct Arguments<'a> {
    spans: &'a mut Spans,
    in_domain: bool,
    start: usize,
}

impl Arguments<'_> {
    pub(crate) fn push(&mut self, start: usize, end: usize) {
        self.spans.push(Span {
            in_domain: self.in_domain,
            start: self.start + start,
            end: self.start + end,
        });
    }
}
