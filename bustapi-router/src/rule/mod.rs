//! From a rule's string to a rule that can be matched and built.

pub(crate) mod builtin;
pub(crate) mod converter;
pub(crate) mod parse;
pub(crate) mod part;
pub(crate) mod part_pattern;
pub(crate) mod python_regex;
pub(crate) mod rule;
pub(crate) mod span;
