//! Which rule a path leads to, and with which values.
#![expect(clippy::unwrap_used, reason = "a helper that fails fails the test")]

use bustapi_router::{Map, MapOptions, MatchError, MatchRequest, Rule, Value};

fn map(rules: &[&str]) -> Map {
    let mut map = Map::default();
    for rule in rules {
        map.add(Rule::new(*rule).endpoint(*rule)).unwrap();
    }
    map
}

/// The endpoint and values, or the verdict's status.
fn found(map: &Map, path: &str) -> (String, Vec<(String, Value)>) {
    match map.match_path(&MatchRequest::new("GET", path)) {
        Ok(found) => {
            let args = found.args(map);
            let args = args.map(|(name, value)| (name.to_owned(), value.clone()));
            (found.endpoint(map).to_owned(), args.collect())
        }
        Err(MatchError::RequestRedirect { url }) => (url, Vec::new()),
        Err(error) => (error.status().to_string(), Vec::new()),
    }
}

#[track_caller]
fn leads_to(map: &Map, path: &str, endpoint: &str) {
    assert_eq!(found(map, path).0, endpoint, "{path}");
}

#[test]
fn static_parts_come_before_typed_ones_and_those_before_text() {
    let map = map(&[
        "/<path:p>",
        "/<name>",
        "/<int:n>",
        "/new",
        "/<name>.json",
        "/page-<int:n>",
    ]);
    leads_to(&map, "/new", "/new");
    leads_to(&map, "/7", "/<int:n>");
    leads_to(&map, "/page-7", "/page-<int:n>");
    leads_to(&map, "/page-x", "/<name>");
    leads_to(&map, "/a.json", "/<name>.json");
    leads_to(&map, "/x", "/<name>");
    leads_to(&map, "/x/y", "/<path:p>");
}

#[test]
fn a_specific_part_that_leads_nowhere_is_left_for_a_general_one() {
    let map = map(&[
        "/users/me/settings",
        "/users/<name>/posts",
        "/users/<int:id>/likes",
    ]);
    leads_to(&map, "/users/me/posts", "/users/<name>/posts");
    leads_to(&map, "/users/7/posts", "/users/<name>/posts");
    leads_to(&map, "/users/7/likes", "/users/<int:id>/likes");
    leads_to(&map, "/users/me/likes", "404");
}

#[test]
fn several_arguments_share_a_segment() {
    let map = map(&["/<a>.<b>", "/<int:year>-<int:month>"]);
    let (_, args) = found(&map, "/2024-05");
    assert_eq!(
        args,
        [
            ("year".into(), Value::from(2024)),
            ("month".into(), Value::from(5))
        ]
    );
    let (_, args) = found(&map, "/archive.tar.gz");
    assert_eq!(
        args,
        [
            ("a".into(), Value::from("archive.tar")),
            ("b".into(), Value::from("gz"))
        ]
    );
}

#[test]
fn a_path_argument_may_stand_in_the_middle() {
    let map = map(&["/wiki/<path:page>/edit", "/wiki/<path:page>", "/<path:p>/"]);
    let (endpoint, args) = found(&map, "/wiki/a/b/edit");
    assert_eq!(endpoint, "/wiki/<path:page>/edit");
    assert_eq!(args[0].1, Value::from("a/b"));
    leads_to(&map, "/wiki/a/b", "/wiki/<path:page>");
    leads_to(&map, "/a/b/", "/<path:p>/");
    leads_to(&map, "/a/b", "http:///a/b/");
}

#[test]
fn converters_give_typed_values() {
    let map = map(&[
        "/i/<int(signed=True):v>",
        "/f/<float:v>",
        "/u/<uuid:v>",
        "/y/<any(a, 'b c'):v>",
        "/s/<string(length=2):v>",
    ]);
    let value = |path: &str| found(&map, path).1.pop().map(|(_, value)| value);
    assert_eq!(value("/i/-12"), Some(Value::from(-12)));
    assert_eq!(
        value("/i/123456789012345678901234567890"),
        Value::integer("123456789012345678901234567890")
    );
    assert_eq!(value("/i/٣"), Some(Value::from(3)));
    assert_eq!(value("/f/1.5"), Some(Value::from(1.5)));
    assert_eq!(value("/f/1"), None);
    assert!(matches!(
        value("/u/12345678-9ABC-def0-1234-56789abcdef0"),
        Some(Value::Uuid([0x12, 0x34, ..]))
    ));
    assert_eq!(value("/y/b c"), Some(Value::from("b c")));
    assert_eq!(value("/y/c"), None);
    assert_eq!(value("/s/üü"), Some(Value::from("üü")));
    assert_eq!(value("/s/abc"), None);
}

#[test]
fn a_rejected_text_ends_the_search() {
    // The rules share a state, so the first one decides and no other is tried.
    let map = map(&["/<int(max=5):n>", "/<int:n>", "/<name>"]);
    leads_to(&map, "/5", "/<int(max=5):n>");
    leads_to(&map, "/6", "404");
    leads_to(&map, "/x", "/<name>");
}

