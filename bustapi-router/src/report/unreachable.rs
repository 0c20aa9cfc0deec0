//! Finds rules that can never match.
//!
//! A rule never matches where every path that it describes is taken by a rule that the search
//! reaches first. The report is sound and not complete: what it names never matches, but an
//! expression of a custom converter is only compared as text, so it may miss some.

use std::fmt;

use crate::ids::RuleId;
use crate::map::map::Map;
use crate::map::states::StateMachine;
use crate::rule::part::Part;
use crate::rule::part_pattern::{Atom, Class, Repeat};
use crate::rule::python_regex::parse_atoms;
use crate::rule::rule::BoundRule;

/// A rule that can never match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unreachable {
    /// The rule.
    pub rule: RuleId,
    /// Why.
    pub cause: UnreachableCause,
}

/// Why a rule can never match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum UnreachableCause {
    /// This rule takes every request that the other would.
    TakenBy(RuleId),
    /// The rule takes no method.
    NoMethods,
    /// The rule's domain has a converter that takes slashes, so nothing is left for its path.
    DomainWithSlash,
}

impl fmt::Display for UnreachableCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TakenBy(_) => "another rule takes all its requests",
            Self::NoMethods => "it takes no method",
            Self::DomainWithSlash => "its domain has a converter that takes slashes",
        })
    }
}

impl Map {
    /// The rules that can never match, in the order of adding; rules that are only for building
    /// are left out.
    ///
    /// ```
    /// use bustapi_router::{Map, Rule, UnreachableCause};
    ///
    /// let mut map = Map::default();
    /// let first = map.add(Rule::new("/<name>"))?;
    /// let second = map.add(Rule::new("/<other>").methods(["GET"]))?;
    /// let report = map.unreachable_rules();
    /// assert_eq!(report.len(), 1);
    /// assert_eq!(report[0].rule, second);
    /// assert_eq!(report[0].cause, UnreachableCause::TakenBy(first));
    /// # Ok::<(), bustapi_router::RuleError>(())
    /// ```
    #[must_use]
    pub fn unreachable_rules(&self) -> Vec<Unreachable> {
        let matching = self.rules.iter().filter(|rule| !rule.rule.build_only);
        let report = matching.filter_map(|rule| {
            let cause = self.cause(rule)?;
            Some(Unreachable {
                rule: rule.id,
                cause,
            })
        });
        report.collect()
    }

    fn cause(&self, rule: &BoundRule) -> Option<UnreachableCause> {
        if rule.methods().is_some_and(crate::MethodSet::is_empty) {
            return Some(UnreachableCause::NoMethods);
        }
        let swallows = matches!(rule.parts.first(), Some(Part::Dynamic(part)) if part.is_final);
        if swallows {
            return Some(UnreachableCause::DomainWithSlash);
        }
        self.machine
            .taken_by(&self.rules, rule)
            .map(UnreachableCause::TakenBy)
    }
}

impl StateMachine {
    /// A rule that the search reaches first on every path of `rule`, and that takes all its
    /// requests.
    fn taken_by(&self, rules: &[BoundRule], rule: &BoundRule) -> Option<RuleId> {
        let own = self.own_states(rule)?;
        // Along the rule's own way, earlier branches; at its end, rules added before.
        for (depth, part) in rule.parts.iter().enumerate() {
            let Part::Dynamic(part) = part else {
                // Static transitions come first: no branch is before this one.
                continue;
            };
            for (test, target) in self.dynamic(own[depth]) {
                if *target == own[depth + 1] {
                    break;
                }
                let covers = test.is_final == part.is_final
                    && test.suffixed == part.suffixed
                    && covers(test.lone(), part.lone());
                if covers
                    && let Some(taker) = self.taker(rules, *target, &rule.parts[depth + 1..], rule)
                {
                    return Some(taker);
                }
            }
        }
        let at_end = self.rules_at(*own.last()?);
        let before = at_end.iter().take_while(|id| **id != rule.id);
        before
            .copied()
            .find(|id| takes_all(&rules[id.index()], rule))
    }

    /// A rule behind `state` that every path of `parts` leads to.
    fn taker(
        &self,
        rules: &[BoundRule],
        state: u32,
        parts: &[Part],
        rule: &BoundRule,
    ) -> Option<RuleId> {
        let Some((first, rest)) = parts.split_first() else {
            let mut at_end = self.rules_at(state).iter().copied();
            return at_end.find(|id| takes_all(&rules[id.index()], rule));
        };
        match first {
            Part::Static(text) => {
                let target = self.fixed(state, text)?;
                self.taker(rules, target, rest, rule)
            }
            Part::Dynamic(part) => self.dynamic(state).iter().find_map(|(test, target)| {
                let same = test == part;
                let covers = test.is_final == part.is_final
                    && test.suffixed == part.suffixed
                    && covers(test.lone(), part.lone());
                (same || covers)
                    .then(|| self.taker(rules, *target, rest, rule))
                    .flatten()
            }),
        }
    }

