//! Redirects: to canonical rules, to aliases' rules, and wherever a rule says.

use std::sync::Arc;

use bustapi_router::{
    Bind, Map, MapOptions, MatchError, MatchRequest, RedirectFn, Rule, Value, message_error,
};

fn redirect(map: &Map, path: &str) -> Option<String> {
    let request = MatchRequest {
        server_name: "example.org",
        ..MatchRequest::new("GET", path)
    };
    match map.match_path(&request) {
        Err(MatchError::RequestRedirect { url }) => Some(url),
        _ => None,
    }
}

#[test]
fn defaults_redirect_to_the_rule_that_has_them() {
    let mut map = Map::default();
    map.add(Rule::new("/all/").endpoint("all").default("page", 1))
        .unwrap();
    map.add(Rule::new("/all/page/<int:page>").endpoint("all"))
        .unwrap();
    assert_eq!(
        redirect(&map, "/all/page/1").as_deref(),
        Some("http://example.org/all/")
    );
    assert_eq!(redirect(&map, "/all/page/2"), None);
    map.options_mut().redirect_defaults = false;
    assert_eq!(redirect(&map, "/all/page/1"), None);
}

#[test]
fn aliases_redirect_to_the_canonical_rule() {
    let mut map = Map::default();
    map.add(Rule::new("/users/<int:id>").endpoint("user"))
        .unwrap();
    map.add(Rule::new("/u/<int:id>").endpoint("user").alias(true))
        .unwrap();
    assert_eq!(
        redirect(&map, "/u/7").as_deref(),
        Some("http://example.org/users/7")
    );
}

#[test]
fn rules_redirect_where_they_say() {
    let mut map = Map::default();
    map.add(Rule::new("/old/<name>").redirect_to("new/<name>"))
        .unwrap();
    map.add(Rule::new("/away").redirect_to("https://other.example/x"))
        .unwrap();
    let call: RedirectFn = Arc::new(|args| match args {
        [("n", Value::Int(number))] => Ok(format!("/twice/{}", number * 2)),
        _ => Err(message_error("unexpected arguments")),
    });
    map.add(Rule::new("/call/<int:n>").redirect_to(call))
        .unwrap();
    map.add(Rule::new("/wrong").redirect_to("/<missing>"))
        .unwrap();
    assert_eq!(
        redirect(&map, "/old/a b").as_deref(),
        Some("http://example.org/new/a%20b")
    );
    assert_eq!(
        redirect(&map, "/away").as_deref(),
        Some("https://other.example/x")
    );
    assert_eq!(
        redirect(&map, "/call/4").as_deref(),
        Some("http://example.org/twice/8")
    );
    let wrong = map.match_path(&MatchRequest::new("GET", "/wrong"));
    assert!(matches!(wrong, Err(MatchError::Failed { .. })));
}

#[test]
fn redirects_keep_query_mount_point_scheme_and_subdomain() {
    let mut map = Map::default();
    map.add(Rule::new("/ü/").subdomain("api")).unwrap();
    let bind = Bind {
        script_name: "/app",
        subdomain: Some("api"),
        url_scheme: "https",
        query: Some("a=1"),
        ..Bind::new("Example.org")
    };
    let adapter = map.bind(&bind).unwrap();
    match adapter.match_path("/ü", None) {
        Err(MatchError::RequestRedirect { url }) => {
            assert_eq!(url, "https://api.example.org/app/%C3%BC/?a=1");
        }
        other => panic!("{other:?}"),
    }
    assert!(adapter.test("/ü", None));
    assert_eq!(adapter.redirect_url("x"), "https://api.example.org/app/x");
}

#[test]
fn hosts_are_redirected_to_themselves() {
    let mut map = Map::new(MapOptions {
        host_matching: true,
        ..MapOptions::default()
    });
    map.add(Rule::new("/a/").host("<h>.org")).unwrap();
    let request = MatchRequest {
        server_name: "x.org",
        ..MatchRequest::new("GET", "/a")
    };
    match map.match_path(&request) {
        Err(MatchError::RequestRedirect { url }) => assert_eq!(url, "http://x.org/a/"),
        other => panic!("{other:?}"),
    }
}
