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

use crate::ids::RuleId;
use crate::ids::StateId;
use crate::rule::converter::Converter;
use crate::rule::part::{DynamicPart, Part};
use crate::rule::rule::BoundRule;

/// The most variables of an indexed rule. matchit keeps the segments of so many without memory of
/// its own, and it panics at rules with some dozens.
pub(crate) const VARIABLES: usize = 3;

/// The routes of one domain.
#[derive(Clone, Default)]
pub(crate) struct RouteIndex {
    pub(crate) tree: matchit::Router<Route>,
}

/// The way to a rule.
#[derive(Clone)]
pub(crate) struct Route {
    pub(crate) rule: RuleId,
    pub(crate) variables: SmallVec<[RouteVariable; 1]>,
}

/// One variable of a route.
#[derive(Clone)]
pub(crate) struct RouteVariable {
    /// The states in front of it and behind.
    pub(crate) before: StateId,
    pub(crate) behind: StateId,
    pub(crate) test: Arc<DynamicPart>,
    pub(crate) converter: Arc<dyn Converter>,
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
        let mut variables = SmallVec::new();
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
                    variables.push(RouteVariable {
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
        let _ = self.tree.insert(template, Route { rule, variables });
    }
}

impl fmt::Debug for RouteIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RouteIndex")
    }
}