#[test]
fn methods_choose_among_rules_and_are_reported() {
    let mut map = Map::default();
    map.add(Rule::new("/a").endpoint("read").methods(["get"]))
        .unwrap();
    map.add(
        Rule::new("/a")
            .endpoint("write")
            .methods(["POST", "PROPFIND"]),
    )
    .unwrap();
    map.add(Rule::new("/<name>").endpoint("other").methods(["DELETE"]))
        .unwrap();
    let with = |method: &str| map.match_path(&MatchRequest::new(method, "/a"));
    assert_eq!(with("HEAD").unwrap().endpoint(&map), "read");
    assert_eq!(with("post").unwrap().endpoint(&map), "write");
    assert_eq!(with("DELETE").unwrap().endpoint(&map), "other");
    match with("PUT") {
        Err(MatchError::MethodNotAllowed { allowed }) => assert_eq!(
            allowed.to_sorted(),
            ["DELETE", "GET", "HEAD", "POST", "PROPFIND"]
        ),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_missing_slash_redirects_and_a_surplus_one_is_not_found() {
    let map = map(&["/branch/", "/leaf"]);
    leads_to(&map, "/branch", "http:///branch/");
    leads_to(&map, "/branch/", "/branch/");
    leads_to(&map, "/leaf/", "404");
}

#[test]
fn lenient_rules_match_with_and_without_the_slash() {
    let mut map = Map::new(MapOptions {
        strict_slashes: false,
        ..MapOptions::default()
    });
    for rule in ["/branch/", "/leaf", "/p/<path:p>/"] {
        map.add(Rule::new(rule).endpoint(rule)).unwrap();
    }
    leads_to(&map, "/branch", "/branch/");
    leads_to(&map, "/leaf/", "/leaf");
    leads_to(&map, "/p/a/b", "/p/<path:p>/");
}

#[test]
fn runs_of_slashes_redirect_to_the_merged_path() {
    let map = map(&["/a/b", "/p/<path:p>"]);
    leads_to(&map, "//a/b", "/a/b");
    leads_to(&map, "/a//b", "http:///a/b");
    leads_to(&map, "/p/x//y", "/p/<path:p>");
    leads_to(&map, "/x//y", "404");
    let mut map = Map::new(MapOptions {
        merge_slashes: false,
        ..MapOptions::default()
    });
    map.add(Rule::new("/a//b").endpoint("double")).unwrap();
    leads_to(&map, "/a//b", "double");
    leads_to(&map, "/a/b", "404");
}

#[test]
fn websockets_have_rules_of_their_own() {
    let mut map = Map::default();
    map.add(Rule::new("/chat").endpoint("page")).unwrap();
    map.add(Rule::new("/chat").endpoint("socket").websocket(true))
        .unwrap();
    map.add(Rule::new("/feed").endpoint("feed").websocket(true))
        .unwrap();
    let with = |path, websocket| {
        map.match_path(&MatchRequest {
            websocket,
            ..MatchRequest::new("GET", path)
        })
    };
    assert_eq!(with("/chat", false).unwrap().endpoint(&map), "page");
    assert_eq!(with("/chat", true).unwrap().endpoint(&map), "socket");
    assert!(matches!(
        with("/feed", false),
        Err(MatchError::WebsocketMismatch)
    ));
}

#[test]
fn subdomains_and_hosts_are_rules_too() {
    let mut map = Map::default();
    map.add(Rule::new("/").endpoint("main")).unwrap();
    map.add(Rule::new("/").endpoint("api").subdomain("api"))
        .unwrap();
    map.add(Rule::new("/").endpoint("user").subdomain("<user>"))
        .unwrap();
    let with = |subdomain| {
        let request = MatchRequest {
            subdomain,
            ..MatchRequest::new("GET", "/")
        };
        map.match_path(&request).unwrap()
    };
    assert_eq!(with(None).endpoint(&map), "main");
    assert_eq!(with(Some("api")).endpoint(&map), "api");
    assert_eq!(
        with(Some("ann")).get(&map, "user"),
        Some(&Value::from("ann"))
    );

    let mut map = Map::new(MapOptions {
        host_matching: true,
        ..MapOptions::default()
    });
    map.add(Rule::new("/").endpoint("a").host("a.org:8080"))
        .unwrap();
    map.add(Rule::new("/").endpoint("any").host("<sub>.b.org"))
        .unwrap();
    let with = |server_name| {
        map.match_path(&MatchRequest {
            server_name,
            ..MatchRequest::new("GET", "/")
        })
    };
    assert_eq!(with("a.org:8080").unwrap().endpoint(&map), "a");
    assert_eq!(
        with("x.b.org").unwrap().get(&map, "sub"),
        Some(&Value::from("x"))
    );
    assert!(matches!(with("a.org"), Err(MatchError::NotFound)));
}

#[test]
fn raw_paths_are_decoded_once() {
    let map = map(&["/a/b", "/<name>", "/ü/<path:p>"]);
    let raw = |path| {
        let found = map.match_raw_path(&MatchRequest::new("GET", path));
        found.map(|found| (found.endpoint(&map).to_owned(), found.values.to_vec()))
    };
    assert_eq!(raw("/a%2Fb").unwrap().0, "/a/b");
    assert_eq!(raw("/%252F").unwrap().1, [Value::from("%2F")]);
    assert_eq!(raw("/%ff").unwrap().1, [Value::from("\u{fffd}")]);
    assert_eq!(raw("/%C3%BC/x%20y").unwrap().1, [Value::from("x y")]);
    assert_eq!(raw("/ü/x").unwrap().0, "/ü/<path:p>");
}

#[test]
fn build_only_rules_do_not_match() {
    let mut map = Map::default();
    map.add(Rule::new("/static/<path:name>").build_only(true))
        .unwrap();
    leads_to(&map, "/static/x", "404");
}

#[test]
fn rules_can_be_added_later() {
    let mut map = map(&["/a/b/c"]);
    leads_to(&map, "/a/b/c", "/a/b/c");
    leads_to(&map, "/a/b", "404");
    map.add(Rule::new("/a/b").endpoint("short")).unwrap();
    map.add(Rule::new("/a/<x>/d").endpoint("dynamic")).unwrap();
    leads_to(&map, "/a/b", "short");
    leads_to(&map, "/a/b/c", "/a/b/c");
    leads_to(&map, "/a/b/d", "dynamic");
}
