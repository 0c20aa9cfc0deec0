//! The rule that comes closest to one that cannot be built.
//!
//! Endpoints are compared as Python's `difflib.SequenceMatcher.ratio` does (Ratcliff and
//! Obershelp: twice the characters in common blocks over all characters), so that the suggestion
//! in the message is the one that Werkzeug's users know.

use std::collections::HashMap;

use crate::error::Suggestion;
use crate::map::map::Map;
use crate::methods::{Method, MethodSet};
use crate::rule::rule::BoundRule;
use crate::value::Value;

pub(crate) fn suggest(
    map: &Map,
    endpoint: &str,
    values: &[(&str, Value)],
    method: Option<&str>,
) -> Option<Suggestion> {
    let score = |rule: &BoundRule| {
        let knows_all = values.iter().all(|(name, _)| rule.has_argument(name));
        let methods = rule.methods().filter(|methods| !methods.is_empty());
        let takes =
            methods.is_some_and(|set| method.is_some_and(|method| set.has(&Method::new(method))));
        0.98 * ratio(rule.endpoint(), endpoint)
            + 0.01 * f64::from(u8::from(knows_all))
            + 0.01 * f64::from(u8::from(takes))
    };
    let mut best: Option<(&BoundRule, f64)> = None;
    for rule in map.rules() {
        let score = score(rule);
        // Of rules with equal scores, the first one is suggested.
        if best.is_none_or(|(_, highest)| score > highest) {
            best = Some((rule, score));
        }
    }
    let (rule, _) = best?;
    let given = |name: &str| values.iter().any(|(known, _)| *known == name);
    let missing = rule.value_names().iter().filter(|name| !given(name));
    let mut missing: Vec<String> = missing.map(ToString::to_string).collect();
    missing.sort_unstable();
    let other_methods = rule
        .methods()
        .filter(|methods| {
            let asked = method.filter(|method| !method.is_empty());
            asked.is_some_and(|method| !methods.has(&Method::new(method)))
        })
        .map(MethodSet::to_sorted);
    Some(Suggestion {
        rule: rule.id(),
        endpoint: rule.endpoint().to_owned(),
        methods: other_methods,
        missing,
    })
}

/// How alike two texts are, from 0 to 1.
fn ratio(a: &str, b: &str) -> f64 {
    let a: Vec<char> = a.chars().collect();
    let b: Vec<char> = b.chars().collect();
    let length = a.len() + b.len();
    if length == 0 {
        return 1.0;
    }
    let mut places: HashMap<char, Vec<usize>> = HashMap::new();
    for (index, character) in b.iter().enumerate() {
        places.entry(*character).or_default().push(index);
    }
    // In long texts `difflib` does not begin a block at a very frequent character.
    if b.len() >= 200 {
        let frequent = b.len() / 100 + 1;
        places.retain(|_, indexes| indexes.len() <= frequent);
    }
    let mut common = 0;
    let mut open = vec![(0, a.len(), 0, b.len())];
    while let Some((a_low, a_high, b_low, b_high)) = open.pop() {
        let block = longest_block(&a, &b, &places, (a_low, a_high, b_low, b_high));
        let (a_at, b_at, size) = block;
        if size > 0 {
            common += size;
            open.push((a_low, a_at, b_low, b_at));
            open.push((a_at + size, a_high, b_at + size, b_high));
        }
    }
    // Endpoint names are short: both numbers are far below 2^32.
    let exact = |number: usize| f64::from(u32::try_from(number).unwrap_or(u32::MAX));
    2.0 * exact(common) / exact(length)
}

/// The longest block that both ranges have in common; of equal ones the first in `a`, then in `b`.
fn longest_block(
    a: &[char],
    b: &[char],
    places: &HashMap<char, Vec<usize>>,
    (a_low, a_high, b_low, b_high): (usize, usize, usize, usize),
) -> (usize, usize, usize) {
    let (mut a_best, mut b_best, mut size) = (a_low, b_low, 0);
    let mut lengths: HashMap<usize, usize> = HashMap::new();
    for (a_at, character) in a.iter().enumerate().take(a_high).skip(a_low) {
        let mut next = HashMap::new();
        for &b_at in places.get(character).map_or(&[][..], Vec::as_slice) {
            if b_at < b_low {
                continue;
            }
            if b_at >= b_high {
                break;
            }
            let before = b_at.checked_sub(1).and_then(|before| lengths.get(&before));
            let length = before.copied().unwrap_or(0) + 1;
            next.insert(b_at, length);
            if length > size {
                (a_best, b_best, size) = (a_at + 1 - length, b_at + 1 - length, length);
            }
        }
        lengths = next;
    }
    while a_best > a_low && b_best > b_low && a[a_best - 1] == b[b_best - 1] {
        (a_best, b_best, size) = (a_best - 1, b_best - 1, size + 1);
    }
    while a_best + size < a_high && b_best + size < b_high && a[a_best + size] == b[b_best + size] {
        size += 1;
    }
    (a_best, b_best, size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_those_of_difflib() {
        for (a, b, expected) in [
            ("abcd", "bcde", 0.75),
            ("index", "indx", 8.0 / 9.0),
            ("", "", 1.0),
            ("a", "", 0.0),
            ("tide", "diet", 0.25),
            ("diet", "tide", 0.5),
        ] {
            let found = ratio(a, b);
            assert!((found - expected).abs() < 1e-12, "{a} {b}: {found}");
        }
    }
}
