//! Matching a request: the path cleaned, the search run, values converted, redirects found.

use std::borrow::Cow;
use std::sync::Arc;

use smallvec::SmallVec;

use crate::build_url::{Build, Site};
use crate::error::{ConversionError, MatchError, SharedError, message_error};
use crate::map::Map;
use crate::matcher::{Found, Misses, Sought, Span, Spans};
use crate::methods::Method;
use crate::parse::merge_slashes;
use crate::quote::{decode_path, quote_path};
use crate::redirect::{expand_template, join_url};
use crate::rule::{BoundRule, RedirectTo, RuleId};
use crate::value::Value;

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

/// The values of a match; up to four need no memory of their own.
pub type Values = SmallVec<[Value; 4]>;

/// The rule that a request leads to, and its variables' values.
#[derive(Debug, Clone, PartialEq)]
pub struct Match {
    /// The rule; [`Map::rule`] has its endpoint.
    pub rule: RuleId,
    /// The values, in the order of [`BoundRule::value_names`].
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

impl Map {
    /// Matches a request whose path is as the client sent it, percent-encoded: what a server
    /// calls. See [`decode_path`] for what the decoding does.
    ///
    /// # Errors
    ///
    /// As for [`match_path`](Self::match_path).
    pub fn match_raw_path(&self, request: &MatchRequest<'_>) -> Result<Match, MatchError> {
        match decode_path(request.path) {
            Cow::Borrowed(_) => self.match_path(request),
            Cow::Owned(decoded) => self.match_path(&MatchRequest {
                path: &decoded,
                ..*request
            }),
        }
    }

    /// Matches a request whose path is decoded, as in WSGI's `PATH_INFO` (and then decoded from
    /// UTF-8). The match of a rule without variables allocates nothing.
    ///
    /// # Errors
    ///
    /// The verdict, where no rule matches or the path has another, canonical form.
    pub fn match_path(&self, request: &MatchRequest<'_>) -> Result<Match, MatchError> {
        self.match_site(request, &request.site(self))
    }

    pub(crate) fn match_site(
        &self,
        request: &MatchRequest<'_>,
        site: &Site<'_>,
    ) -> Result<Match, MatchError> {
        let path = one_leading_slash(request.path);
        let method = upper_case(request.method);
        let sought = Sought {
            domain: site.subdomain.unwrap_or(site.server_name),
            path: &path,
            method: Method::new(&method),
            websocket: request.websocket,
        };
        let (rule, spans) = self.find(&sought, request, site)?;
        let rule = self.rule(rule);
        let found = Match {
            rule: rule.id,
            values: convert(rule, &sought, &spans).map_err(|error| match error {
                // Werkzeug gives up here, with what other rules it had met on the way.
                ConversionError::Rejected => self.misses_before(&sought),
                ConversionError::Failed(source) => failed(rule, source),
            })?,
        };
        if self.options().redirect_defaults {
            if rule.rule.alias {
                return Err(self.alias_redirect(rule, &found, &method, request, site));
            }
            let endpoint = &self.endpoints[rule.endpoint_id.index()];
            if !endpoint.with_defaults.is_empty()
                && let Some(redirect) = self.default_redirect(rule, &found, &method, request, site)
            {
                return Err(redirect);
            }
        }
        if let Some(target) = &rule.rule.redirect_to {
            let url = self
                .redirect_target(rule, target, &found)
                .map_err(|source| failed(rule, source))?;
            let base = site.redirect_base();
            return Err(MatchError::RequestRedirect {
                url: join_url(&base, &url),
            });
        }
        Ok(found)
    }

    fn find(
        &self,
        sought: &Sought<'_>,
        request: &MatchRequest<'_>,
        site: &Site<'_>,
    ) -> Result<(RuleId, Spans), MatchError> {
        let redirect = |path: &str| MatchError::RequestRedirect {
            url: site.redirect_url(self, &quote_path(path), request.query, None),
        };
        let mut misses = Misses::default();
        match self.machine.find(&self.rules, sought, &mut misses) {
            Some(Found::Rule(rule, spans)) => return Ok((rule, spans)),
            Some(Found::SlashRequired) => return Err(redirect(&format!("{}/", sought.path))),
            None => {}
        }
        if self.options().merge_slashes
            && let Cow::Owned(merged) = merge_slashes(sought.path)
        {
            let again = Sought {
                path: &merged,
                ..*sought
            };
            match self.machine.find(&self.rules, &again, &mut misses) {
                Some(Found::Rule(rule, _)) if self.rule(rule).merge_slashes => {
                    return Err(redirect(&merged));
                }
                Some(Found::SlashRequired) => return Err(redirect(&format!("{merged}/"))),
                Some(Found::Rule(..)) | None => {}
            }
        }
        Err(verdict(misses))
    }

    /// The verdict when the rule found rejects its text: what the search met before that rule.
    /// The index may have left that out, so the search is run again.
    fn misses_before(&self, sought: &Sought<'_>) -> MatchError {
        let mut misses = Misses::default();
        self.machine.search(&self.rules, sought, &mut misses);
        verdict(misses)
    }

