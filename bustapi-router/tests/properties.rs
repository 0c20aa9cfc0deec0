//! What holds for every rule, value and path.

use bustapi_router::{Bind, Build, Map, MatchRequest, Rule, Value};
use proptest::prelude::*;

/// A converter, and a value that it writes and reads back.
fn argument() -> impl Strategy<Value = (&'static str, Value)> {
    prop_oneof![
        "[a-zA-Z0-9 ü&=?#%+~.\\-]{1,8}".prop_map(|text| ("string", Value::from(text))),
        // What is encoded already must not be taken for an encoding.
        "(%[0-9A-Fa-f]{2}|a){1,4}".prop_map(|text| ("string", Value::from(text))),
        (0..i64::MAX).prop_map(|number| ("int", Value::from(number))),
        any::<i64>().prop_map(|number| ("int(signed=True)", Value::from(number))),
        (0..9999_i64).prop_map(|number| ("int(fixed_digits=4)", Value::from(number))),
        // From 1e16 on `str` writes an exponent, which the converter does not read.
        (0.001_f64..1e15).prop_map(|number| ("float", Value::from(number))),
        any::<[u8; 16]>().prop_map(|bytes| ("uuid", Value::Uuid(bytes))),
        prop::sample::select(vec!["a", "b-c", "d"])
            .prop_map(|word| ("any(a, 'b-c', d)", Value::from(word))),
    ]
}

fn path_argument() -> impl Strategy<Value = Option<Value>> {
    prop::option::of("[a-z ü%?]{1,4}(/[a-z.]{1,4}){0,3}".prop_map(Value::from))
}

/// Joins segments, whose `X` becomes a name of its own in each.
fn rule_text(segments: &[&str]) -> String {
    let mut text = String::new();
    for (at, segment) in segments.iter().enumerate() {
        text.push('/');
        text.push_str(&segment.replace('X', &format!("v{at}")));
    }
    text
}

