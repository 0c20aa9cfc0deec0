//! Builds URLs from an endpoint and values.

use std::cmp::Ordering;

use crate::building::site::Bind;
use crate::building::site::Site;
use crate::building::suggest::suggest;
use crate::error::{BuildError, ConversionError, NoRule, SharedError, message_error};
use crate::ids::RuleId;
use crate::map::map::Map;
use crate::methods::Method;
use crate::rule::rule::{BoundRule, Piece};
use crate::text::quote::{push_anchor, push_query};
use crate::value::Value;

/// What to build.
#[derive(Debug, Clone, Copy)]
pub struct Build<'a> {
    /// The endpoint.
    pub endpoint: &'a str,
    /// The values by name, each name once. [`Value::None`] counts as not given.
    pub values: &'a [(&'a str, Value)],
    /// Only rules that take this method, in upper case; `None` prefers those that take the
    /// adapter's own.
    pub method: Option<&'a str>,
    /// Whether to write scheme and host even where the current ones would do.
    pub force_external: bool,
    /// Whether values that are no arguments of the rule go to the query string.
    pub append_unknown: bool,
    /// The scheme of absolute URLs; `None` for the adapter's own, an empty one for
    /// scheme-relative URLs.
    pub url_scheme: Option<&'a str>,
    /// The fragment, without `#`; percent-encoded unless it is already.
    pub anchor: Option<&'a str>,
}

impl<'a> Build<'a> {
    /// A URL of `endpoint`, relative where possible.
    #[must_use]
    pub const fn new(endpoint: &'a str, values: &'a [(&'a str, Value)]) -> Self {
        Self {
            endpoint,
            values,
            method: None,
            force_external: false,
            append_unknown: true,
            url_scheme: None,
            anchor: None,
        }
    }
}

impl BoundRule {
    /// Whether the rule can be built with these values.
    pub(crate) fn suits(&self, values: &[(&str, Value)], method: Option<&Method<'_>>) -> bool {
        if method.is_some_and(|method| !self.takes(method)) {
            return false;
        }
        let given = |name: &str| values.iter().find(|(known, _)| *known == name);
        for (name, default) in self.value_names.iter().zip(&self.value_defaults) {
            match (given(name), default) {
                (None, None) => return false,
                (Some((_, value)), Some(default)) if value != default => return false,
                _ => {}
            }
        }
        true
    }

    /// The domain part and the path, with the query string.
    pub(crate) fn build(
        &self,
        map: &Map,
        values: &[(&str, Value)],
        append_unknown: bool,
    ) -> Result<(String, String), ConversionError> {
        let domain = self.fill(&self.domain_pieces, values)?;
        // The query is written before the path, so that where both fail the error is the query's,
        // as in Werkzeug.
        let mut query = String::new();
        if append_unknown {
            query = self.query(map, values).map_err(ConversionError::Failed)?;
        }
        let mut path = self.fill(&self.path_pieces, values)?;
        if !query.is_empty() {
            path.push('?');
            path.push_str(&query);
        }
        Ok((domain, path))
    }

    fn fill(&self, pieces: &[Piece], values: &[(&str, Value)]) -> Result<String, ConversionError> {
        // Room for most paths, so that they are not moved while they grow.
        let mut out = String::with_capacity(if pieces.is_empty() { 0 } else { 56 });
        for piece in pieces {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Argument(index) => {
                    let (name, converter) = &self.converters[*index];
                    let given = values.iter().find(|(known, _)| **known == **name);
                    let value = given.map_or(&Value::None, |(_, value)| value);
                    converter.push_url(value, &mut out)?;
                }
            }
        }
        Ok(out)
    }

    /// The values that are no arguments, as a query string.
    fn query(&self, map: &Map, values: &[(&str, Value)]) -> Result<String, SharedError> {
        let mut unknown = values
            .iter()
            .filter(|(name, _)| !self.has_argument(name))
            .peekable();
        if unknown.peek().is_none() {
            return Ok(String::new());
        }
        let mut pairs: Vec<(String, Value)> = Vec::new();
        for (name, value) in unknown {
            match value {
                Value::List(items) => {
                    let items = items.iter().map(|item| ((*name).to_owned(), item.clone()));
                    pairs.extend(items);
                }
                other => pairs.push(((*name).to_owned(), other.clone())),
            }
        }
        if map.options().sort_parameters {
            match map.settings.query_sorter() {
                Some(sort) => sort(&mut pairs),
                None => sort_query(&mut pairs)?,
            }
        }
        let mut query = String::new();
        for (name, value) in &pairs {
            if matches!(value, Value::None) {
                continue;
            }
            if !query.is_empty() {
                query.push('&');
            }
            push_query(&mut query, name.as_bytes());
            query.push('=');
            push_query(&mut query, &value.to_query()?);
        }
        Ok(query)
    }
}

/// Sorts by name and then by value.
fn sort_query(pairs: &mut [(String, Value)]) -> Result<(), SharedError> {
    pairs.sort_by(|(left, left_value), (right, right_value)| {
        let values = || left_value.compare(right_value);
        left.cmp(right)
            .then_with(|| values().unwrap_or(Ordering::Equal))
    });
    // Two values that have no order end up side by side, whatever the rest.
    let unordered = pairs.windows(2).find(|pair| {
        let [(left, left_value), (right, right_value)] = pair else {
            return false;
        };
        left == right && left_value != right_value && left_value.compare(right_value).is_none()
    });
    match unordered {
        Some(pair) => Err(message_error(format!(
            "the values of `{}` cannot be sorted",
            pair[0].0
        ))),
        None => Ok(()),
    }
}

/// A rule that was built: its number, domain part and path.
type Built = (RuleId, String, String);

impl Map {
    pub(crate) fn build_at(
        &self,
        site: &Site<'_>,
        build: &Build<'_>,
    ) -> Result<String, BuildError> {
        if let Some(url) = self.try_build_at(site, build)? {
            return Ok(url);
        }
        let present = |(_, value): &&(&str, Value)| !matches!(value, Value::None);
        let values: Vec<(&str, Value)> = build.values.iter().filter(present).cloned().collect();
        let mut names: Vec<String> = values.iter().map(|(name, _)| (*name).to_owned()).collect();
        names.sort_unstable();
        Err(BuildError::NoRule(Box::new(NoRule {
            endpoint: build.endpoint.to_owned(),
            values: names,
            method: build.method.map(str::to_owned),
            suggestion: suggest(self, build.endpoint, &values, build.method),
        })))
    }

