//! From a path to a rule.

pub(crate) mod canonical;
pub(crate) mod matching;
pub(crate) mod request;
pub(crate) mod search;
