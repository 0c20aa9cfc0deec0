//! Matches the text of one Part against its static pieces and converters.
//!
//! # Theory of operation
//!
//! Werkzeug writes one regular expression per part and lets Python's `re` find the groups. Here
//! the usual expressions become a list of [`Atom`]s, run by a backtracking matcher with the same
//! preferences (greedy or lazy, first alternative first), so the groups are the same. Others go
//! to the `regex` crate, whose leftmost-first search prefers as Python's does; and what it cannot
//! express (look-around, back-references) or understands otherwise (flags, `\b`) to a
//! [`PatternEngine`], if the map was given one.
//!
//! Backtracking could take exponential time, so failures are remembered: whether the atoms from
//! `k` on match the text from position `p` on depends on nothing else, so each pair is tried at
//! most once, and a text of `n` bytes costs at most `atoms * n` tries. The memory for that is
//! only taken once a search has run for a while; ordinary paths never get there.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use smallvec::SmallVec;

use crate::error::SharedError;
use crate::text::python::is_digit;

/// Compiles the expressions that the `regex` crate cannot, or takes to mean something else than
/// Python does; Python's `re`, for one.
pub trait PatternEngine: fmt::Debug + Send + Sync {
    /// Compiles an expression in Python's syntax, whose groups `__werkzeug_0`, `__werkzeug_1`
    /// and so on are the rule's variables in order. It already ends with `\Z`.
    ///
    /// # Errors
    ///
    /// Where the expression is none; the rule is then refused.
    fn compile(&self, expression: &str) -> Result<Arc<dyn CompiledPattern>, SharedError>;
}

/// An expression compiled by a [`PatternEngine`].
pub trait CompiledPattern: fmt::Debug + Send + Sync {
    /// Where the groups lie in `text`, in bytes, in the order of their numbers; `None` where the
    /// expression does not match from the text's first character.
    fn captures(&self, text: &str) -> Option<Vec<Range<usize>>>;
}

/// One step of this crate's own matcher.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Atom {
    Literal(Box<str>),
    Repeat(Repeat),
    OneOf(Box<[Box<str>]>),
    /// Notes the position in this slot: twice the group's number, or one more for its end.
    Mark(usize),
}

/// So many characters of a class.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Repeat {
    pub(crate) class: Class,
    pub(crate) min: u32,
    /// `None` for no end.
    pub(crate) max: Option<u32>,
    pub(crate) lazy: bool,
}