    /// Builds a URL for an application reached at `bind`, whose parts are taken as they are:
    /// the server name in lower case, the script name with a slash at its end. `None` where no
    /// rule of the endpoint takes the values; [`MapAdapter::build`](crate::MapAdapter::build)
    /// also looks for what comes closest, which takes time for each rule of the map.
    ///
    /// # Errors
    ///
    /// Where a converter fails.
    pub fn try_build(
        &self,
        bind: &Bind<'_>,
        build: &Build<'_>,
    ) -> Result<Option<String>, BuildError> {
        let options = self.options();
        let default_subdomain = || bind.subdomain.unwrap_or(&options.default_subdomain);
        let site = Site {
            server_name: bind.server_name,
            script_name: bind.script_name,
            subdomain: (!options.host_matching).then(default_subdomain),
            url_scheme: bind.url_scheme,
            default_method: bind.default_method,
        };
        self.try_build_at(&site, build)
    }

    fn try_build_at(
        &self,
        site: &Site<'_>,
        build: &Build<'_>,
    ) -> Result<Option<String>, BuildError> {
        let given: Vec<(&str, Value)>;
        let mut values = build.values;
        if values.iter().any(|(_, value)| matches!(value, Value::None)) {
            let present = values
                .iter()
                .filter(|(_, value)| !matches!(value, Value::None));
            given = present.cloned().collect();
            values = &given;
        }
        let build = Build { values, ..*build };
        let Some((rule, domain, path)) = self.choose(site, &build)? else {
            return Ok(None);
        };
        let mut url = self.assemble(site, &build, self.rule(rule), &domain, path);
        if let Some(anchor) = build.anchor {
            url.push('#');
            push_anchor(&mut url, anchor);
        }
        Ok(Some(url))
    }

    fn assemble(
        &self,
        site: &Site<'_>,
        build: &Build<'_>,
        rule: &BoundRule,
        domain: &str,
        path: String,
    ) -> String {
        let asked = build.url_scheme.unwrap_or(site.url_scheme);
        let secure = matches!(asked, "https" | "wss");
        let scheme = match (rule.rule.websocket, secure) {
            (true, true) => "wss",
            (true, false) => "ws",
            // An empty scheme asks for a scheme-relative URL; WebSocket rules never have one.
            (false, _) if asked.is_empty() => "",
            (false, true) => "https",
            (false, false) => "http",
        };
        let here = if self.options().host_matching {
            domain == site.server_name
        } else {
            Some(domain) == site.subdomain
        };
        let script_name = site.script_name.trim_end_matches('/');
        let relative = here && !build.force_external && !rule.rule.websocket;
        if relative && script_name.is_empty() && path.starts_with('/') && !path.starts_with("//") {
            return path;
        }
        let path = path.trim_start_matches('/');
        let mut url = String::with_capacity(path.len() + script_name.len() + 64);
        if relative {
            url.push_str(script_name);
        } else {
            if !scheme.is_empty() {
                url.push_str(scheme);
                url.push(':');
            }
            url.push_str("//");
            site.push_host(&mut url, self.options(), Some(domain));
            // Of several slashes at its end, only one is the separator.
            let script_name = site.script_name;
            url.push_str(script_name.strip_suffix('/').unwrap_or(script_name));
        }
        url.push('/');
        url.push_str(path);
        url
    }

    /// Builds the endpoint's first rule that suits.
    fn choose(&self, site: &Site<'_>, build: &Build<'_>) -> Result<Option<Built>, BuildError> {
        let Some(method) = build.method else {
            // Rules for the adapter's own method come first, then any.
            let own = self.choose_for(site, build, Some(site.default_method))?;
            return match own {
                Some(own) => Ok(Some(own)),
                None => self.choose_for(site, build, None),
            };
        };
        self.choose_for(site, build, Some(method))
    }

    fn choose_for(
        &self,
        site: &Site<'_>,
        build: &Build<'_>,
        method: Option<&str>,
    ) -> Result<Option<Built>, BuildError> {
        let method = method.map(Method::new);
        let mut first = None;
        for rule in self.rules_of(build.endpoint) {
            if !rule.suits(build.values, method.as_ref()) {
                continue;
            }
            let (domain, path) = match rule.build(self, build.values, build.append_unknown) {
                Ok(parts) => parts,
                Err(ConversionError::Rejected) => continue,
                Err(ConversionError::Failed(source)) => {
                    let rule = rule.id;
                    return Err(BuildError::Failed { rule, source });
                }
            };
            let candidate = (rule.id, domain, path);
            // Among hosts, the current one is preferred.
            if !self.options().host_matching || candidate.1 == site.server_name {
                return Ok(Some(candidate));
            }
            first = first.or(Some(candidate));
        }
        Ok(first)
    }
}
