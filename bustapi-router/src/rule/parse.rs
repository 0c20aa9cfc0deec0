//! The syntax of rule strings.
//!
//! ```text
//! rule     = *( "/" | static | variable )
//! static   = 1*( any character but "/" and "<" )
//! variable = "<" [ converter [ "(" arguments ")" ] ":" ] name ">"
//! ```
//!
//! `converter` and `name` are ASCII identifiers. `arguments` ends at the first `)` that a
//! `:name>` follows, so it may itself hold any of `)`, `/` and `>`, but no line break.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::Regex;

use crate::error::RuleErrorKind;
use crate::rule::converter::ConverterArgs;
use crate::rule::python_regex::to_rust;
use crate::text::python::{parse_float, parse_int};
use crate::value::Value;

/// One piece of a rule string.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Token<'a> {
    Slash,
    Static(&'a str),
    Variable(Variable<'a>),
}

/// `<converter(arguments):name>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Variable<'a> {
    pub(crate) converter: Option<&'a str>,
    pub(crate) arguments: Option<&'a str>,
    pub(crate) name: &'a str,
    /// Where the `<` stands, in bytes.
    pub(crate) position: usize,
}

/// Where and why a rule string is malformed.
#[derive(Debug)]
pub(crate) struct SyntaxError {
    pub(crate) position: usize,
    pub(crate) kind: RuleErrorKind,
}

/// Splits a rule string into its pieces.
pub(crate) fn tokenize(rule: &str) -> Result<Vec<Token<'_>>, SyntaxError> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(&byte) = rule.as_bytes().get(at) {
        match byte {
            b'/' => {
                tokens.push(Token::Slash);
                at += 1;
            }
            b'<' => {
                let (variable, end) = variable(rule, at).ok_or(SyntaxError {
                    position: at,
                    kind: RuleErrorKind::Malformed,
                })?;
                // Python has no parameters of these names, and a rule's variables become
                // parameters.
                if matches!(variable.name, "None" | "True" | "False") {
                    return Err(SyntaxError {
                        position: at,
                        kind: RuleErrorKind::ReservedName(variable.name.to_owned()),
                    });
                }
                tokens.push(Token::Variable(variable));
                at = end;
            }
            _ => {
                let rest = &rule[at..];
                let length = rest.find(['/', '<']).unwrap_or(rest.len());
                tokens.push(Token::Static(&rest[..length]));
                at += length;
            }
        }
    }
    Ok(tokens)
}

/// Where the variable of this number begins, be it malformed or not.
pub(crate) fn variable_position(rule: &str, number: usize) -> Option<usize> {
    let mut at = 0;
    for _ in 0..number {
        let start = at + rule[at..].find('<')?;
        (_, at) = variable(rule, start)?;
    }
    Some(at + rule[at..].find('<')?)
}

/// Reads a variable whose `<` is at `start`, and gives the position behind its `>`.
fn variable(rule: &str, start: usize) -> Option<(Variable<'_>, usize)> {
    let bytes = rule.as_bytes();
    let first = identifier(rule, start + 1)?;
    let after = start + 1 + first.len();
    let made = |converter, arguments, name: &'_ str, name_at: usize| {
        let name = &rule[name_at..name_at + name.len()];
        let variable = Variable {
            converter,
            arguments,
            name,
            position: start,
        };
        (variable, name_at + name.len() + 1)
    };
    match bytes.get(after)? {
        b'>' => Some(made(None, None, first, start + 1)),
        b':' => {
            let name = closed_name(rule, after + 1)?;
            Some(made(Some(first), None, name, after + 1))
        }
        b'(' => {
            for (offset, byte) in bytes[after + 1..].iter().enumerate() {
                let at = after + 1 + offset;
                match byte {
                    b'\n' => return None,
                    b')' if bytes.get(at + 1) == Some(&b':') => {
                        if let Some(name) = closed_name(rule, at + 2) {
                            let arguments = Some(&rule[after + 1..at]);
                            return Some(made(Some(first), arguments, name, at + 2));
                        }
                    }
                    _ => {}
                }
            }
            None
        }
        _ => None,
    }
}

/// The identifier at `start`, where a `>` follows it.
fn closed_name(rule: &str, start: usize) -> Option<&str> {
    let name = identifier(rule, start)?;
    (rule.as_bytes().get(start + name.len()) == Some(&b'>')).then_some(name)
}

fn identifier(rule: &str, start: usize) -> Option<&str> {
    let bytes = rule.as_bytes().get(start..)?;
    let length = bytes
        .iter()
        .position(|byte| !(byte.is_ascii_alphanumeric() || *byte == b'_'))
        .unwrap_or(bytes.len());
    (length > 0 && !bytes[0].is_ascii_digit()).then(|| &rule[start..start + length])
}

/// Joins runs of slashes, as a map that merges slashes does to its rules.
pub(crate) fn merge_slashes(path: &str) -> Cow<'_, str> {
    if !path.contains("//") {
        return Cow::Borrowed(path);
    }
    let mut merged = String::with_capacity(path.len());
    for character in path.chars() {
        if character != '/' || !merged.ends_with('/') {
            merged.push(character);
        }
    }
    Cow::Owned(merged)
}