impl Repeat {
    /// Whether all of `text` is so many characters of the class.
    pub(crate) fn matches(&self, text: &str) -> bool {
        if self.max.is_none() && self.min <= 1 {
            let (end, _) = self.class.run_end(text, 0, None);
            return end == text.len() && (self.min == 0 || end > 0);
        }
        let (end, count) = self
            .class
            .run_end(text, 0, Some(self.max.unwrap_or(u32::MAX)));
        end == text.len() && count >= self.min
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Class {
    NotSlash,
    NotNewline,
    Digit,
    One(char),
    Set(Box<CharSet>),
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct CharSet {
    negated: bool,
    digits: bool,
    ranges: Vec<(char, char)>,
    /// One bit for each ASCII character of the class.
    ascii: u128,
}

impl CharSet {
    /// The class of these ranges, and of decimal digits if `digits` says so; or of all others.
    pub(crate) fn new(negated: bool, digits: bool, ranges: Vec<(char, char)>) -> Self {
        let mut set = Self {
            negated,
            digits,
            ranges,
            ascii: 0,
        };
        for byte in 0..128_u8 {
            set.ascii |= u128::from(set.looks_up(char::from(byte))) << byte;
        }
        set
    }

    fn has(&self, character: char) -> bool {
        if character.is_ascii() {
            self.ascii & (1 << u32::from(character)) != 0
        } else {
            self.looks_up(character)
        }
    }

    fn looks_up(&self, character: char) -> bool {
        let inside = self
            .ranges
            .iter()
            .any(|(low, high)| (*low..=*high).contains(&character))
            || (self.digits && is_digit(character));
        inside != self.negated
    }
}

impl Class {
    pub(crate) fn has(&self, character: char) -> bool {
        match self {
            Self::NotSlash => character != '/',
            Self::NotNewline => character != '\n',
            Self::Digit => is_digit(character),
            Self::One(only) => character == *only,
            Self::Set(set) => set.has(character),
        }
    }

    /// Where the longest run of at most `limit` characters of this class that begins at `start`
    /// ends; with the number of characters, where `limit` made them be counted.
    fn run_end(&self, text: &str, start: usize, limit: Option<u32>) -> (usize, u32) {
        let rest = &text[start..];
        if limit.is_none() {
            let bytes = rest.as_bytes();
            let quick = match self {
                Self::NotSlash => Some(memchr::memchr(b'/', bytes)),
                Self::NotNewline => Some(memchr::memchr(b'\n', bytes)),
                _ => None,
            };
            if let Some(found) = quick {
                return (start + found.unwrap_or(bytes.len()), 0);
            }
            let ascii_digits = bytes
                .iter()
                .take_while(|byte| byte.is_ascii_digit())
                .count();
            if matches!(self, Self::Digit) && bytes.get(ascii_digits).is_none_or(u8::is_ascii) {
                return (start + ascii_digits, 0);
            }
        }
        let limit = limit.unwrap_or(u32::MAX);
        let mut count = 0;
        let mut end = start;
        for character in rest.chars() {
            if count == limit || !self.has(character) {
                break;
            }
            count += 1;
            end += character.len_utf8();
        }
        (end, count)
    }
}

/// The spans of a match's groups, in order.
pub(crate) type Groups = SmallVec<[(usize, usize); 4]>;

/// Matches one whole part.
#[derive(Debug, Clone)]
pub(crate) enum Pattern {
    /// One converter that is one repeat, between static texts (or none): most arguments there
    /// are. There is but one way to split the text, so nothing is searched.
    One {
        prefix: Box<str>,
        repeat: Repeat,
        suffix: Box<str>,
    },
    Atoms {
        atoms: Box<[Atom]>,
        groups: usize,
    },
    Regex {
        regex: regex::Regex,
        groups: usize,
    },
    Engine(Arc<dyn CompiledPattern>),
}

impl Pattern {
    /// Matches all of `text` and gives the groups.
    pub(crate) fn captures(&self, text: &str) -> Option<Groups> {
        match self {
            Self::One { .. } => self
                .only_group(text)
                .map(|only| SmallVec::from_elem(only, 1)),
            Self::Atoms { atoms, groups } => {
                // Comparing literals at both ends is cheaper than setting a search up for a text
                // that cannot match.
                let fits = match (atoms.first(), atoms.last()) {
                    (Some(Atom::Literal(prefix)), _) if !text.starts_with(&**prefix) => false,
                    (_, Some(Atom::Literal(suffix))) => text.ends_with(&**suffix),
                    _ => true,
                };
                fits.then(|| Search::new(atoms, text, *groups).run())?
            }
            Self::Regex { regex, groups } => {
                let captures = regex.captures(text)?;
                let spans = (0..*groups).map(|group| {
                    let span = captures.name(&group_name(group));
                    span.map_or((0, 0), |span| (span.start(), span.end()))
                });
                Some(spans.collect())
            }
            Self::Engine(compiled) => {
                let spans = compiled.captures(text)?;
                Some(
                    spans
                        .into_iter()
                        .map(|span| (span.start, span.end))
                        .collect(),
                )
            }
        }
    }
}

impl Pattern {
    /// The group of [`Pattern::One`]; `None` for other patterns too.
    #[inline]
    pub(crate) fn only_group(&self, text: &str) -> Option<(usize, usize)> {
        let Self::One {
            prefix,
            repeat,
            suffix,
        } = self
        else {
            return None;
        };
        let (mut start, mut end) = (0, text.len());
        // Most prefixes and suffixes are empty, and to compare those takes longer than to skip
        // them.
        if !prefix.is_empty() {
            start = text.starts_with(&**prefix).then_some(prefix.len())?;
        }
        if !suffix.is_empty() {
            let fits = end >= start + suffix.len() && text.ends_with(&**suffix);
            end = fits.then(|| end - suffix.len())?;
        }
        repeat.matches(&text[start..end]).then_some((start, end))
    }
}

/// The name of a group in expressions.
pub(crate) fn group_name(group: usize) -> String {
    format!("__werkzeug_{group}")
}

/// Tries after which failures are remembered. Ordinary paths need a dozen.
const MEMO_AFTER: usize = 512;

/// A place where the search can go on another way.
struct Choice {
    atom: usize,
    /// The first and last position at which the rest may be tried. For [`Atom::OneOf`], `low` is
    /// where the words begin and `next` the number of the next word.
    low: usize,
    high: usize,
    /// Where the run of characters ends; positions from `high` to here were tried before.
    run_end: usize,
    next: usize,
}

struct Search<'a> {
    atoms: &'a [Atom],
    text: &'a str,
    marks: SmallVec<[usize; 8]>,
    choices: SmallVec<[Choice; 4]>,
    tries: usize,
    memo: Option<Memo>,
}

/// What is known to fail.
struct Memo {
    /// One bit for each atom and each position behind it that was tried.
    tried: Vec<u64>,
    /// For each unbounded repeat, the last run of positions behind it that was tried in full.
    exhausted: Vec<Option<(usize, usize)>>,
}

impl<'a> Search<'a> {
    fn new(atoms: &'a [Atom], text: &'a str, groups: usize) -> Self {
        Self {
            atoms,
            text,
            marks: SmallVec::from_elem(0, groups * 2),
            choices: SmallVec::new(),
            tries: 0,
            memo: None,
        }
    }

    fn run(&mut self) -> Option<Groups> {
        let (mut atom, mut at) = (0, 0);
        loop {
            let step = match self.atoms.get(atom) {
                None if at == self.text.len() => {
                    let groups = self.marks.chunks_exact(2);
                    return Some(groups.map(|pair| (pair[0], pair[1])).collect());
                }
                None => None,
                Some(Atom::Mark(slot)) => {
                    self.marks[*slot] = at;
                    Some(at)
                }
                Some(Atom::Literal(literal)) => self.text[at..]
                    .starts_with(&**literal)
                    .then(|| at + literal.len()),
                Some(Atom::OneOf(_)) => {
                    self.choices.push(Choice {
                        atom,
                        low: at,
                        high: at,
                        run_end: at,
                        next: 0,
                    });
                    None
                }
                Some(Atom::Repeat(repeat)) => self.repeat(atom, at, repeat),
            };
            if let Some(next) = step {
                at = next;
                atom += 1;
            } else {
                (atom, at) = self.back()?;
            }
        }
    }

    /// Begins the repeat `atom` at `at`; gives the position to go on from where there is but one.
    fn repeat(&mut self, atom: usize, at: usize, repeat: &Repeat) -> Option<usize> {
        let Repeat {
            class, min, max, ..
        } = repeat;
        let mut low = at;
        if *min > 0 {
            let (end, count) = class.run_end(self.text, at, Some(*min));
            if count < *min {
                return None;
            }
            low = end;
        }
        if *max == Some(*min) {
            return Some(low);
        }
        let memo = self.memo.as_ref().filter(|_| max.is_none());
        let (high, run_end) = match memo.and_then(|memo| memo.exhausted[atom]) {
            Some((from, to)) if (from..=to).contains(&low) => return None,
            // The run leads into one that was tried in full: only what lies before it is new.
            Some((from, to))
                if low < from && class.run_end(&self.text[..from], low, None).0 == from =>
            {
                (self.previous(from), to)
            }
            _ => {
                let end = class.run_end(self.text, low, max.map(|max| max - min)).0;
                (end, end)
            }
        };
        let choice = Choice {
            atom,
            low,
            high,
            run_end,
            next: if repeat.lazy { low } else { high },
        };
        let rest = &self.atoms[atom + 1..];
        if rest.iter().all(|atom| matches!(atom, Atom::Mark(_))) {
            // Nothing follows, so only the run that reaches the end of the text will do.
            if run_end == self.text.len() {
                return Some(run_end);
            }
            self.exhaust(&choice);
            return None;
        }
        self.choices.push(choice);
        None
    }

    /// Goes back to the last choice that has another way, and takes it.
    fn back(&mut self) -> Option<(usize, usize)> {
        loop {
            let choice = self.choices.last_mut()?;
            let atom = choice.atom;
            let position = match &self.atoms[atom] {
                Atom::OneOf(words) => {
                    let rest = &self.text[choice.low..];
                    let mut found = None;
                    while let Some(word) = words.get(choice.next) {
                        choice.next += 1;
                        if rest.starts_with(&**word) {
                            found = Some(choice.low + word.len());
                            break;
                        }
                    }
                    found
                }
                Atom::Repeat(repeat) => next_position(choice, self.text, repeat.lazy),
                Atom::Literal(_) | Atom::Mark(_) => None,
            };
            let Some(position) = position else {
                let done = self.choices.pop()?;
                self.exhaust(&done);
                continue;
            };
            if self.is_new(atom, position) {
                return Some((atom + 1, position));
            }
        }
    }

    fn exhaust(&mut self, choice: &Choice) {
        if let Some(memo) = &mut self.memo
            && let Atom::Repeat(Repeat { max: None, .. }) = self.atoms[choice.atom]
        {
            memo.exhausted[choice.atom] = Some((choice.low, choice.run_end));
        }
    }

    /// Notes that the atoms behind `atom` are tried at `position`; false if they were before.
    fn is_new(&mut self, atom: usize, position: usize) -> bool {
        self.tries += 1;
        let width = self.text.len() + 1;
        if self.memo.is_none() {
            if self.tries <= MEMO_AFTER {
                return true;
            }
            self.memo = Some(Memo {
                tried: vec![0; (self.atoms.len() * width).div_ceil(64)],
                exhausted: vec![None; self.atoms.len()],
            });
        }
        let Some(memo) = &mut self.memo else {
            return true;
        };
        let bit = atom * width + position;
        let word = &mut memo.tried[bit / 64];
        let mask = 1 << (bit % 64);
        let new = *word & mask == 0;
        *word |= mask;
        new
    }

    fn previous(&self, position: usize) -> usize {
        let before = self.text[..position].chars().next_back();
        position - before.map_or(0, char::len_utf8)
    }
}

/// The next position a repeat allows; `usize::MAX` in `next` marks the end.
fn next_position(choice: &mut Choice, text: &str, lazy: bool) -> Option<usize> {
    let position = choice.next;
    if position == usize::MAX || position < choice.low || position > choice.high {
        return None;
    }
    choice.next = if lazy {
        let step = text[position..].chars().next().map_or(1, char::len_utf8);
        position + step
    } else {
        let step = text[..position]
            .chars()
            .next_back()
            .map_or(1, char::len_utf8);
        position.checked_sub(step).unwrap_or(usize::MAX)
    };
    Some(position)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::rule::python_regex::{parse_atoms, to_rust};

    /// The pieces for this crate's matcher, and the number of groups.
    fn atoms(pieces: &[(&str, bool)]) -> (Box<[Atom]>, usize) {
        let mut atoms = Vec::new();
        let mut groups = 0;
        for (source, argument) in pieces {
            if *argument {
                atoms.push(Atom::Mark(groups * 2));
                atoms.extend(parse_atoms(source).unwrap());
                atoms.push(Atom::Mark(groups * 2 + 1));
                groups += 1;
            } else {
                atoms.push(Atom::Literal((*source).into()));
            }
        }
        (atoms.into(), groups)
    }

    /// The groups as this crate's matcher and as the `regex` crate find them.
    fn both(pieces: &[(&str, bool)], text: &str) -> (Option<Groups>, Option<Groups>) {
        let mut expression = r"\A(?:".to_owned();
        let mut group = 0;
        for (source, argument) in pieces {
            if *argument {
                let name = group_name(group);
                expression.extend(["(?P<", &name, ">", &to_rust(source).expression, ")"]);
                group += 1;
            } else {
                expression.push_str(&regex::escape(source));
            }
        }
        expression.push_str(r")\z");
        let regex = regex::Regex::new(&expression).unwrap();
        let (atoms, groups) = atoms(pieces);
        let own = Pattern::Atoms { atoms, groups };
        let other = Pattern::Regex { regex, groups };
        (own.captures(text), other.captures(text))
    }

    fn piece() -> impl Strategy<Value = (&'static str, bool)> {
        prop_oneof![
            3 => prop::sample::select(vec![
                "[^/]{1,}", "[^/].*?", r"\d+", r"-?\d+\.\d+", "[^/]{2}", "[^/]{1,3}", "(?:a|ab|)",
                "[ab]*", "[^a]+?", "a?", "b*?", ".{0,2}", r"[\d.]+",
            ])
            .prop_map(|source| (source, true)),
            1 => prop::sample::select(vec!["a", "/", ".", "b/"]).prop_map(|text| (text, false)),
        ]
    }

    proptest! {
        #[test]
        fn finds_the_groups_that_the_regex_crate_finds(
            pieces in prop::collection::vec(piece(), 1..6),
            text in "[ab1./ü٣\n-]{0,12}",
        ) {
            let (own, other) = both(&pieces, &text);
            prop_assert_eq!(own, other);
        }

        #[test]
        fn remembering_failures_changes_no_answer(
            pieces in prop::collection::vec(piece(), 3..9),
            unit in "[ab1./]{1,4}",
            count in 30_usize..60,
            end in "[ab/!]{0,2}",
        ) {
            let text = unit.repeat(count) + &end;
            let (own, other) = both(&pieces, &text);
            prop_assert_eq!(own, other);
        }

        #[test]
        fn the_tries_grow_with_the_text_and_no_faster(
            pieces in prop::collection::vec(piece(), 3..9),
            unit in "[ab1./]{1,4}",
            count in 100_usize..400,
            end in "[ab/!]{0,2}",
        ) {
            let text = unit.repeat(count) + &end;
            let (atoms, groups) = atoms(&pieces);
            let mut search = Search::new(&atoms, &text, groups);
            search.run();
            // The search tries each pair once, and meets it once more to see that it was tried.
            let most = MEMO_AFTER + 2 * atoms.len() * (text.len() + 1);
            prop_assert!(search.tries <= most, "{} for {}", search.tries, text.len());
        }
    }
}