proptest! {
    #[test]
    fn what_a_rule_builds_it_matches_with_the_same_values(
        arguments in prop::collection::vec((argument(), "[a-z.-]{0,3}"), 0..5),
        path in path_argument(),
        slash: bool,
    ) {
        let mut rule = String::from("/start");
        let mut names = Vec::new();
        let mut values = Vec::new();
        for (index, ((converter, value), prefix)) in arguments.into_iter().enumerate() {
            let name = format!("v{index}");
            rule.extend(["/", &prefix, "<", converter, ":", &name, ">"]);
            names.push(name);
            values.push(value);
        }
        if let Some(value) = path {
            rule.push_str("/<path:rest>");
            names.push("rest".to_owned());
            values.push(value);
        }
        if slash {
            rule.push('/');
        }
        let mut map = Map::default();
        map.add(Rule::new(&rule).endpoint("e")).unwrap();
        let given: Vec<(&str, Value)> =
            names.iter().map(String::as_str).zip(values.iter().cloned()).collect();
        let adapter = map.bind(&Bind::new("h")).unwrap();
        let url = adapter.build(&Build::new("e", &given)).unwrap();
        prop_assert!(url.is_ascii() && !url.contains([' ', '?', '#']), "{}", url);
        let found = map.match_raw_path(&MatchRequest::new("GET", &url));
        let found = found.map_err(|error| TestCaseError::fail(format!("{rule} {url}: {error}")))?;
        prop_assert_eq!(found.values.to_vec(), values, "{} {}", rule, url);
    }

    /// Between different kinds of segments the weights differ, so the order of adding has no say.
    #[test]
    fn order_matters_only_between_equal_weights(
        rules in prop::collection::btree_set(
            prop::collection::vec(prop::sample::select(vec!["a", "b", "<X>", "<int:X>", "a<X>", "<X>.b"]), 1..4),
            2..10,
        ),
        seed in any::<prop::sample::Index>(),
        paths in prop::collection::vec(
            prop::collection::vec(prop::sample::select(vec!["a", "b", "7", "a7", "x.b", "a.b", "x"]), 1..4),
            8,
        ),
    ) {
        let texts: Vec<String> = rules
            .iter()
            .map(|segments| rule_text(segments))
            .collect();
        let mut turned = texts.clone();
        turned.rotate_left(seed.index(texts.len()));
        turned.reverse();
        let map = |rules: &[String]| {
            let mut map = Map::default();
            for rule in rules {
                map.add(Rule::new(rule).endpoint(rule)).unwrap();
            }
            map
        };
        let (first, second) = (map(&texts), map(&turned));
        for path in paths {
            let path = format!("/{}", path.join("/"));
            let endpoint = |map: &Map| {
                let found = map.match_path(&MatchRequest::new("GET", &path));
                found.map(|found| found.endpoint(map).to_owned()).map_err(|error| error.status())
            };
            prop_assert_eq!(endpoint(&first), endpoint(&second), "{}", path);
        }
    }

    /// Rules with the same weights, be their expressions the same or others: the one added first
    /// is found.
    #[test]
    fn of_equal_weights_the_first_added_decides(
        converters in prop::collection::vec(
            prop::sample::select(vec!["", "string(maxlength=5):", "string(maxlength=9):"]),
            2..6,
        ),
        path in "/[a-z]{1,5}",
    ) {
        let mut map = Map::default();
        let rules = converters.iter().enumerate();
        let ids: Vec<_> = rules
            .map(|(index, converter)| map.add(Rule::new(format!("/<{converter}v{index}>"))).unwrap())
            .collect();
        let found = map.match_path(&MatchRequest::new("GET", &path)).unwrap();
        prop_assert_eq!(found.rule, ids[0]);
    }

    #[test]
    fn no_rule_and_no_path_panics(
        rules in prop::collection::vec("/?[/<>():a-z0-9 ,=\"'.|ü\\\\-]{0,16}|/<[a-z]{1,6}(\\([a-z0-9=,'\" ]{0,8}\\))?:x>.{0,4}", 1..6),
        path in ".{0,24}",
        raw in "/[%0-9a-fA-Fü/.]{0,24}",
    ) {
        let mut map = Map::default();
        for rule in rules {
            let length = rule.len();
            if let Err(error) = map.add(Rule::new(rule)) {
                prop_assert!(error.position <= length);
            }
        }
        for (path, request) in [(&path, MatchRequest::new("GET", &path)), (&raw, MatchRequest::new("PUT", &raw))] {
            let _ = map.match_path(&request).map_err(|error| error.to_string());
            let found = map.match_raw_path(&request);
            if let Ok(found) = &found {
                prop_assert_eq!(
                    found.values.len(),
                    map.rule(found.rule).value_names().len(),
                    "{}", path
                );
            }
        }
        let _ = map.unreachable_rules();
    }

}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    /// A rule that the report names is found by no path.
    #[test]
    fn unreachable_rules_are_unreachable(
        rules in prop::collection::vec(
            (
                prop::collection::vec(prop::sample::select(vec!["a", "<X>", "<int:X>", "<path:X>", "<string(2):X>"]), 1..3),
                prop::option::of(prop::sample::subsequence(vec!["GET", "POST"], 0..=2)),
                any::<[bool; 2]>(),
                prop::bool::weighted(0.2),
            ),
            2..10,
        ),
        paths in prop::collection::vec("(/(a|b|7|ab|12)){1,3}/?", 10),
    ) {
        let mut map = Map::default();
        for (segments, methods, [slash, strict], websocket) in rules {
            let end = if slash { "/" } else { "" };
            let mut rule = Rule::new(rule_text(&segments) + end).strict_slashes(strict);
            if websocket {
                rule = rule.websocket(true);
            } else if let Some(methods) = methods {
                rule = rule.methods(methods);
            }
            map.add(rule).unwrap();
        }
        let report = map.unreachable_rules();
        for path in paths {
            for (method, websocket) in [("GET", false), ("POST", false), ("GET", true)] {
                let request = MatchRequest { websocket, ..MatchRequest::new(method, &path) };
                if let Ok(found) = map.match_path(&request) {
                    prop_assert!(report.iter().all(|named| named.rule != found.rule), "{}", path);
                }
            }
        }
    }
}
