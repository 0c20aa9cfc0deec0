//! Rules and paths for the benchmarks of the router, in our syntax and in matchit's.

use bustapi_router::{Map, Rule};

/// `size` rules in Flask's syntax, a fifth of each kind, and the same for matchit.
#[must_use]
pub fn rules(size: usize) -> (Vec<String>, Vec<String>) {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for index in 0..size / 5 {
        let base = format!("/api/v1/resource{index}");
        for (our, their) in [
            ("", ""),
            ("/<int:id>", "/{id}"),
            ("/<int:id>/tags", "/{id}/tags"),
            ("/<int:id>/tags/<tag>", "/{id}/tags/{tag}"),
            ("/a/b/c/d/<p>/e/<q>/f", "/a/b/c/d/{p}/e/{q}/f"),
        ] {
            ours.push(format!("{base}{our}"));
            theirs.push(format!("{base}{their}"));
        }
    }
    (ours, theirs)
}

/// Our map of these rules.
///
/// # Panics
///
/// Where a rule is malformed.
#[must_use]
pub fn map(rules: &[String]) -> Map {
    let mut map = Map::default();
    for rule in rules {
        map.add(Rule::new(rule).endpoint(rule).methods(["GET"]))
            .expect("the rule is valid");
    }
    map
}

/// matchit's router of these routes.
///
/// # Panics
///
/// Where routes conflict.
#[must_use]
pub fn matchit_router(paths: &[String]) -> matchit::Router<usize> {
    let mut router = matchit::Router::new();
    for (index, path) in paths.iter().enumerate() {
        router
            .insert(path, index)
            .expect("the routes do not conflict");
    }
    router
}

/// A path of each kind for a map of `size` of these [`rules`], by name.
#[must_use]
pub fn paths(size: usize) -> [(&'static str, String); 6] {
    let base = format!("/api/v1/resource{}", size / 10);
    [
        ("static", base.clone()),
        ("one_argument", format!("{base}/1234")),
        ("two_arguments", format!("{base}/1234/tags/rust")),
        ("deep", format!("{base}/a/b/c/d/x/e/y/f")),
        ("miss_early", "/nowhere".to_owned()),
        ("miss_late", format!("{base}/a/b/c/d/x/e/y/g")),
    ]
}
