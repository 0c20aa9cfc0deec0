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
//! there takes the request, there is no need to search. If not, the search runs in full.
//!
//! Where a state has a single transition, a static one, and so have the states behind it, their
//! texts are joined to a chain that is compared at once: `/api/v1/` costs one step, not two.

use smallvec::SmallVec;

use crate::error::ConversionError;
use crate::ids::RuleId;
use crate::ids::StateId;
use crate::map::route_index::{Route, RouteVariable, VARIABLES};
use crate::map::states::{Chain, Gate, ROOT, State, StateMachine};
use crate::methods::{Method, MethodSet};
use crate::rule::rule::BoundRule;
use crate::rule::span::{Arguments, Spans};
use crate::value::Values;

/// What is looked for.
#[derive(Clone, Copy)]
pub(crate) struct Sought<'a> {
    pub(crate) domain: &'a str,
    pub(crate) path: &'a str,
    /// By reference: copying the enum out of its parts costs a stalled load at every match.
    pub(crate) method: &'a Method<'a>,
    pub(crate) websocket: bool,
}

/// How a search ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    Rule(RuleId),
    /// A rule matches with one more slash at the end.
    SlashRequired,
}

/// What a search learns from rules that it reaches and may not take.
#[derive(Debug, Default, Clone, PartialEq)]
pub(crate) struct Misses {
    pub(crate) methods: MethodSet,
    pub(crate) websocket_mismatch: bool,
}

impl StateMachine {
    /// The rule that the search would find, if the index knows it.
    #[inline]
    pub(crate) fn find_static(&self, sought: &Sought<'_>) -> Option<RuleId> {
        // Other methods are compared by name, and their case is not yet the rules'.
        let Method::Known(method) = *sought.method else {
            return None;
        };
        let ways = self.index.get(sought.path)?;
        let domain = self.states[ROOT as usize].fixed(sought.domain)?;
        let way = ways.iter().find(|way| way.domain == domain)?;
        let fits = |gate: Gate| gate.websocket == sought.websocket && gate.takes_known(method);
        if fits(way.gate) {
            return Some(way.rule);
        }
        let mut rules = self.states[way.state as usize].rules.iter();
        rules.find(|id| fits(self.gates[id.index()])).copied()
    }

    /// The rule that the search would find, if the index knows it, and whether its values could
    /// be made. No converter is called before all else has matched.
    #[inline]
    pub(crate) fn find_route(
        &self,
        sought: &Sought<'_>,
        values: &mut Values,
    ) -> Option<(RuleId, Result<(), ConversionError>)> {
        let Method::Known(method) = *sought.method else {
            return None;
        };
        let domain = self.states[ROOT as usize].fixed(sought.domain)?;
        let index = self.states[domain as usize].routes.as_deref()?;
        let found = index.tree.at(sought.path).ok()?;
        let Route { rule, variables } = found.value;
        let gate = self.gates[rule.index()];
        if gate.websocket != sought.websocket || gate.may_redirect || !gate.takes_known(method) {
            return None;
        }
        // matchit checks a segment's characters each time it is asked for.
        let mut segments = [""; VARIABLES];
        let params = found.params.iter().map(|(_, segment)| segment);
        for ((variable, segment), kept) in variables.iter().zip(params).zip(&mut segments) {
            if !variable.is_first(&self.states[variable.before as usize], segment) {
                return None;
            }
            *kept = segment;
        }
        for (variable, segment) in variables.iter().zip(segments) {
            match variable.converter.to_value(segment) {
                Ok(value) => values.push(value),
                Err(error) => return Some((*rule, Err(error))),
            }
        }
        Some((*rule, Ok(())))
    }

