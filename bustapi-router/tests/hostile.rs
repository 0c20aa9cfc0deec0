//! Paths and rules made to be slow or to fail end quickly, with a verdict.
#![expect(clippy::unwrap_used, reason = "a helper that fails fails the test")]

use std::time::{Duration, Instant};

use bustapi_router::{Bind, Build, Map, MatchError, MatchRequest, Rule, Value};

/// Far above what an unoptimised build needs, far below what anything quadratic takes here.
const DEADLINE: Duration = Duration::from_secs(10);

fn quickly<T>(what: &str, act: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = act();
    let elapsed = start.elapsed();
    assert!(elapsed < DEADLINE, "{what} took {elapsed:?}");
    result
}

fn map(rules: &[&str]) -> Map {
    let mut map = Map::default();
    for rule in rules {
        map.add(Rule::new(*rule)).unwrap();
    }
    map
}

#[test]
fn long_paths_end_quickly() {
    let map = map(&[
        "/<path:a>/<path:b>/<path:c>/<path:d>/end",
        "/<a>.<b>.<c>.<d>!",
        "/x/<path:p>/",
        "/<string(minlength=2):a>-<string(minlength=2):b>-<int:c>!",
        "/<int:a><int:b><int:c><int:d>x",
        "/<path:a>a<path:b>b<path:c>c<path:d>\n",
    ]);
    for path in [
        "/".repeat(64 * 1024),
        format!("/{}", "a/".repeat(10_000)),
        format!("/{}", "a".repeat(64 * 1024)),
        format!("/{}", "a.".repeat(32 * 1024)),
        format!("/{}", "a-".repeat(32 * 1024)),
        format!("/{}", "1".repeat(64 * 1024)),
        format!("/{}", "ü/".repeat(20_000)),
        format!("/{}", "abc".repeat(20_000)),
    ] {
        let start: String = path.chars().take(6).collect();
        let verdict = quickly(&start, || map.match_path(&MatchRequest::new("GET", &path)));
        let expected = matches!(
            verdict,
            Err(MatchError::NotFound | MatchError::RequestRedirect { .. }) | Ok(_)
        );
        assert!(expected, "{start}: {verdict:?}");
    }
}

#[test]
fn a_thousand_arguments_match_and_build() {
    for (separator, rules) in [("/", 1), (".", 1)] {
        let names: Vec<String> = (0..1_000).map(|index| format!("a{index:04}")).collect();
        let variables: Vec<String> = names.iter().map(|name| format!("<{name}>")).collect();
        let rule = format!("/{}", variables.join(separator));
        let map = quickly("adding", || map(&[&rule]));
        assert_eq!(map.len(), rules);
        let path = format!("/{}", vec!["x"; 1_000].join(separator));
        let found = quickly("matching", || {
            map.match_path(&MatchRequest::new("GET", &path))
        });
        assert_eq!(found.unwrap().values.len(), 1_000);
        let miss = format!("/{}", vec!["x"; 999].join(separator));
        let verdict = quickly("missing", || {
            map.match_path(&MatchRequest::new("GET", &miss))
        });
        assert!(matches!(verdict, Err(MatchError::NotFound)));
        let values: Vec<(&str, Value)> = names
            .iter()
            .map(|name| (name.as_str(), Value::from("x")))
            .collect();
        let adapter = map.bind(&Bind::new("h")).unwrap();
        let url = quickly("building", || adapter.build(&Build::new("", &values)));
        assert_eq!(url.unwrap(), path);
    }
}

#[test]
fn deep_rules_need_no_deep_stack() {
    let deep = "/a".repeat(20_000);
    let dynamic: Vec<String> = (0..20_000).map(|index| format!("/<b{index}>")).collect();
    let thread = std::thread::Builder::new().stack_size(256 * 1024);
    let run = move || {
        let map = quickly("adding", || map(&[&deep]));
        assert!(map.match_path(&MatchRequest::new("GET", &deep)).is_ok());
        let mut map = Map::default();
        // A default for each variable would be quadratic to look up; text is enough here.
        quickly("malformed", || {
            map.add(Rule::new(dynamic.concat() + "<")).unwrap_err()
        });
    };
    thread.spawn(run).unwrap().join().unwrap();
}

#[test]
fn many_ambiguous_rules_are_tried_once_each() {
    // Every prefix of converters is ambiguous: a search that tried all combinations for each
    // segment would take 3^12 steps.
    let mut map = Map::default();
    let kinds = ["", "path:", "string(minlength=1):"];
    for length in 1..=12 {
        for kind in kinds {
            let rule: Vec<String> = (0..length).map(|at| format!("/<{kind}v{at}>")).collect();
            map.add(Rule::new(rule.concat() + "/never")).unwrap();
        }
    }
    let path = "/a".repeat(12);
    let verdict = quickly("matching", || {
        map.match_path(&MatchRequest::new("GET", &path))
    });
    assert!(matches!(verdict, Err(MatchError::NotFound)));
}
