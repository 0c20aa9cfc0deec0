//! Redirects that follow a match: to a rule's canonical form, or wherever the rule says.

use std::sync::Arc;

use crate::building::build_url::Build;
use crate::building::site::Site;
use crate::error::{ConversionError, MatchError, SharedError, message_error};
use crate::map::map::Map;
use crate::matching::request::MatchRequest;
use crate::matching::search::Sought;
use crate::methods::Method;
use crate::rule::rule::{BoundRule, RedirectTo};
use crate::text::redirect_target::{expand_template, join_url};
use crate::value::Value;
use crate::value::Values;

impl Map {
    /// The redirect that a match of the rule is, if it is one.
    #[cold]
    pub(crate) fn redirect_of(
        &self,
        rule: &BoundRule,
        values: &Values,
        sought: &Sought<'_>,
        request: &MatchRequest<'_>,
    ) -> Option<MatchError> {
        let site = &request.site(self);
        let method = sought.method;
        if self.options().redirect_defaults {
            if rule.rule.alias {
                return Some(self.alias_redirect(rule, values, method, request, site));
            }
            let redirect = self.default_redirect(rule, values, method, request, site);
            if redirect.is_some() {
                return redirect;
            }
        }
        let target = rule.rule.redirect_to.as_ref()?;
        Some(match redirect_target(rule, target, values) {
            Ok(url) => MatchError::RequestRedirect {
                url: join_url(&site.redirect_base(), &url),
            },
            Err(source) => failed(rule, source),
        })
    }

    fn alias_redirect(
        &self,
        rule: &BoundRule,
        values: &Values,
        method: &Method<'_>,
        request: &MatchRequest<'_>,
        site: &Site<'_>,
    ) -> MatchError {
        let values = named_values(rule, values);
        let build = Build {
            method: Some(method.name()),
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
        values: &Values,
        method: &Method<'_>,
        request: &MatchRequest<'_>,
        site: &Site<'_>,
    ) -> Option<MatchError> {
        let endpoint = &self.endpoints[rule.endpoint_id.index()];
        let own_place = (rule.build_key(), rule.id);
        for id in &endpoint.with_defaults {
            let other = self.rule(*id);
            // Only a rule that is built before this one can be its canonical form.
            if (other.build_key(), other.id) >= own_place {
                break;
            }
            if other.same_trace(rule) || !other.same_arguments(rule) {
                continue;
            }
            let mut values = named_values(rule, values);
            if !other.suits(&values, Some(method)) {
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
}

fn redirect_target(
    rule: &BoundRule,
    target: &RedirectTo,
    values: &Values,
) -> Result<String, SharedError> {
    match target {
        RedirectTo::Call(call) => {
            let names = rule.value_names.iter().map(|name| &**name);
            let values: Vec<(&str, &Value)> = names.zip(values).collect();
            call(&values)
        }
        RedirectTo::Url(url) => expand_template(url, |name| {
            let mut converters = rule.converters.iter().zip(values);
            let found = converters.find(|((known, _), _)| **known == *name);
            let ((_, converter), value) =
                found.ok_or_else(|| message_error(format!("`{name}` is no variable")))?;
            converter.to_url(value).map_err(|error| match error {
                ConversionError::Failed(source) => source,
                ConversionError::Rejected => message_error(error.to_string()),
            })
        }),
    }
}

fn named_values<'r>(rule: &'r BoundRule, values: &Values) -> Vec<(&'r str, Value)> {
    let names = rule.value_names.iter().map(|name| &**name);
    names.zip(values.iter().cloned()).collect()
}

/// The verdict when code that was called while matching failed.
pub(crate) fn failed(rule: &BoundRule, source: SharedError) -> MatchError {
    MatchError::Failed {
        rule: rule.id,
        source,
    }
}