    /// The first rule that would take the request if the path had one more slash. Rules that are
    /// reached so and do not take the method do not count as misses.
    fn with_slash(&self, rules: &[BoundRule], state: &State, sought: &Sought<'_>) -> Option<Found> {
        let behind = state.empty?;
        for id in &self.states[behind as usize].rules {
            let gate = self.gates[id.index()];
            if gate.websocket == sought.websocket
                && gate.takes(sought.method, || rules[id.index()].takes(sought.method))
            {
                return Some(if gate.strict_slashes {
                    Found::SlashRequired
                } else {
                    Found::Rule(*id)
                });
            }
        }
        None
    }

    /// Finds the rule for a path, and where its arguments lie, without the index.
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
            // Go down the tree, as long as there is a transition to take.
            while rest != NOTHING {
                let here = &self.states[state as usize];
                if let Some(chain) = &here.chain {
                    match self.follow(chain, rest) {
                        Some(behind) => (state, rest) = (chain.end, behind),
                        None => break,
                    }
                    continue;
                }
                let (part, behind) = self.split(rest);
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
            // Go back to the last state that has another transition.
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

    /// What is left behind a chain, where the path goes along it.
    fn follow(&self, chain: &Chain, rest: Rest) -> Option<Rest> {
        let tail = self.sought.path[rest..].strip_prefix(&*chain.text)?;
        match tail.as_bytes().first() {
            None => Some(NOTHING),
            Some(b'/') => Some(self.sought.path.len() - tail.len() + 1),
            Some(_) => None,
        }
    }

    /// The first part of what is left, and what is left behind it.
    fn split(&self, rest: Rest) -> (&str, Rest) {
        if rest == ALL {
            return (self.sought.domain, 0);
        }
        let part = &self.sought.path[rest..];
        match find_slash(part.as_bytes()) {
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
            let gate = self.machine.gates[id.index()];
            if lenient_only && gate.strict_slashes {
                continue;
            }
            let rule = &self.rules[id.index()];
            if !gate.takes(self.sought.method, || rule.takes(self.sought.method)) {
                if let Some(methods) = rule.methods() {
                    self.misses.methods.extend_from(methods);
                }
            } else if gate.websocket == self.sought.websocket {
                return Some(*id);
            } else {
                self.misses.websocket_mismatch = true;
            }
        }
        None
    }
}

/// Where the first slash is.
#[inline]
fn find_slash(text: &[u8]) -> Option<usize> {
    /// Most segments are not longer, and end sooner than `memchr` begins.
    const SHORT: usize = 16;
    let short = &text[..text.len().min(SHORT)];
    if let Some(found) = short.iter().position(|byte| *byte == b'/') {
        return Some(found);
    }
    let rest = text.get(SHORT..)?;
    memchr::memchr(b'/', rest).map(|found| SHORT + found)
}

impl RouteVariable {
    /// Whether the search, in the state before the variable, would try this variable first.
    #[inline]
    fn is_first(&self, before: &State, segment: &str) -> bool {
        if before.fixed(segment).is_some() || !self.test.takes_segment(segment) {
            return false;
        }
        let mut others = before.dynamic.iter();
        others
            .find(|(test, target)| {
                *target == self.behind || !test.is_whole_segment() || test.takes_segment(segment)
            })
            .is_some_and(|(_, target)| *target == self.behind)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::Index;

    use super::*;
    use crate::map::map::Map;
    use crate::rule::rule::Rule;
    use crate::value::Values;

    /// The search as plainly as it can be written: parts in a list, one recursion, no index, no
    /// chains, no frames.
    struct Plain<'a> {
        map: &'a Map,
        sought: &'a Sought<'a>,
        misses: Misses,
    }

