//! Reads the regular expressions of converters, which are in Python's syntax.
//!
//! Two readers. [`parse_atoms`] takes the small subset that nearly all converters stay within
//! (a sequence of repeated character classes and literals, or a choice of literals) and gives
//! the steps of this crate's own matcher, which is a few machine words per rule and needs no
//! set-up. For everything else [`to_rust`] rewrites what Python spells otherwise than the
//! `regex` crate does.

use crate::rule::part_pattern::{Atom, CharSet, Class, Repeat};

/// The steps that match `source`; `None` where it is beyond the subset.
pub(crate) fn parse_atoms(source: &str) -> Option<Vec<Atom>> {
    if let Some(items) = literal_choice(source) {
        return Some(vec![Atom::OneOf(items.into())]);
    }
    let mut atoms = Vec::new();
    let mut literal = String::new();
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let (class, after) = match first {
            '[' => {
                let (class, after) = char_class(&rest[1..])?;
                (class, after)
            }
            '.' => (Class::NotNewline, &rest[1..]),
            '\\' if rest[1..].starts_with('d') => (Class::Digit, &rest[2..]),
            '\\' => {
                let escaped = escaped_literal(&rest[1..])?;
                let after = &rest[1 + escaped.len_utf8()..];
                (Class::One(escaped), after)
            }
            '(' | ')' | '|' | '^' | '$' | '*' | '+' | '?' | '{' | '}' | ']' => return None,
            other => (Class::One(other), &rest[other.len_utf8()..]),
        };
        let (repeat, after) = quantifier(after)?;
        rest = after;
        match (class, repeat) {
            (Class::One(character), None) => literal.push(character),
            (class, repeat) => {
                flush(&mut literal, &mut atoms);
                let (min, max, lazy) = repeat.unwrap_or((1, Some(1), false));
                atoms.push(Atom::Repeat(Repeat {
                    class,
                    min,
                    max,
                    lazy,
                }));
            }
        }
    }
    flush(&mut literal, &mut atoms);
    Some(atoms)
}

fn flush(literal: &mut String, atoms: &mut Vec<Atom>) {
    if !literal.is_empty() {
        atoms.push(Atom::Literal(std::mem::take(literal).into()));
    }
}

/// The words of `(?:word|word|...)`.
fn literal_choice(source: &str) -> Option<Vec<Box<str>>> {
    let inner = source.strip_prefix("(?:")?.strip_suffix(')')?;
    let mut items = Vec::new();
    let mut item = String::new();
    let mut characters = inner.chars();
    while let Some(character) = characters.next() {
        match character {
            '|' => items.push(std::mem::take(&mut item).into()),
            '\\' => item.push(escaped_literal(characters.as_str())?),
            '(' | ')' | '[' | ']' | '{' | '}' | '^' | '$' | '*' | '+' | '?' | '.' => return None,
            other => item.push(other),
        }
        if character == '\\' {
            characters.next();
        }
    }
    items.push(item.into());
    Some(items)
}

/// The character behind a backslash, where the two stand for that character.
fn escaped_literal(rest: &str) -> Option<char> {
    let character = rest.chars().next()?;
    (!character.is_ascii_alphanumeric() && character.is_ascii()).then_some(character)
}

/// Reads a class whose `[` is consumed, and gives what follows its `]`.
fn char_class(rest: &str) -> Option<(Class, &str)> {
    if let Some(after) = rest.strip_prefix("^/]") {
        return Some((Class::NotSlash, after));
    }
    let (negated, mut rest) = match rest.strip_prefix('^') {
        Some(rest) => (true, rest),
        None => (false, rest),
    };
    let mut digits = false;
    let mut ranges = Vec::new();
    if rest.starts_with(']') {
        return None;
    }
    loop {
        if let Some(after) = rest.strip_prefix(']') {
            let set = CharSet::new(negated, digits, ranges);
            return Some((Class::Set(Box::new(set)), after));
        }
        if let Some(after) = rest.strip_prefix(r"\d") {
            digits = true;
            rest = after;
            // A range cannot begin with a class.
            if rest.starts_with('-') && !rest.starts_with("-]") {
                return None;
            }
            continue;
        }
        let (low, after) = class_member(rest)?;
        rest = after;
        if rest.starts_with('-') && !rest.starts_with("-]") {
            let (high, after) = class_member(&rest[1..])?;
            if high < low {
                return None;
            }
            ranges.push((low, high));
            rest = after;
        } else {
            ranges.push((low, low));
        }
    }
}

