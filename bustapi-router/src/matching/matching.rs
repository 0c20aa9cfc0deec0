//! Matching a request: the path cleaned, the search run, values converted, redirects found.

use std::borrow::Cow;

use crate::error::{ConversionError, MatchError};
use crate::ids::RuleId;
use crate::map::map::Map;
use crate::matching::canonical::failed;
use crate::matching::request::{Match, MatchRequest};
use crate::matching::search::{Found, Misses, Sought};
use crate::methods::Method;
use crate::rule::parse::merge_slashes;
use crate::rule::rule::BoundRule;
use crate::rule::span::{Span, Spans};
use crate::text::quote::{decode_path, quote_path};
use crate::value::Values;

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
        let method = Method::new(request.method);
        let options = self.options();
        let sought = Sought {
            domain: if options.host_matching {
                request.server_name
            } else {
                request.subdomain.unwrap_or(&options.default_subdomain)
            },
            path: request.path,
            method: &method,
            websocket: request.websocket,
        };
        if has_one_leading_slash(request.path) {
            match self.machine.find_static(&sought) {
                Some(rule) if self.machine.gates[rule.index()].is_plain() => {
                    let values = Values::new();
                    return Ok(Match { rule, values });
                }
                Some(_) => {}
                None => {
                    let mut values = Values::new();
                    if let Some((rule, made)) = self.machine.find_route(&sought, &mut values) {
                        return match made {
                            Ok(()) => Ok(Match { rule, values }),
                            Err(error) => Err(self.refused(rule, error, &sought)),
                        };
                    }
                }
            }
        }
        self.search(request, &sought)
    }

    /// The verdict where a converter does not make a value of what its rule has matched.
    #[cold]
    fn refused(&self, rule: RuleId, error: ConversionError, sought: &Sought<'_>) -> MatchError {
        match error {
            // The answer is made of what the search had met before that rule, as in Werkzeug.
            ConversionError::Rejected => {
                let mut misses = Misses::default();
                let spans = &mut Spans::new();
                self.machine.search(&self.rules, sought, spans, &mut misses);
                verdict(misses)
            }
            ConversionError::Failed(source) => failed(self.rule(rule), source),
        }
    }

    /// Matches a request by the search.
    #[inline(never)]
    fn search(&self, request: &MatchRequest<'_>, sought: &Sought<'_>) -> Result<Match, MatchError> {
        let normal_path;
        let path = if has_one_leading_slash(request.path) {
            request.path
        } else {
            normal_path = one_leading_slash(request.path);
            &normal_path
        };
        let normal_method;
        let method = match sought.method {
            Method::Other(name) => {
                normal_method = name.to_uppercase();
                Method::new(&normal_method)
            }
            known @ Method::Known(_) => *known,
        };
        let sought = Sought {
            path,
            method: &method,
            ..*sought
        };
        let mut spans = Spans::new();
        let mut misses = Misses::default();
        let found = self
            .machine
            .search(&self.rules, &sought, &mut spans, &mut misses);
        let Some(Found::Rule(id)) = found else {
            return self.no_rule(found, misses, &sought, request);
        };
        let gate = self.machine.gates[id.index()];
        let mut values = Values::new();
        if gate.has_values {
            let rule = self.rule(id);
            match convert(rule, &sought, &spans, &mut values) {
                Ok(()) => {}
                // As in `refused`: the search has met these misses before that rule.
                Err(ConversionError::Rejected) => return Err(verdict(misses)),
                Err(ConversionError::Failed(source)) => return Err(failed(rule, source)),
            }
        }
        if gate.may_redirect
            && let Some(redirect) = self.redirect_of(self.rule(id), &values, &sought, request)
        {
            return Err(redirect);
        }
        Ok(Match { rule: id, values })
    }

    /// The verdict for a path without a rule: redirected to one with other slashes, or none.
    #[cold]
    fn no_rule(
        &self,
        mut found: Option<Found>,
        mut misses: Misses,
        sought: &Sought<'_>,
        request: &MatchRequest<'_>,
    ) -> Result<Match, MatchError> {
        let mut path = Cow::Borrowed(sought.path);
        if found.is_none()
            && self.options().merge_slashes
            && let Cow::Owned(merged) = merge_slashes(sought.path)
        {
            let again = Sought {
                path: &merged,
                ..*sought
            };
            let spans = &mut Spans::new();
            found = self.machine.search(&self.rules, &again, spans, &mut misses);
            path = Cow::Owned(merged);
        }
        let target = match found {
            Some(Found::SlashRequired) => format!("{path}/"),
            Some(Found::Rule(rule)) if self.rule(rule).merge_slashes => path.into_owned(),
            Some(Found::Rule(_)) | None => return Err(verdict(misses)),
        };
        let site = request.site(self);
        Err(MatchError::RequestRedirect {
            url: site.redirect_url(self, &quote_path(&target), request.query, None),
        })
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
    values: &mut Values,
) -> Result<(), ConversionError> {
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
    Ok(())
}

fn has_one_leading_slash(path: &str) -> bool {
    let bytes = path.as_bytes();
    bytes.first() == Some(&b'/') && bytes.get(1) != Some(&b'/')
}

/// The path with exactly one slash at its beginning; an empty one stays empty.
fn one_leading_slash(path: &str) -> Cow<'_, str> {
    let trimmed = path.trim_start_matches('/');
    if path.is_empty() {
        Cow::Borrowed(path)
    } else if trimmed.len() == path.len() {
        Cow::Owned(format!("/{path}"))
    } else {
        Cow::Borrowed(&path[path.len() - trimmed.len() - 1..])
    }
}