    impl Plain<'_> {
        fn search(&mut self, state: StateId, parts: &[&str]) -> Option<Found> {
            let here = &self.map.machine.states[state as usize];
            let Some((part, behind)) = parts.split_first() else {
                if let Some(found) = self.first_of(here, false) {
                    return Some(found);
                }
                let slashed = &self.map.machine.states[here.empty? as usize];
                let fits = |id: &&RuleId| {
                    let rule = self.map.rule(**id);
                    rule.takes(self.sought.method) && rule.is_websocket() == self.sought.websocket
                };
                let rule = slashed.rules.iter().find(fits)?;
                return Some(if self.map.rule(*rule).strict_slashes() {
                    Found::SlashRequired
                } else {
                    Found::Rule(*rule)
                });
            };
            if let Some(target) = here.fixed(part)
                && let Some(found) = self.search(target, behind)
            {
                return Some(found);
            }
            for (test, target) in &here.dynamic {
                let whole = parts.join("/");
                let (text, mut behind) = if test.is_final {
                    (whole.as_str(), &[][..])
                } else {
                    (*part, behind)
                };
                let mut spans = Spans::new();
                let mut arguments = Arguments {
                    spans: &mut spans,
                    in_domain: false,
                    start: 0,
                };
                if let Some(slash) = test.captures(text, &mut arguments) {
                    if slash {
                        behind = &[""];
                    }
                    if let Some(found) = self.search(*target, behind) {
                        return Some(found);
                    }
                }
            }
            if parts == [""] {
                return self.first_of(here, true);
            }
            None
        }

        fn first_of(&mut self, state: &State, lenient_only: bool) -> Option<Found> {
            for id in &state.rules {
                let rule = self.map.rule(*id);
                if lenient_only && rule.strict_slashes() {
                    continue;
                }
                if !rule.takes(self.sought.method) {
                    self.misses.methods.extend_from(rule.methods()?);
                } else if rule.is_websocket() != self.sought.websocket {
                    self.misses.websocket_mismatch = true;
                } else {
                    return Some(Found::Rule(*id));
                }
            }
            None
        }
    }

    /// Segments of rules, each with texts that it takes or nearly does, and how often it is drawn.
    const SEGMENTS: [(&str, &[&str], u32); 14] = [
        ("a", &["a"], 3),
        ("b", &["b"], 1),
        ("api", &["api"], 1),
        ("v1", &["v1"], 1),
        ("", &[""], 1),
        ("<X>", &["a", "b", "7", "x"], 5),
        ("<int:X>", &["7", "3", "12"], 2),
        ("<int(max=5):X>", &["7", "3"], 1),
        ("<path:X>", &["a", "a/b", "7/a"], 2),
        ("a<X>", &["ab", "api"], 1),
        ("<X>.b", &["a.b"], 1),
        ("<any(a,b):X>", &["a", "b"], 3),
        ("<any(b,''):X>", &["b", ""], 2),
        ("<string(2):X>", &["v1", "12"], 1),
    ];