    fn alias_redirect(
        &self,
        rule: &BoundRule,
        found: &Match,
        method: &str,
        request: &MatchRequest<'_>,
        site: &Site<'_>,
    ) -> MatchError {
        let values: Vec<(&str, Value)> = named_values(rule, found).collect();
        let build = Build {
            method: Some(method),
            force_external: true,
            append_unknown: false,
            ..Build::new(rule.endpoint(), &values)
        };
        match self.build_at(site, &build) {
            Ok(mut url) => {
                if let Some(query) = request.query.filter(|query| !query.is_empty()) {
                    url.push('?');
                    url.push_str(query);
                }
                MatchError::RequestRedirect { url }
            }
            Err(error) => failed(rule, Arc::new(error)),
        }
    }

    /// A redirect to the rule that has this match's values as its defaults.
    fn default_redirect(
        &self,
        rule: &BoundRule,
        found: &Match,
        method: &str,
        request: &MatchRequest<'_>,
        site: &Site<'_>,
    ) -> Option<MatchError> {
        let endpoint = &self.endpoints[rule.endpoint_id.index()];
        let own_place = (rule.build_key(), rule.id);
        for id in &endpoint.with_defaults {
            let other = self.rule(*id);
            // Rules behind this one, and itself, have no say over it.
            if (other.build_key(), other.id) >= own_place {
                break;
            }
            if other.same_trace(rule) || !other.same_arguments(rule) {
                continue;
            }
            let mut values: Vec<(&str, Value)> = named_values(rule, found).collect();
            if !other.suits(&values, Some(Method::new(method))) {
                continue;
            }
            for (name, value) in &mut values {
                if let Some((_, default)) = other.defaults().iter().find(|(of, _)| **of == **name) {
                    *value = default.clone();
                }
            }
            return Some(match other.build(self, &values, true) {
                Ok((domain, path)) => MatchError::RequestRedirect {
                    url: site.redirect_url(self, &path, request.query, Some(&domain)),
                },
                Err(ConversionError::Failed(source)) => failed(other, source),
                Err(ConversionError::Rejected) => failed(
                    other,
                    message_error("the rule to redirect to rejects its own values"),
                ),
            });
        }
        None
    }

    fn redirect_target(
        &self,
        rule: &BoundRule,
        target: &RedirectTo,
        found: &Match,
    ) -> Result<String, SharedError> {
        match target {
            RedirectTo::Call(call) => {
                let values: Vec<(&str, &Value)> = found.args(self).collect();
                call(&values)
            }
            RedirectTo::Url(url) => expand_template(url, |name| {
                let (index, (_, converter)) = rule
                    .converters
                    .iter()
                    .enumerate()
                    .find(|(_, (known, _))| **known == *name)
                    .ok_or_else(|| message_error(format!("`{name}` is no variable")))?;
                let value = found.values.get(index).unwrap_or(&Value::None);
                converter.to_url(value).map_err(|error| match error {
                    ConversionError::Failed(source) => source,
                    ConversionError::Rejected => message_error(error.to_string()),
                })
            }),
        }
    }
}

fn named_values<'r>(
    rule: &'r BoundRule,
    found: &'r Match,
) -> impl Iterator<Item = (&'r str, Value)> {
    let names = rule.value_names.iter().map(|name| &**name);
    names.zip(found.values.iter().cloned())
}

fn failed(rule: &BoundRule, source: SharedError) -> MatchError {
    MatchError::Failed {
        rule: rule.id,
        source,
    }
}

fn verdict(misses: Misses) -> MatchError {
    if !misses.methods.is_empty() {
        MatchError::MethodNotAllowed {
            allowed: misses.methods,
        }
    } else if misses.websocket_mismatch {
        MatchError::WebsocketMismatch
    } else {
        MatchError::NotFound
    }
}

/// Converts the arguments' texts and adds the defaults.
fn convert(
    rule: &BoundRule,
    sought: &Sought<'_>,
    spans: &[Span],
) -> Result<Values, ConversionError> {
    let mut values = Values::new();
    for ((_, converter), span) in rule.converters.iter().zip(spans) {
        let source = if span.in_domain {
            sought.domain
        } else {
            sought.path
        };
        values.push(converter.to_value(&source[span.start..span.end])?);
    }
    if !rule.rule.defaults.is_empty() {
        for (index, default) in rule.value_defaults.iter().enumerate() {
            let Some(default) = default else { continue };
            match values.get_mut(index) {
                Some(value) => *value = default.clone(),
                None => values.push(default.clone()),
            }
        }
    }
    Ok(values)
}

/// The path with exactly one slash at its beginning; an empty one stays empty.
fn one_leading_slash(path: &str) -> Cow<'_, str> {
    let trimmed = path.trim_start_matches('/');
    if path.is_empty() || trimmed.len() + 1 == path.len() {
        Cow::Borrowed(path)
    } else if trimmed.len() == path.len() {
        Cow::Owned(format!("/{path}"))
    } else {
        Cow::Borrowed(&path[path.len() - trimmed.len() - 1..])
    }
}

fn upper_case(method: &str) -> Cow<'_, str> {
    if method.bytes().all(|byte| byte.is_ascii_uppercase()) {
        Cow::Borrowed(method)
    } else {
        Cow::Owned(method.to_uppercase())
    }
}
