//! Flask's and Werkzeug's URL rules: matching paths and building URLs, in pure Rust.

#![forbid(unsafe_code)]

mod adapter;
mod build_url;
mod canonical;
mod compile;
mod converter;
mod error;
mod map;
mod matcher;
mod methods;
mod parse;
mod part;
mod pattern;
mod python_text;
mod quote;
mod redirect;
mod regex_source;
mod request;
mod rule;
mod state_machine;
mod suggest;
mod unreachable;
mod value;

pub use adapter::{Bind, MapAdapter, is_server_name};
pub use build_url::Build;
pub use converter::{Converter, ConverterArgs, ConverterFactory, builtin_converter};
pub use error::{
    BindError, BuildError, ConversionError, MatchError, NoRule, RuleError, RuleErrorKind,
    SharedError, Suggestion, message_error,
};
pub use map::{EndpointId, Map, MapOptions, QuerySorter};
pub use methods::MethodSet;
pub use pattern::{CompiledPattern, PatternEngine};
pub use quote::{decode_path, quote_path};
pub use request::{Match, MatchRequest, Values};
pub use rule::{BoundRule, RedirectFn, RedirectTo, Rule, RuleId};
pub use unreachable::{Unreachable, UnreachableCause};
pub use value::{Object, Value};
