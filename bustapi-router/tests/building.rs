//! URLs built from endpoints and values.
#![expect(clippy::unwrap_used, reason = "a helper that fails fails the test")]

use bustapi_router::{Bind, BindError, Build, BuildError, Map, MapOptions, Rule, Value};

fn map(rules: &[(&str, &str)]) -> Map {
    let mut map = Map::default();
    for (rule, endpoint) in rules {
        map.add(Rule::new(*rule).endpoint(*endpoint)).unwrap();
    }
    map
}

fn build(map: &Map, build: &Build<'_>) -> String {
    let adapter = map.bind(&Bind::new("example.org")).unwrap();
    match adapter.build(build) {
        Ok(url) => url,
        Err(error) => error.to_string(),
    }
}

#[test]
fn values_fill_the_rule_and_the_query() {
    let map = map(&[("/users/<int:id>/<path:page>", "user")]);
    let values = [
        ("id", Value::from(7)),
        ("page", Value::from("a b/ü?")),
        ("q", Value::from("x y&z=1+2")),
        ("tag", Value::from(vec!["a", "b"])),
        ("none", Value::None),
    ];
    assert_eq!(
        build(&map, &Build::new("user", &values)),
        "/users/7/a%20b/%C3%BC%3F?q=x+y%26z%3D1%2B2&tag=a&tag=b"
    );
    let known_only = Build {
        append_unknown: false,
        ..Build::new("user", &values)
    };
    assert_eq!(build(&map, &known_only), "/users/7/a%20b/%C3%BC%3F");
    let anchored = Build {
        anchor: Some("x y"),
        ..known_only
    };
    assert_eq!(build(&map, &anchored), "/users/7/a%20b/%C3%BC%3F#x%20y");
}

#[test]
fn queries_can_be_sorted() {
    let mut map = map(&[("/", "index")]);
    map.options_mut().sort_parameters = true;
    let values = [("b", Value::from(1)), ("a", Value::from(vec!["y", "x"]))];
    assert_eq!(build(&map, &Build::new("index", &values)), "/?a=x&a=y&b=1");
    let mixed = [("a", Value::List([Value::from("y"), Value::from(1)].into()))];
    assert!(build(&map, &Build::new("index", &mixed)).contains("cannot be sorted"));
}

#[test]
fn the_rule_with_the_most_arguments_is_preferred() {
    let map = map(&[("/posts", "posts"), ("/posts/<int:year>", "posts")]);
    let year = [("year", Value::from(2024))];
    assert_eq!(build(&map, &Build::new("posts", &year)), "/posts/2024");
    assert_eq!(build(&map, &Build::new("posts", &[])), "/posts");
}

#[test]
fn defaults_choose_the_rule_without_the_argument() {
    let mut map = map(&[("/page/<int:n>", "page")]);
    map.add(Rule::new("/page/").endpoint("page").default("n", 1))
        .unwrap();
    for (value, url) in [(1, "/page/"), (2, "/page/2")] {
        let values = [("n", Value::from(value))];
        assert_eq!(build(&map, &Build::new("page", &values)), url);
    }
    assert_eq!(build(&map, &Build::new("page", &[])), "/page/");
}

#[test]
fn methods_choose_among_rules() {
    let mut map = Map::default();
    map.add(Rule::new("/read").endpoint("e").methods(["GET"]))
        .unwrap();
    map.add(Rule::new("/write").endpoint("e").methods(["POST"]))
        .unwrap();
    assert_eq!(build(&map, &Build::new("e", &[])), "/read");
    let post = Build {
        method: Some("POST"),
        ..Build::new("e", &[])
    };
    assert_eq!(build(&map, &post), "/write");
}

#[test]
fn absolute_urls_know_scheme_and_mount_point() {
    let mut map = map(&[("/x", "x")]);
    map.add(Rule::new("/ws").endpoint("ws").websocket(true))
        .unwrap();
    map.add(Rule::new("/").endpoint("api").subdomain("api"))
        .unwrap();
    let bind = Bind {
        script_name: "/app",
        url_scheme: "https",
        ..Bind::new("example.org")
    };
    let adapter = map.bind(&bind).unwrap();
    let url = |build: Build<'_>| adapter.build(&build).unwrap();
    assert_eq!(url(Build::new("x", &[])), "/app/x");
    let external = Build {
        force_external: true,
        ..Build::new("x", &[])
    };
    assert_eq!(url(external), "https://example.org/app/x");
    assert_eq!(
        url(Build {
            url_scheme: Some(""),
            ..external
        }),
        "//example.org/app/x"
    );
    assert_eq!(
        url(Build {
            url_scheme: Some("ftp"),
            ..external
        }),
        "http://example.org/app/x"
    );
    assert_eq!(url(Build::new("ws", &[])), "wss://example.org/app/ws");
    assert_eq!(url(Build::new("api", &[])), "https://api.example.org/app/");
}

#[test]
fn the_current_host_is_preferred() {
    let mut map = Map::new(MapOptions {
        host_matching: true,
        ..MapOptions::default()
    });
    map.add(Rule::new("/a").endpoint("e").host("a.org"))
        .unwrap();
    map.add(Rule::new("/b").endpoint("e").host("b.org"))
        .unwrap();
    let url = |host| {
        let adapter = map.bind(&Bind::new(host)).unwrap();
        adapter.build(&Build::new("e", &[])).unwrap()
    };
    assert_eq!(url("b.org"), "/b");
    assert_eq!(url("c.org"), "http://a.org/a");
}

#[test]
fn errors_suggest_what_comes_closest() {
    let mut map = map(&[("/u/<int:id>", "user"), ("/", "index")]);
    map.add(Rule::new("/form").endpoint("form").methods(["POST"]))
        .unwrap();
    assert_eq!(
        build(&map, &Build::new("usr", &[])),
        "Could not build url for endpoint 'usr'. Did you mean 'user' instead?"
    );
    assert_eq!(
        build(&map, &Build::new("user", &[])),
        "Could not build url for endpoint 'user'. Did you forget to specify values ['id']?"
    );
    let wrong_method = Build {
        method: Some("PUT"),
        ..Build::new("form", &[])
    };
    assert_eq!(
        build(&map, &wrong_method),
        "Could not build url for endpoint 'form' ('PUT'). Did you mean to use methods ['POST']?"
    );
    let empty = Map::default();
    assert_eq!(
        build(&empty, &Build::new("x", &[])),
        "Could not build url for endpoint 'x'."
    );
}

#[test]
fn values_that_do_not_fit_fail() {
    let map = map(&[("/u/<int:id>", "user")]);
    let adapter = map.bind(&Bind::new("example.org")).unwrap();
    let values = [("id", Value::from("x"))];
    let failed = adapter.build(&Build::new("user", &values));
    assert!(matches!(failed, Err(BuildError::Failed { .. })));
}

#[test]
fn server_names_are_checked() {
    let map = Map::default();
    let long = "a".repeat(64);
    for bad in ["a..b", ".a", "ü.org", &long] {
        assert!(
            matches!(map.bind(&Bind::new(bad)), Err(BindError::BadHost(_))),
            "{bad}"
        );
    }
    for good in ["", "localhost:5000", "a.b.", "127.0.0.1"] {
        assert!(map.bind(&Bind::new(good)).is_ok(), "{good}");
    }
    let by_host = Map::new(MapOptions {
        host_matching: true,
        ..MapOptions::default()
    });
    let bind = Bind {
        subdomain: Some("x"),
        ..Bind::new("a.org")
    };
    assert!(matches!(
        by_host.bind(&bind),
        Err(BindError::SubdomainWithHostMatching)
    ));
}