fn class_member(rest: &str) -> Option<(char, &str)> {
    let character = rest.chars().next()?;
    match character {
        '[' | ']' => None,
        '\\' => {
            let escaped = escaped_literal(&rest[1..])?;
            Some((escaped, &rest[1 + escaped.len_utf8()..]))
        }
        other => Some((other, &rest[other.len_utf8()..])),
    }
}

/// The least and greatest count, and whether fewer are preferred.
type Quantifier = Option<(u32, Option<u32>, bool)>;

/// Reads the quantifier at the start of `rest`, if there is one.
fn quantifier(rest: &str) -> Option<(Quantifier, &str)> {
    let (min, max, after) = match rest.chars().next() {
        Some('*') => (0, None, &rest[1..]),
        Some('+') => (1, None, &rest[1..]),
        Some('?') => (0, Some(1), &rest[1..]),
        Some('{') => {
            let (inner, after) = rest[1..].split_once('}')?;
            let (min, max) = match inner.split_once(',') {
                None => {
                    let count = inner.parse().ok()?;
                    (count, Some(count))
                }
                Some((min, max)) => {
                    let min = if min.is_empty() { 0 } else { min.parse().ok()? };
                    let max = if max.is_empty() {
                        None
                    } else {
                        Some(max.parse().ok()?)
                    };
                    (min, max)
                }
            };
            if max.is_some_and(|max| max < min) {
                return None;
            }
            (min, max, after)
        }
        _ => return Some((None, rest)),
    };
    match after.strip_prefix('?') {
        Some(after) => Some((Some((min, max, true)), after)),
        // A second quantifier is an error or makes the first one possessive; `to_rust` tells.
        None if after.starts_with(['*', '+', '{']) => None,
        None => Some((Some((min, max, false)), after)),
    }
}

/// An expression for the `regex` crate.
pub(crate) struct Rewritten {
    pub(crate) expression: String,
    /// Whether it means what the one in Python's syntax does. Where it does not, a
    /// [`PatternEngine`](crate::PatternEngine) is asked first.
    pub(crate) is_faithful: bool,
}

/// Members of a class that Python's `\w` and `\s` stand for; the crate's own know other
/// characters (`\w` has marks and lacks `²`, `\s` lacks the separators of ASCII). As they stand,
/// neither end can become part of a range.
const WORD: &str = r"\p{L}_\p{N}";
const SPACE: &str = r"\s\x1c-\x1f\s";

