//! Makes a [`BoundRule`] of a [`Rule`]: parses it, finds its converters, lays out its parts for
//! matching and its pieces for building.

use std::sync::Arc;

use crate::error::{ConversionError, RuleError, RuleErrorKind, message_error};
use crate::ids::EndpointId;
use crate::ids::RuleId;
use crate::map::settings::Settings;
use crate::rule::converter::Converter;
use crate::rule::parse::{
    SyntaxError, Variable, merge_slashes, parse_arguments, tokenize, unmerged_position,
};
use crate::rule::part::{NamedConverter, Parsed, Part, PartError, Trace, build_parts};
use crate::rule::rule::{BoundRule, Piece, Rule};
use crate::text::quote::quote_path;
use crate::value::Value;

pub(crate) fn compile(
    settings: &Settings,
    rule: Rule,
    id: RuleId,
    endpoint_id: EndpointId,
) -> Result<BoundRule, RuleError> {
    let whole = |kind| RuleError {
        rule: rule.string.clone(),
        position: 0,
        kind,
    };
    rule.check().map_err(whole)?;
    let options = &settings.options;
    let strict_slashes = rule.strict_slashes.unwrap_or(options.strict_slashes);
    let merge = rule.merge_slashes.unwrap_or(options.merge_slashes);
    let domain_rule = if options.host_matching {
        rule.host.clone().unwrap_or_default()
    } else {
        let subdomain = rule.subdomain.as_ref();
        subdomain.unwrap_or(&options.default_subdomain).clone()
    };

    let mut converters = Converters {
        settings,
        rule: &rule,
        found: Vec::new(),
    };
    let domain = if domain_rule.is_empty() {
        Parsed {
            parts: vec![Part::Static("".into())],
            trace: Vec::new(),
        }
    } else {
        converters
            .parse(&domain_rule)
            .map_err(|(position, kind)| RuleError {
                rule: domain_rule.clone(),
                position,
                kind,
            })?
    };
    let merged = if merge {
        merge_slashes(&rule.string)
    } else {
        rule.string.as_str().into()
    };
    let path = converters
        .parse(&merged)
        .map_err(|(position, kind)| RuleError {
            rule: rule.string.clone(),
            position: if merge {
                unmerged_position(&rule.string, position)
            } else {
                position
            },
            kind,
        })?;
    let converters = converters.found;

    let domain_pieces = pieces(&domain.trace, &rule, &converters).map_err(whole)?;
    let path_pieces = pieces(&path.trace, &rule, &converters).map_err(whole)?;
    let (value_names, value_defaults) = values(&rule, &converters);
    let mut parts = domain.parts;
    parts.extend(path.parts);
    Ok(BoundRule {
        id,
        endpoint_id,
        strict_slashes,
        merge_slashes: merge,
        domain_rule,
        parts,
        domain_trace: domain.trace,
        path_trace: path.trace,
        domain_pieces,
        path_pieces,
        converters,
        value_names,
        value_defaults,
        rule,
    })
}

/// Finds the converters of one rule.
struct Converters<'a> {
    settings: &'a Settings,
    rule: &'a Rule,
    found: Vec<NamedConverter>,
}

impl Converters<'_> {
    fn parse(&mut self, text: &str) -> Result<Parsed, (usize, RuleErrorKind)> {
        let tokens = tokenize(text).map_err(|SyntaxError { position, kind }| (position, kind))?;
        let engine = self.settings.engine();
        build_parts(&tokens, engine, |variable| self.converter(variable))
            .map_err(|PartError { position, kind }| (position, kind))
    }

    fn converter(&mut self, variable: &Variable<'_>) -> Result<Arc<dyn Converter>, RuleErrorKind> {
        let args = parse_arguments(variable.arguments.unwrap_or_default())?;
        let given = self
            .rule
            .converters
            .iter()
            .find(|(name, _)| **name == *variable.name);
        let converter = if let Some((_, converter)) = given {
            Arc::clone(converter)
        } else {
            let name = variable.converter.unwrap_or("default");
            self.settings
                .make_converter(name, &args)
                .ok_or_else(|| RuleErrorKind::UnknownConverter(name.to_owned()))?
                .map_err(|source| RuleErrorKind::ConverterArguments {
                    name: name.to_owned(),
                    source,
                })?
        };
        let known = self
            .found
            .iter_mut()
            .find(|(name, _)| **name == *variable.name);
        match known {
            None => self
                .found
                .push((variable.name.into(), Arc::clone(&converter))),
            // A default fills both places when building, so only then it can be built.
            Some((name, last)) => {
                let has_default = |(default, _): &(Box<str>, Value)| default == name;
                if !self.rule.defaults.iter().any(has_default) {
                    let name = variable.name.to_owned();
                    return Err(RuleErrorKind::DuplicateVariable(name));
                }
                *last = Arc::clone(&converter);
            }
        }
        Ok(converter)
    }
}

/// What to write for a trace: text percent-encoded, defaults filled in, neighbours joined.
fn pieces(
    trace: &[Trace],
    rule: &Rule,
    converters: &[NamedConverter],
) -> Result<Vec<Piece>, RuleErrorKind> {
    let mut pieces: Vec<Piece> = Vec::new();
    for step in trace {
        let text = match step {
            Trace::Static(text) => quote_path(text),
            Trace::Argument(name) => {
                let index = converters
                    .iter()
                    .position(|(known, _)| known == name)
                    .expect("every variable of a trace has a converter");
                let Some((_, value)) = rule.defaults.iter().find(|(known, _)| known == name) else {
                    pieces.push(Piece::Argument(index));
                    continue;
                };
                default_text(name, value, &converters[index].1)?
            }
        };
        match pieces.last_mut() {
            Some(Piece::Text(last)) => last.push_str(&text),
            _ => pieces.push(Piece::Text(text)),
        }
    }
    Ok(pieces)
}

fn default_text(
    name: &str,
    value: &Value,
    converter: &Arc<dyn Converter>,
) -> Result<String, RuleErrorKind> {
    converter
        .to_url(value)
        .map_err(|error| RuleErrorKind::Default {
            name: name.to_owned(),
            source: match error {
                ConversionError::Failed(source) => source,
                ConversionError::Rejected => message_error(error.to_string()),
            },
        })
}

/// The names of a match's values, and the defaults among them.
fn values(rule: &Rule, converters: &[NamedConverter]) -> (Vec<Box<str>>, Vec<Option<Value>>) {
    let mut names: Vec<Box<str>> = converters.iter().map(|(name, _)| name.clone()).collect();
    for (name, _) in &rule.defaults {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    let default_of = |name: &str| {
        let found = rule.defaults.iter().find(|(known, _)| **known == *name);
        found.map(|(_, value)| value.clone())
    };
    let defaults = names.iter().map(|name| default_of(name)).collect();
    (names, defaults)
}
