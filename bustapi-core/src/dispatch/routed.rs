//! Requests on their way to a handler.

use std::sync::Arc;

use bustapi_http::Request;
use bustapi_router::{Map, Match, Value};

use crate::exchange::request_body::RequestBody;

/// A request on its way to a handler.
#[derive(Debug)]
pub struct Routed {
    /// The request.
    pub request: Request<RequestBody>,
    /// The rule that led here; `None` before any was asked for.
    pub matched: Option<Matched>,
}

/// The rule that a request matched, and the values of its variables.
#[derive(Debug, Clone)]
pub struct Matched {
    pub(super) map: Arc<Map>,
    pub(super) found: Match,
}

impl Matched {
    /// The rule's endpoint.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        self.found.endpoint(&self.map)
    }

    /// The value of a variable of the rule.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.found.get(&self.map, name)
    }

    /// All variables and their values.
    pub fn args(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.found.args(&self.map)
    }
}