/// Rewrites an expression in Python's syntax for the `regex` crate.
///
/// Inside a class, Python takes `[`, `&&`, `--` and `~~` literally where the crate would see
/// nested classes and set operations. `\Z` is `\z`, and `\<` and `\>` are plain characters.
pub(crate) fn to_rust(source: &str) -> Rewritten {
    let mut out = String::with_capacity(source.len() + 8);
    let mut is_faithful = true;
    let mut characters = source.chars().peekable();
    let mut in_class = false;
    let mut quantified = false;
    while let Some(character) = characters.next() {
        let was_quantified = std::mem::take(&mut quantified);
        match character {
            '\\' => match characters.next() {
                Some('Z') if !in_class => out.push_str(r"\z"),
                Some(plain @ ('<' | '>')) => out.push(plain),
                Some('w') if in_class => out.push_str(WORD),
                Some('s') if in_class => out.push_str(SPACE),
                Some('w') => out.extend(["[", WORD, "]"]),
                Some('W') if !in_class => out.extend(["[^", WORD, "]"]),
                Some('s') => out.extend(["[", SPACE, "]"]),
                Some('S') if !in_class => out.extend(["[^", SPACE, "]"]),
                Some(other) => {
                    // `\b` and `\B` depend on `\w`, and so differ too; of the other letters some
                    // are errors in Python.
                    is_faithful &= !other.is_ascii_alphanumeric()
                        || matches!(other, 'd' | 'D' | 'A' | 'n' | 'r' | 't' | 'f' | 'v' | 'a')
                        || matches!(other, 'x' | 'u' | 'U');
                    out.push('\\');
                    out.push(other);
                }
                None => out.push('\\'),
            },
            '[' if !in_class => {
                in_class = true;
                out.push('[');
                if characters.next_if_eq(&'^').is_some() {
                    out.push('^');
                }
                // A `]` in the first place of a class is a member of it.
                if characters.next_if_eq(&']').is_some() {
                    out.push_str(r"\]");
                }
            }
            ']' => {
                in_class = false;
                out.push(']');
            }
            special @ ('[' | '&' | '~') if in_class => {
                out.push('\\');
                out.push(special);
            }
            '-' if in_class && characters.peek() == Some(&'-') => {
                // In Python, the second hyphen may be the end of a range.
                is_faithful = false;
                out.push_str(r"\-");
            }
            '(' if !in_class && characters.next_if_eq(&'?').is_some() => {
                // Other groups are flags, or what the crate does not have or writes differently.
                is_faithful &= matches!(characters.peek(), Some(':' | 'P'));
                out.push_str("(?");
            }
            other => {
                if !in_class {
                    quantified = matches!(other, '*' | '+' | '?' | '}');
                    // A second quantifier makes the first possessive in Python, or is an error.
                    is_faithful &= !(was_quantified && matches!(other, '*' | '+' | '{'));
                }
                out.push(other);
            }
        }
    }
    Rewritten {
        expression: out,
        is_faithful,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_usual_converters() {
        for source in [
            "[^/]{1,}",
            "[^/]{2,5}",
            "[^/]+",
            "[^/].*?",
            r"\d+",
            r"-?\d+\.\d+",
            "[A-Fa-f0-9]{8}-[A-Fa-f0-9]{4}",
            "(?:a|b\\ c|)",
            "[a-z_][a-z0-9_]*",
            r"[^\d/\-]+",
        ] {
            assert!(parse_atoms(source).is_some(), "{source}");
        }
    }

    #[test]
    fn leaves_the_rest_to_the_regex_crate() {
        for source in [
            "a|b", "(a)", r"\w+", "a++", "a**", "[a[b]", "x{2", "^a", "(?=a)b", "a{3,2}", "[]a]",
            "(?:a|b)+", "(?:a+|b)", "[z-a]",
        ] {
            assert!(parse_atoms(source).is_none(), "{source}");
        }
    }

    #[test]
    fn translates_python_syntax() {
        for (python, rust) in [
            (r"a\Z", r"a\z"),
            (r"[a[b]", r"[a\[b]"),
            (r"[]a]", r"[\]a]"),
            (r"[^]a]", r"[^\]a]"),
            (r"[a&&b]", r"[a\&\&b]"),
            (r"\<\w", r"<[\p{L}_\p{N}]"),
            (r"[\w-]", r"[\p{L}_\p{N}-]"),
            (r"(?P<x>\d)\S", r"(?P<x>\d)[^\s\x1c-\x1f\s]"),
            (r"(?:\x41\+\++?)", r"(?:\x41\+\++?)"),
        ] {
            let rewritten = to_rust(python);
            assert_eq!(rewritten.expression, rust);
            assert!(rewritten.is_faithful, "{python}");
            assert!(regex::Regex::new(rust).is_ok(), "{rust}");
        }
    }

    #[test]
    fn sees_what_means_something_else_in_python() {
        for source in [
            r"\bx", "a++", "a{2}+", "a?+", "a**", "a{2}{3}", "(?i)a", "(?i:a)", "(?<x>a)", r"\pL",
            r"a\z", "[+--]", r"[\W]", r"[^\S]", "(?>a)",
        ] {
            assert!(!to_rust(source).is_faithful, "{source}");
        }
    }
}