    /// The states along a rule's own way, from the root to its end.
    fn own_states(&self, rule: &BoundRule) -> Option<Vec<u32>> {
        let mut states = vec![0];
        for part in &rule.parts {
            let state = *states.last()?;
            states.push(match part {
                Part::Static(text) => self.fixed(state, text)?,
                Part::Dynamic(part) => {
                    let mut dynamic = self.dynamic(state).iter();
                    dynamic.find(|(known, _)| known == part)?.1
                }
            });
        }
        Some(states)
    }
}

/// Whether `first` takes every request that `second` takes, the path aside.
fn takes_all(first: &BoundRule, second: &BoundRule) -> bool {
    let methods = match (first.methods(), second.methods()) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(first), Some(second)) => first.contains_all(second),
    };
    // A lenient rule is also found with a surplus slash, where a strict one is passed over.
    let slashes = second.strict_slashes() || !first.strict_slashes();
    methods && slashes && first.is_websocket() == second.is_websocket()
}

/// Whether the expression of a lone converter matches all that another one matches.
fn covers(outer: Option<&str>, inner: Option<&str>) -> bool {
    let (Some(outer), Some(inner)) = (outer, inner) else {
        return false;
    };
    if outer == inner {
        return true;
    }
    let outer = parse_atoms(outer).unwrap_or_default();
    let [Atom::Repeat(outer)] = &outer[..] else {
        return false;
    };
    // What never is empty and never holds a slash is a segment.
    let segment = matches!(outer.class, Class::NotSlash) && outer.min <= 1 && outer.max.is_none();
    let Some(inner) = parse_atoms(inner) else {
        return false;
    };
    segment && inner.iter().any(takes_something) && !inner.iter().any(may_hold_slash)
}

fn takes_something(atom: &Atom) -> bool {
    match atom {
        Atom::Literal(text) => !text.is_empty(),
        Atom::Repeat(repeat) => repeat.min > 0,
        Atom::OneOf(words) => words.iter().all(|word| !word.is_empty()),
        Atom::Mark(_) => false,
    }
}

fn may_hold_slash(atom: &Atom) -> bool {
    match atom {
        Atom::Literal(text) => text.contains('/'),
        Atom::Repeat(Repeat { class, .. }) => class.has('/'),
        Atom::OneOf(words) => words.iter().any(|word| word.contains('/')),
        Atom::Mark(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::rule::Rule;

    #[derive(Debug)]
    struct Word;
    impl crate::Converter for Word {
        fn regex(&self) -> &'static str {
            "[a-z]+"
        }
        fn weight(&self) -> i64 {
            200
        }
    }

    fn report(rules: &[Rule]) -> Vec<(usize, UnreachableCause)> {
        let mut map = Map::default();
        for rule in rules {
            map.add(rule.clone()).unwrap();
        }
        let report = map.unreachable_rules();
        report
            .iter()
            .map(|found| (found.rule.index(), found.cause))
            .collect()
    }

    fn taken(by: u32) -> UnreachableCause {
        UnreachableCause::TakenBy(RuleId(by))
    }

    #[test]
    fn names_duplicates() {
        let rules = [
            Rule::new("/a/<x>").methods(["GET", "POST"]),
            Rule::new("/a/<y>").methods(["POST"]),
            Rule::new("/a/<y>").methods(["PUT"]),
            Rule::new("/a/<y>").websocket(true),
            Rule::new("/a/<y>").methods(["GET"]).strict_slashes(false),
        ];
        assert_eq!(report(&rules), [(1, taken(0))]);
    }

    #[test]
    fn names_rules_behind_broader_ones() {
        let mut map = Map::default();
        map.register_converter(
            "word",
            std::sync::Arc::new(|_| Ok(std::sync::Arc::new(Word))),
        );
        let broad = map.add(Rule::new("/<x>/end")).unwrap();
        let narrow = map.add(Rule::new("/<word:x>/end")).unwrap();
        map.add(Rule::new("/<word:x>/other")).unwrap();
        map.add(Rule::new("/<int:x>/end")).unwrap();
        let report = map.unreachable_rules();
        assert_eq!(report.len(), 1, "{report:?}");
        assert_eq!(report[0].rule, narrow);
        assert_eq!(report[0].cause, UnreachableCause::TakenBy(broad));
    }

    #[test]
    fn names_impossible_rules() {
        let rules = [
            Rule::new("/").subdomain("<path:p>"),
            Rule::new("/x").methods::<&str>([]),
            Rule::new("/y").build_only(true),
        ];
        assert_eq!(
            report(&rules),
            [
                (0, UnreachableCause::DomainWithSlash),
                (1, UnreachableCause::NoMethods)
            ]
        );
    }
}
