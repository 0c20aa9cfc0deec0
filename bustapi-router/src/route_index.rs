//! The index of rules with variables: matchit's tree, which finds a whole route at once.
//!
//! matchit knows text and variables that are whole segments; it knows no types, methods or
//! redirects, and no order among variables. So what it finds is a guess, and an answer only where
//! the search would have taken the same way first: where neither static text nor a variable tried
//! before takes a variable's segment, and the rule takes the request and the values. Everything
//! else is left to the search, so the answer does not depend on which of the two gave it.

use std::fmt;
use std::sync::Arc;

use smallvec::SmallVec;

use crate::converter::Converter;
use crate::error::ConversionError;
use crate::matcher::Sought;
use crate::methods::Method;
use crate::part::{DynamicPart, Part};
use crate::request::Values;
use crate::rule::{BoundRule, RuleId};
use crate::state_machine::{ROOT, State, StateId, StateMachine};

/// The most variables of an indexed rule. matchit keeps the segments of so many without memory of
/// its own, and it panics at rules with some dozens.
const VARIABLES: usize = 3;

/// The routes of one domain.
#[derive(Clone, Default)]
pub(crate) struct RouteIndex {
    tree: matchit::Router<Route>,
}

/// The way to a rule.
#[derive(Clone)]
struct Route {
    rule: RuleId,
    steps: SmallVec<[Step; 1]>,
}

/// One variable of a route.
#[derive(Clone)]
struct Step {
    /// The states in front of it and behind.
    before: StateId,
    behind: StateId,
    test: Arc<DynamicPart>,
    converter: Arc<dyn Converter>,
}

impl RouteIndex {
    /// Adds a rule whose parts lead along `way` (the domain's first), if it is variables that are
    /// whole segments, and static text. Where a route has the same shape as another, the first
    /// one stays, and the search finds the other.
    pub(crate) fn add(&mut self, rule: &BoundRule, way: &[StateId]) {
        let count = rule.converters.len();
        if count > VARIABLES || rule.value_names().len() > count || !rule.defaults().is_empty() {
            return;
        }
        let mut converters = rule.converters.iter();
        let mut template = String::new();
        let mut steps = SmallVec::new();
        for (depth, part) in rule.parts.iter().enumerate().skip(1) {
            if depth > 1 {
                template.push('/');
            }
            match part {
                Part::Static(text) => {
                    template.push_str(&text.replace('{', "{{").replace('}', "}}"));
                }
                Part::Dynamic(test) => {
                    let (Some((_, converter)), true) = (converters.next(), test.is_whole_segment())
                    else {
                        return;
                    };
                    template.push_str("{variable}");
                    steps.push(Step {
                        before: way[depth - 1],
                        behind: way[depth],
                        test: Arc::clone(test),
                        converter: Arc::clone(converter),
                    });
                }
            }
        }
        let rule = rule.id();
        // matchit refuses a second route of the same shape.
        let _ = self.tree.insert(template, Route { rule, steps });
    }
}

impl fmt::Debug for RouteIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RouteIndex")
    }
}

impl Step {
    /// Whether the search, in the state before the variable, would take this step first.
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

impl StateMachine {
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
        let Route { rule, steps } = found.value;
        let gate = self.gates[rule.index()];
        if gate.websocket != sought.websocket || gate.may_redirect || !gate.takes_known(method) {
            return None;
        }
        // matchit checks a segment's characters each time it is asked for.
        let mut segments = [""; VARIABLES];
        let params = found.params.iter().map(|(_, segment)| segment);
        for ((step, segment), kept) in steps.iter().zip(params).zip(&mut segments) {
            if !step.is_first(&self.states[step.before as usize], segment) {
                return None;
            }
            *kept = segment;
        }
        for (step, segment) in steps.iter().zip(segments) {
            match step.converter.to_value(segment) {
                Ok(value) => values.push(value),
                Err(error) => return Some((*rule, Err(error))),
            }
        }
        Some((*rule, Ok(())))
    }
}
