//! Parts: the pieces between slashes that rules are matched by.
//!
//! A part is static text, or one expression made of static pieces and converters. A converter
//! that is not part-isolating makes its part *final*: it takes the whole rest of the path,
//! slashes and all. When a final part's rule ends with a slash, the slash is taken off the part
//! and becomes a static part of its own behind it (the part is then *suffixed*), so that a path
//! without the slash can be redirected.

use std::sync::Arc;

use crate::error::{RuleErrorKind, SharedError, message_error};
use crate::rule::builtin::escape;
use crate::rule::converter::Converter;
use crate::rule::parse::Token;
use crate::rule::part_pattern::{Atom, Pattern, PatternEngine, Repeat, group_name};
use crate::rule::python_regex::{parse_atoms, to_rust};
use crate::rule::span::Arguments;

/// The rank of a dynamic part among its siblings; less is tried first. More static pieces come
/// before fewer, longer ones before shorter, more arguments before fewer, and then the
/// converters' own weights decide.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Weight {
    static_count: i64,
    static_lengths: Vec<i64>,
    argument_count: i64,
    argument_weights: Vec<i64>,
}

/// One part of a rule.
#[derive(Debug, Clone)]
pub(crate) enum Part {
    Static(Box<str>),
    Dynamic(Arc<DynamicPart>),
}

/// A part with arguments.
#[derive(Debug)]
pub(crate) struct DynamicPart {
    /// Werkzeug's expression for the part; with `suffixed` and `weight` it is the part's
    /// identity: rules with equal parts share a state.
    expression: String,
    pub(crate) is_final: bool,
    pub(crate) suffixed: bool,
    pub(crate) weight: Weight,
    pattern: Pattern,
    /// The expression of the only converter, where the part is nothing else.
    lone: Option<String>,
}

impl PartialEq for DynamicPart {
    fn eq(&self, other: &Self) -> bool {
        self.expression == other.expression
            && self.is_final == other.is_final
            && self.suffixed == other.suffixed
            && self.weight == other.weight
    }
}

impl DynamicPart {
    /// Matches `text` (one segment, or for a final part the whole rest of the path) and hands out
    /// the arguments' spans. Tells whether a suffixed part left a slash over.
    pub(crate) fn captures(&self, text: &str, arguments: &mut Arguments<'_>) -> Option<bool> {
        let (text, slash) = match text.strip_suffix('/') {
            Some(stripped) if self.suffixed => (stripped, true),
            _ => (text, false),
        };
        // Of several slashes at the end, only the last may be the rule's.
        if self.suffixed && text.ends_with('/') {
            return None;
        }
        if let Pattern::One { .. } = &self.pattern {
            let (start, end) = self.pattern.only_group(text)?;
            arguments.push(start, end);
            return Some(slash);
        }
        for (start, end) in self.pattern.captures(text)? {
            arguments.push(start, end);
        }
        Some(slash)
    }

    /// Whether the part is one converter, of texts without slashes, and nothing else.
    pub(crate) fn is_whole_segment(&self) -> bool {
        !self.is_final && self.lone.is_some() && matches!(self.pattern, Pattern::One { .. })
    }

    /// Whether a part that [is a whole segment](Self::is_whole_segment) takes this one.
    #[inline]
    pub(crate) fn takes_segment(&self, segment: &str) -> bool {
        self.pattern.only_group(segment).is_some()
    }

    /// The expression of the part's only converter, where it has no static text.
    pub(crate) fn lone(&self) -> Option<&str> {
        self.lone.as_deref()
    }
}

/// A piece of the URL that a rule builds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Trace {
    /// Never two in a row.
    Static(String),
    Argument(Box<str>),
}

/// What a rule string consists of.
#[derive(Debug, Default)]
pub(crate) struct Parsed {
    pub(crate) parts: Vec<Part>,
    pub(crate) trace: Vec<Trace>,
}

impl Parsed {
    fn push_text(&mut self, text: &str) {
        match self.trace.last_mut() {
            Some(Trace::Static(last)) => last.push_str(text),
            _ => self.trace.push(Trace::Static(text.to_owned())),
        }
    }
}

/// A converter with the variable it serves.
pub(crate) type NamedConverter = (Box<str>, Arc<dyn Converter>);

/// A failure to build the part that begins at `position`.
pub(crate) struct PartError {
    pub(crate) position: usize,
    pub(crate) kind: RuleErrorKind,
}

/// Collects the pieces of one part.
#[derive(Default)]
struct Builder {
    pieces: Vec<Piece>,
    static_lengths: Vec<i64>,
    argument_weights: Vec<i64>,
    is_final: bool,
    position: usize,
}

enum Piece {
    Text(String),
    /// The slash inside a final part; as text it needs no escaping.
    Slash,
    Argument(Arc<dyn Converter>),
}

