//! Any path gets a verdict; what matches builds a URL that leads to the same rule and values.

#![no_main]

use std::sync::LazyLock;

use bustapi_router::{Bind, Build, Map, MatchError, MatchRequest, Rule, Value};
use libfuzzer_sys::fuzz_target;

/// One rule for each way to match: static, typed, mixed, in the middle, with and without slash.
static MAP: LazyLock<Map> = LazyLock::new(|| {
    let mut map = Map::default();
    for rule in [
        "/",
        "/a",
        "/a/b/c",
        "/a/<name>",
        "/<int(signed=True):n>",
        "/<float:f>/x",
        "/<uuid:u>/",
        "/<name>.<kind>",
        "/page-<int:n>/",
        "/<any(b, 'b c', d):word>/e",
        "/<string(length=2):code>/<path:rest>",
        "/w/<path:page>/edit",
        "/w/<path:page>/",
        "/<path:a>/-/<path:b>/!",
    ] {
        map.add(Rule::new(rule).endpoint(rule)).expect("the rule is valid");
    }
    map
});

fuzz_target!(|path: &str| {
    let map = &*MAP;
    let adapter = map.bind(&Bind::new("h")).expect("the name is valid");
    let raw = map.match_raw_path(&MatchRequest::new("GET", path));
    assert!(!matches!(raw, Err(MatchError::Failed { .. })));
    match adapter.match_path(path, None) {
        Ok(found) => {
            let values: Vec<(&str, Value)> = found
                .args(map)
                .map(|(name, value)| (name, value.clone()))
                .collect();
            // `str` writes these with an exponent or as `inf`, which no rule reads.
            let unreadable = |value: &Value| {
                matches!(value, Value::Float(number) if *number >= 1e16 || *number < 1e-4)
            };
            if values.iter().any(|(_, value)| unreadable(value)) {
                return;
            }
            let url = adapter
                .build(&Build::new(found.endpoint(map), &values))
                .expect("values that were read can be written");
            let again = map.match_raw_path(&MatchRequest::new("GET", &url));
            assert_eq!(again.expect("what was built matches"), found, "{url}");
        }
        Err(MatchError::RequestRedirect { url }) => {
            let target = url.strip_prefix("http://h").expect("a redirect stays on its host");
            let again = map.match_raw_path(&MatchRequest::new("GET", target));
            // Merging slashes may be followed by adding one.
            assert!(
                matches!(again, Ok(_) | Err(MatchError::RequestRedirect { .. })),
                "{url}"
            );
        }
        Err(MatchError::NotFound) => {}
        Err(other) => panic!("{other}"),
    }
});
