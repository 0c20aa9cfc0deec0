//! Joins the server to what answers.

use std::sync::Arc;

use bustapi_http::{Request, Scheme};
use bustapi_router::{Map, MapOptions, Match, MatchError, MatchRequest, Rule, RuleError};
use http::Method;

use crate::dispatch::handler::Handler;
use crate::dispatch::routed::{Matched, Routed};
use crate::exchange::own_answers;
use crate::exchange::request_body::RequestBody;
use crate::exchange::responder::Responder;

/// Sends each request to its handler.
pub struct Dispatcher {
    handler: Arc<dyn Handler>,
}

impl std::fmt::Debug for Dispatcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dispatcher").finish_non_exhaustive()
    }
}

impl Dispatcher {
    /// Sends everything to one handler; [`Routes`] is one that sends it further.
    pub fn to(handler: impl Handler) -> Self {
        Self {
            handler: Arc::new(handler),
        }
    }

    /// Gives `request` to its handler.
    pub fn dispatch(&self, request: Request<RequestBody>, responder: Responder) {
        let routed = Routed {
            request,
            matched: None,
        };
        self.handler.handle(routed, responder);
    }
}

/// A handler that sends each request to the handler of the rule it matches.
///
/// What matches none is answered here: 404, 405 with `Allow`, 308 to the canonical URL, and
/// `OPTIONS` with the methods that the path allows.
///
/// ```
/// use bustapi_core::{Responder, Routed, Routes};
/// use bustapi_http::{Body, Response};
/// use bustapi_router::Rule;
///
/// let mut routes = Routes::default();
/// routes.add(
///     Rule::new("/users/<int:id>").methods(["GET"]),
///     |routed: Routed, responder: Responder| {
///         let id = routed.matched.as_ref().and_then(|matched| matched.get("id")?.as_i64());
///         responder.complete(Response::new(Body::from(format!("user {id:?}"))));
///     },
/// )?;
/// # Ok::<(), bustapi_router::RuleError>(())
/// ```
#[derive(Default)]
pub struct Routes {
    map: Arc<Map>,
    /// By the index of the rule.
    handlers: Vec<Arc<dyn Handler>>,
}

impl std::fmt::Debug for Routes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Routes")
            .field("map", &self.map)
            .finish_non_exhaustive()
    }
}

impl Routes {
    /// No rules yet, with these settings.
    #[must_use]
    pub fn new(options: MapOptions) -> Self {
        Self {
            map: Arc::new(Map::new(options)),
            handlers: Vec::new(),
        }
    }

    /// Adds a rule and what answers its requests.
    ///
    /// # Errors
    ///
    /// [`RuleError`] where the rule is malformed.
    pub fn add(&mut self, rule: Rule, handler: impl Handler) -> Result<&mut Self, RuleError> {
        Arc::make_mut(&mut self.map).add(rule)?;
        self.handlers.push(Arc::new(handler));
        Ok(self)
    }

    /// The rules, to build URLs from.
    #[must_use]
    pub fn map(&self) -> &Arc<Map> {
        &self.map
    }

    fn find(&self, request: &Request<RequestBody>) -> Result<Match, MatchError> {
        let host = request.host().unwrap_or_default().to_ascii_lowercase();
        self.map.match_raw_path(&MatchRequest {
            server_name: &host,
            url_scheme: match request.conn.scheme {
                Scheme::Http => "http",
                Scheme::Https => "https",
            },
            query: request.head.uri.query(),
            ..MatchRequest::new(request.head.method.as_str(), request.raw_path())
        })
    }
}

impl Handler for Routes {
    fn handle(&self, mut routed: Routed, responder: Responder) {
        match self.find(&routed.request) {
            Ok(found) => {
                let handler = &self.handlers[found.rule.index()];
                routed.matched = Some(Matched {
                    map: Arc::clone(&self.map),
                    found,
                });
                handler.handle(routed, responder);
            }
            Err(MatchError::MethodNotAllowed { allowed })
                if routed.request.head.method == Method::OPTIONS =>
            {
                responder.complete(own_answers::allowed_methods(&allowed));
            }
            Err(error) => responder.complete(own_answers::unmatched(&error)),
        }
    }
}