/// Makes the parts of `tokens`. `converter_of` finds the converter of each variable.
pub(crate) fn build_parts(
    tokens: &[Token<'_>],
    engine: Option<&dyn PatternEngine>,
    mut converter_of: impl FnMut(
        &crate::rule::parse::Variable<'_>,
    ) -> Result<Arc<dyn Converter>, RuleErrorKind>,
) -> Result<Parsed, PartError> {
    let mut parsed = Parsed::default();
    let mut part = Builder::default();
    for token in tokens {
        match token {
            Token::Static(text) => {
                let length = i64::try_from(text.chars().count()).unwrap_or(i64::MAX);
                part.static_lengths.push(-length);
                part.pieces.push(Piece::Text((*text).to_owned()));
                parsed.push_text(text);
            }
            Token::Variable(variable) => {
                let converter = converter_of(variable).map_err(|kind| PartError {
                    position: variable.position,
                    kind,
                })?;
                if part.argument_weights.is_empty() {
                    part.position = variable.position;
                }
                part.is_final |= !converter.part_isolating();
                part.argument_weights.push(converter.weight());
                part.pieces.push(Piece::Argument(converter));
                parsed.trace.push(Trace::Argument(variable.name.into()));
            }
            Token::Slash => {
                parsed.push_text("/");
                if part.is_final {
                    part.pieces.push(Piece::Slash);
                } else {
                    let done = std::mem::take(&mut part);
                    parsed.parts.push(done.finish(false, engine)?);
                }
            }
        }
    }
    let suffixed = part.is_final && matches!(part.pieces.last(), Some(Piece::Slash));
    if suffixed {
        part.pieces.pop();
    }
    parsed.parts.push(part.finish(suffixed, engine)?);
    if suffixed {
        parsed.parts.push(Part::Static("".into()));
    }
    Ok(parsed)
}

impl Builder {
    fn finish(self, suffixed: bool, engine: Option<&dyn PatternEngine>) -> Result<Part, PartError> {
        if self.argument_weights.is_empty() {
            let text = self.pieces.into_iter().map(|piece| match piece {
                Piece::Text(text) => text,
                Piece::Slash | Piece::Argument(_) => "/".to_owned(),
            });
            return Ok(Part::Static(text.collect::<String>().into()));
        }
        let groups = self.argument_weights.len();
        let expression = self.expression();
        let pattern = self
            .pattern(&expression, engine)
            .map_err(|source| PartError {
                position: self.position,
                kind: RuleErrorKind::Regex {
                    pattern: expression.clone(),
                    source,
                },
            })?;
        let lone = match &self.pieces[..] {
            [Piece::Argument(converter)] => Some(converter.regex().to_owned()),
            _ => None,
        };
        Ok(Part::Dynamic(Arc::new(DynamicPart {
            expression,
            is_final: self.is_final,
            suffixed,
            weight: Weight {
                static_count: -count(self.static_lengths.len()),
                static_lengths: self.static_lengths,
                argument_count: -count(groups),
                argument_weights: self.argument_weights,
            },
            pattern,
            lone,
        })))
    }

    /// The part in Python's syntax.
    fn expression(&self) -> String {
        let mut expression = String::new();
        let mut group = 0;
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => expression.push_str(&escape(text)),
                Piece::Slash => expression.push('/'),
                Piece::Argument(converter) => {
                    let name = group_name(group);
                    let regex = converter.regex();
                    expression.extend(["(?P<", &name, ">", regex, ")"]);
                    group += 1;
                }
            }
        }
        expression + r"\Z"
    }

    fn pattern(
        &self,
        expression: &str,
        engine: Option<&dyn PatternEngine>,
    ) -> Result<Pattern, SharedError> {
        let groups = self.argument_weights.len();
        if let Some(atoms) = self.atoms() {
            return Ok(match &atoms[..] {
                [Atom::Mark(_), Atom::Repeat(repeat), Atom::Mark(_)] => one("", repeat, ""),
                [
                    Atom::Literal(prefix),
                    Atom::Mark(_),
                    Atom::Repeat(repeat),
                    Atom::Mark(_),
                ] => one(prefix, repeat, ""),
                [
                    Atom::Mark(_),
                    Atom::Repeat(repeat),
                    Atom::Mark(_),
                    Atom::Literal(suffix),
                ] => one("", repeat, suffix),
                [
                    Atom::Literal(prefix),
                    Atom::Mark(_),
                    Atom::Repeat(repeat),
                    Atom::Mark(_),
                    Atom::Literal(suffix),
                ] => one(prefix, repeat, suffix),
                _ => Pattern::Atoms {
                    atoms: atoms.into(),
                    groups,
                },
            });
        }
        let rewritten = to_rust(expression);
        let anchored = format!(r"\A(?:{})", rewritten.expression);
        let compiled = regex::Regex::new(&anchored);
        match (compiled, engine) {
            (Ok(regex), None) => Ok(Pattern::Regex { regex, groups }),
            (Ok(regex), _) if rewritten.is_faithful => Ok(Pattern::Regex { regex, groups }),
            (_, Some(engine)) => engine.compile(expression).map(Pattern::Engine),
            (Err(refused), None) => Err(message_error(refused.to_string())),
        }
    }

    /// The part as steps of this crate's matcher, where all its converters allow it.
    fn atoms(&self) -> Option<Vec<Atom>> {
        let mut atoms = Vec::new();
        let mut group = 0;
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => atoms.push(Atom::Literal(text.as_str().into())),
                Piece::Slash => atoms.push(Atom::Literal("/".into())),
                Piece::Argument(converter) => {
                    atoms.push(Atom::Mark(group * 2));
                    atoms.extend(parse_atoms(converter.regex())?);
                    atoms.push(Atom::Mark(group * 2 + 1));
                    group += 1;
                }
            }
        }
        Some(atoms)
    }
}

fn one(prefix: &str, repeat: &Repeat, suffix: &str) -> Pattern {
    Pattern::One {
        prefix: prefix.into(),
        repeat: repeat.clone(),
        suffix: suffix.into(),
    }
}

fn count(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}
