//! What a request is matched by, and what is found.

use crate::building::site::Site;
use crate::ids::RuleId;
use crate::map::map::Map;
use crate::value::Value;
use crate::value::Values;

/// What a request is matched by.
///
/// ```
/// use bustapi_router::MatchRequest;
///
/// let request = MatchRequest {
///     server_name: "example.org",
///     query: Some("page=2"),
///     ..MatchRequest::new("GET", "/users")
/// };
/// # let _ = request;
/// ```
#[derive(Debug, Clone, Copy)]
pub struct MatchRequest<'a> {
    /// The method, in any case.
    pub method: &'a str,
    /// The path below `script_name`, as [`Map::match_path`] or [`Map::match_raw_path`] wants it.
    pub path: &'a str,
    /// The host, in lower case, with its port unless that is the scheme's own. Decides in a map
    /// that matches hosts; elsewhere it only serves to write redirects.
    pub server_name: &'a str,
    /// The subdomain; `None` for the map's default one. Not used by a map that matches hosts.
    pub subdomain: Option<&'a str>,
    /// Where the application is mounted; `/` for the root.
    pub script_name: &'a str,
    /// `http`, `https`, `ws` or `wss`.
    pub url_scheme: &'a str,
    /// The query string, without `?`, to be kept by redirects.
    pub query: Option<&'a str>,
    /// Whether the request opens a WebSocket.
    pub websocket: bool,
}

impl<'a> MatchRequest<'a> {
    /// A plain HTTP request to the application at the root of a server without a name.
    #[must_use]
    pub const fn new(method: &'a str, path: &'a str) -> Self {
        Self {
            method,
            path,
            server_name: "",
            subdomain: None,
            script_name: "/",
            url_scheme: "http",
            query: None,
            websocket: false,
        }
    }

    pub(crate) fn site(&self, map: &'a Map) -> Site<'a> {
        let options = map.options();
        Site {
            server_name: self.server_name,
            script_name: self.script_name,
            subdomain: if options.host_matching {
                None
            } else {
                Some(self.subdomain.unwrap_or(&options.default_subdomain))
            },
            url_scheme: self.url_scheme,
            default_method: "GET",
        }
    }
}

/// The rule that a request leads to, and its variables' values.
#[derive(Debug, Clone, PartialEq)]
pub struct Match {
    /// The rule; [`Map::rule`](crate::Map::rule) has its endpoint.
    pub rule: RuleId,
    /// The values, in the order of [`BoundRule::value_names`](crate::BoundRule::value_names).
    pub values: Values,
}

impl Match {
    /// The names and values.
    pub fn args<'m>(&'m self, map: &'m Map) -> impl Iterator<Item = (&'m str, &'m Value)> {
        let names = map.rule(self.rule).value_names();
        names.iter().map(|name| &**name).zip(&self.values)
    }

    /// The value of one name.
    #[must_use]
    pub fn get<'m>(&'m self, map: &'m Map, name: &str) -> Option<&'m Value> {
        self.args(map)
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value)
    }

    /// The endpoint's name.
    #[must_use]
    pub fn endpoint<'m>(&self, map: &'m Map) -> &'m str {
        map.rule(self.rule).endpoint()
    }
}