    type Segment = (&'static str, &'static [&'static str]);

    fn segment() -> impl Strategy<Value = Segment> {
        let weighted = SEGMENTS.map(|(segment, texts, weight)| (weight, Just((segment, texts))));
        proptest::strategy::Union::new_weighted(weighted.to_vec())
    }

    /// What a rule has besides its segments.
    fn options() -> impl Strategy<Value = Rule> {
        let methods =
            prop::option::weighted(0.3, prop::sample::subsequence(vec!["GET", "POST"], 0..=2));
        let subdomain = prop::sample::select(vec!["", "", "", "<user>", "api"]);
        (methods, any::<bool>(), prop::bool::weighted(0.3), subdomain).prop_map(
            |(methods, strict, rare, subdomain)| {
                let rule = Rule::new("").subdomain(subdomain).strict_slashes(strict);
                let rule = rule.merge_slashes(false);
                match methods {
                    Some(methods) => rule.methods(methods),
                    None if rare && strict => rule.websocket(true),
                    None if rare => rule.default("extra", "a"),
                    None => rule,
                }
            },
        )
    }

    /// Rules that compete, and paths that lie near them. Drawn each for itself they seldom meet:
    /// so all rules are one with some segments exchanged, and each path is one of theirs, with
    /// the variables filled in and at times a segment exchanged.
    fn rules_and_paths() -> impl Strategy<Value = (Vec<Rule>, Vec<String>)> {
        let exchanged = prop::collection::vec((any::<Index>(), segment()), 0..3);
        let shorter = prop::sample::select(vec![0_usize, 0, 0, 0, 1, 2]);
        let rule = (exchanged, shorter, prop::bool::weighted(0.2), options());
        let texts = prop::collection::vec(any::<Index>(), 5);
        let other = prop::option::weighted(0.3, (any::<Index>(), segment()));
        let path = (any::<Index>(), texts, other, prop::bool::weighted(0.2));
        (
            prop::collection::vec(segment(), 1..5),
            prop::collection::vec(rule, 1..12),
            prop::collection::vec(path, 1..12),
        )
            .prop_map(|(trunk, rules, paths)| {
                let (mut made, mut shapes) = (Vec::new(), Vec::new());
                for (exchanged, shorter, slash, rule) in rules {
                    // With one endpoint for all, one default would make all of them redirect.
                    let mut rule = rule.endpoint(format!("e{}", made.len()));
                    let mut segments = trunk.clone();
                    for (at, segment) in exchanged {
                        *at.get_mut(&mut segments) = segment;
                    }
                    segments.truncate(segments.len().saturating_sub(shorter).max(1));
                    for (number, (segment, _)) in segments.iter().enumerate() {
                        let segment = segment.replace('X', &format!("x{number}"));
                        rule.string.extend(["/", &segment]);
                    }
                    rule.string.extend(slash.then_some("/"));
                    made.push(rule);
                    shapes.push((segments, slash));
                }
                let paths = paths.into_iter().map(|(shape, texts, other, turned)| {
                    let (segments, slash) = shape.get(&shapes);
                    let mut segments = segments.clone();
                    if let Some((at, segment)) = other {
                        *at.get_mut(&mut segments) = segment;
                    }
                    let mut path = String::new();
                    for (&(_, near), text) in segments.iter().zip(&texts) {
                        path.extend(["/", *text.get(near)]);
                    }
                    path.extend((*slash != turned).then_some("/"));
                    path
                });
                let paths = paths.collect();
                (made, paths)
            })
    }

    proptest! {
        // The rarest of the faults that it must see takes some hundred cases to show.
        #![proptest_config(ProptestConfig::with_cases(1024))]
        #[test]
        fn index_and_chains_change_no_answer(
            (rules, paths) in rules_and_paths(),
            domain in prop::sample::select(vec!["", "", "", "api", "me"]),
            method in prop::sample::select(vec!["GET", "GET", "PUT"]),
            websocket in prop::bool::weighted(0.2),
        ) {
            let mut map = Map::default();
            for rule in rules {
                map.add(rule).unwrap();
                for path in &paths {
                    let method = Method::new(method);
                    let sought = Sought { domain, path, method: &method, websocket };
                    let mut parts = vec![domain];
                    parts.extend(path.split('/'));
                    let mut plain = Plain { map: &map, sought: &sought, misses: Misses::default() };
                    let expected = plain.search(ROOT, &parts);
                    let expected = (expected, plain.misses);

                    let spans = &mut Spans::new();
                    let mut misses = Misses::default();
                    let found = map.machine.search(&map.rules, &sought, spans, &mut misses);
                    prop_assert_eq!(&(found, misses), &expected, "search {}", path);

                    if let Some(id) = map.machine.find_static(&sought) {
                        prop_assert_eq!(Some(Found::Rule(id)), expected.0, "index {}", path);
                    }
                    let mut values = Values::new();
                    if let Some((id, made)) = map.machine.find_route(&sought, &mut values) {
                        prop_assert_eq!(Some(Found::Rule(id)), expected.0, "routes {}", path);
                        let converters = map.rule(id).converters.iter();
                        let texts = spans.iter().map(|span| &path[span.start..span.end]);
                        let texts = converters.zip(texts);
                        let expected: Result<Values, _> = texts
                            .map(|((_, converter), text)| converter.to_value(text))
                            .collect();
                        prop_assert_eq!(made.map(|()| values).ok(), expected.ok(), "{}", path);
                    }
                }
            }
        }
    }
}
