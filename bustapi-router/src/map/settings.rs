//! What a map is told apart from its rules.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::error::SharedError;
use crate::rule::builtin::builtin_converter;
use crate::rule::converter::{Converter, ConverterArgs, ConverterFactory};
use crate::rule::part_pattern::PatternEngine;
use crate::value::Value;

/// The settings of a [`Map`](crate::Map).
#[derive(Debug, Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "these are Werkzeug's settings, each of its own"
)]
pub struct MapOptions {
    /// The subdomain of rules that name none.
    pub default_subdomain: String,
    /// What rules do about the slash at the end, unless they say themselves.
    pub strict_slashes: bool,
    /// Whether a path that only matches with runs of slashes joined is redirected.
    pub merge_slashes: bool,
    /// Whether a match that another rule has as its defaults is redirected to that rule, and
    /// aliases to their canonical rule.
    pub redirect_defaults: bool,
    /// Whether rules are matched by whole host instead of subdomain.
    pub host_matching: bool,
    /// Whether the query strings of built URLs are sorted.
    pub sort_parameters: bool,
}

impl Default for MapOptions {
    fn default() -> Self {
        Self {
            default_subdomain: String::new(),
            strict_slashes: true,
            merge_slashes: true,
            redirect_defaults: true,
            host_matching: false,
            sort_parameters: false,
        }
    }
}

/// Sorts the names and values of a query string in place.
pub type QuerySorter = Arc<dyn Fn(&mut Vec<(String, Value)>) + Send + Sync>;

/// All that a map is told apart from its rules.
#[derive(Clone, Default)]
pub(crate) struct Settings {
    pub(crate) options: MapOptions,
    pub(crate) converters: FxHashMap<Box<str>, ConverterFactory>,
    pub(crate) engine: Option<Arc<dyn PatternEngine>>,
    pub(crate) query_sorter: Option<QuerySorter>,
}

impl Settings {
    pub(crate) fn engine(&self) -> Option<&dyn PatternEngine> {
        self.engine.as_deref()
    }

    pub(crate) const fn query_sorter(&self) -> Option<&QuerySorter> {
        self.query_sorter.as_ref()
    }

    pub(crate) fn make_converter(
        &self,
        name: &str,
        args: &ConverterArgs,
    ) -> Option<Result<Arc<dyn Converter>, SharedError>> {
        match self.converters.get(name) {
            Some(factory) => Some(factory(args)),
            None => builtin_converter(name, args),
        }
    }
}
