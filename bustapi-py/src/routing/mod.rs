//! The URL map as Python sees it: `bustapi.routing` on `bustapi-router`.
//!
//! # Theory of operation
//!
//! The classes of `bustapi.routing` are subclasses of Werkzeug's with a native base each. When a
//! rule is added, Werkzeug's own `Rule.bind` parses it and makes its converters; then its
//! attributes are read once, into a rule of the router. Matching and building ask the router
//! alone, except for what only Python can do: converters that override `to_python` or `to_url`,
//! values and defaults of other than the basic types, expressions of Python's own syntax, and
//! callable `redirect_to`.
//!
//! What cannot be told to the router (a rule class that overrides how rules are built, a default
//! that has no text) makes the whole map *foreign*: Werkzeug's implementation, which the Python
//! objects are kept fit for, answers for it. So does it for single calls with arguments that the
//! router does not know, and wherever the router says that a conversion failed, to raise what
//! Werkzeug raises.

mod adapter;
pub(crate) mod bound_map;
mod converter;
mod environ;
mod map;
mod missed;
mod object;
mod reading;
pub(crate) mod references;
mod rule_map;
mod snapshot;
pub(crate) mod work;

pub(crate) use bound_map::MapAdapterBase;
pub(crate) use environ::is_plain_host;
pub(crate) use missed::raised;
pub(crate) use rule_map::RuleMap;
pub(crate) use snapshot::{SharedMap, Snapshot};
