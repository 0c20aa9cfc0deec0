//! Any text is a rule or an error that points into it; a rule can be matched, built and reported.

#![no_main]

use bustapi_router::{Bind, Build, Map, MatchRequest, Rule, Value};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|rules: (&str, &str, &str)| {
    let mut map = Map::default();
    for rule in [rules.0, rules.1] {
        match map.add(Rule::new(rule).subdomain(rules.2).endpoint("e")) {
            Ok(id) => assert_eq!(map.rule(id).rule(), rule),
            Err(error) => {
                assert!(error.position <= error.rule.len());
                assert!(error.rule.is_char_boundary(error.position), "{error}");
            }
        }
    }
    // The text of a rule is a path like any other.
    let request = MatchRequest {
        subdomain: Some(rules.2),
        ..MatchRequest::new("GET", rules.0)
    };
    let _ = map.match_path(&request).map_err(|error| error.to_string());
    let report = map.unreachable_rules();
    assert!(report.len() <= map.len());
    let names: Vec<&str> = map
        .rules()
        .flat_map(|rule| rule.value_names())
        .map(|name| &**name)
        .collect();
    let values: Vec<(&str, Value)> = names.iter().map(|name| (*name, Value::from("1"))).collect();
    let adapter = map.bind(&Bind::new("h")).expect("the name is valid");
    let _ = adapter
        .build(&Build::new("e", &values))
        .map_err(|error| error.to_string());
});