/// Where the byte at `position` of `merge_slashes(path)` stands in `path`.
pub(crate) fn unmerged_position(path: &str, position: usize) -> usize {
    let mut merged = 0;
    let mut previous = None;
    for (at, character) in path.char_indices() {
        if character == '/' && previous == Some('/') {
            continue;
        }
        if merged >= position {
            return at;
        }
        merged += character.len_utf8();
        previous = Some(character);
    }
    path.len()
}

/// One argument and the comma behind it. The order of the alternatives is Werkzeug's, and so is
/// the unescaped dot: any character may stand between the two halves of a number.
static ARGUMENT: LazyLock<Regex> = LazyLock::new(|| {
    let number = r"\d+.\d+|\d+.";
    let quoted = r#"[urUR]?(?P<quoted>"[^"]*?"|'[^']*')"#;
    let argument = format!(r"\s*(?:(?P<name>\w+)\s*=\s*)?(?P<value>{number}|[\w.]+|{quoted})\s*,");
    Regex::new(&to_rust(&argument).expression).expect("a constant expression compiles")
});

/// Reads what stands between a converter's parentheses. What follows the last argument and is
/// none is ignored, as in Werkzeug.
pub(crate) fn parse_arguments(text: &str) -> Result<ConverterArgs, RuleErrorKind> {
    let text = format!("{text},");
    let mut args = ConverterArgs::default();
    let mut position = 0;
    for found in ARGUMENT.captures_iter(&text) {
        let whole = found.get_match();
        if whole.start() != position {
            let gap = text[position..whole.start()].to_owned();
            return Err(RuleErrorKind::BadArgument(gap));
        }
        let value = found
            .name("quoted")
            .or_else(|| found.name("value"))
            .map_or("", |value| value.as_str());
        let value = argument_value(value);
        match found.name("name") {
            Some(name) => args.set(name.as_str(), value),
            None => args.push(value),
        }
        position = whole.end();
    }
    Ok(args)
}

/// Reads one argument as the Python constant, number or string that it looks like.
fn argument_value(text: &str) -> Value {
    match text {
        "None" => return Value::None,
        "True" => return Value::Bool(true),
        "False" => return Value::Bool(false),
        _ => {}
    }
    if let Some(integer) = parse_int(text).and_then(|digits| Value::integer(&digits)) {
        return integer;
    }
    if let Some(number) = parse_float(text) {
        return Value::Float(number);
    }
    for quote in ['"', '\''] {
        let inner = text
            .strip_prefix(quote)
            .and_then(|rest| rest.strip_suffix(quote));
        if let Some(inner) = inner {
            return Value::from(inner);
        }
    }
    Value::from(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only_variable(rule: &str) -> Variable<'_> {
        match tokenize(rule).unwrap()[..] {
            [Token::Variable(variable)] => variable,
            ref other => panic!("{other:?}"),
        }
    }

    #[test]
    fn splits_mixed_segments() {
        let tokens = tokenize("/page-<int:n>.html/").unwrap();
        assert_eq!(tokens.len(), 5);
        assert_eq!(tokens[1], Token::Static("page-"));
        assert_eq!(tokens[3], Token::Static(".html"));
        assert_eq!(tokens[4], Token::Slash);
    }

    #[test]
    fn arguments_may_hold_every_delimiter() {
        let variable = only_variable("<any(\"a/b\", 'c):d'):e):x>");
        assert_eq!(variable.converter, Some("any"));
        assert_eq!(variable.arguments, Some("\"a/b\", 'c):d'):e"));
        assert_eq!(variable.name, "x");
    }

    #[test]
    fn malformed_rules_name_the_position() {
        for (rule, position) in [
            ("/<", 1),
            ("/a<>", 2),
            ("/a/<1a>", 3),
            ("/<int:>", 1),
            ("/<int(3>", 1),
            ("/<int(\n):a>", 1),
            ("/ü<a b>", 3),
            ("/<a/b>", 1),
        ] {
            let error = tokenize(rule).unwrap_err();
            assert_eq!(error.position, position, "{rule}");
            assert!(matches!(error.kind, RuleErrorKind::Malformed));
        }
        let error = tokenize("/<int:None>").unwrap_err();
        assert!(matches!(error.kind, RuleErrorKind::ReservedName(_)));
    }

    #[test]
    fn reads_arguments_as_python_constants() {
        let args = parse_arguments("1, 2.5, True, None, x, \"a,b\", k = 'v', k2=u\"w\"").unwrap();
        assert_eq!(
            args.positional(),
            [
                Value::from(1),
                Value::from(2.5),
                Value::from(true),
                Value::None,
                Value::from("x"),
                Value::from("a,b"),
            ]
        );
        assert_eq!(args.get("k"), Some(&Value::from("v")));
        assert_eq!(args.get("k2"), Some(&Value::from("w")));
        assert!(parse_arguments("").unwrap().positional().is_empty());
    }

    #[test]
    fn keeps_the_oddities_of_arguments() {
        // A number takes any character between its digits, even the comma.
        let args = parse_arguments("1,2").unwrap();
        assert_eq!(args.positional(), [Value::from("1,2")]);
        assert!(matches!(
            parse_arguments("min=-5"),
            Err(RuleErrorKind::BadArgument(_))
        ));
        assert_eq!(parse_arguments("a, %%").unwrap().positional().len(), 1);
    }

    #[test]
    fn positions_survive_merging() {
        let rule = "/a//b///<x";
        let merged = merge_slashes(rule);
        assert_eq!(merged, "/a/b/<x");
        assert_eq!(unmerged_position(rule, merged.find('<').unwrap()), 8);
    }
}
