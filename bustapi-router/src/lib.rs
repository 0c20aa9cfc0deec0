//! Flask's and Werkzeug's URL rules in pure Rust: match paths, and build URLs.
//!
//! A [`Map`] holds [`Rule`]s. Matching a path gives the rule it leads to and typed values, or a
//! verdict ([`MatchError`]); building goes the other way, from an endpoint and values to a URL.
//! Every answer is the one that Werkzeug 3.1 gives.
//!
//! ```
//! use bustapi_router::{Bind, Build, Map, MatchError, MatchRequest, Rule, Value};
//!
//! let mut map = Map::default();
//! map.add(Rule::new("/").endpoint("index"))?;
//! map.add(Rule::new("/users/<int:id>").endpoint("user").methods(["GET"]))?;
//! map.add(Rule::new("/files/<path:name>/raw").endpoint("raw"))?;
//! map.add(Rule::new("/blog/").endpoint("blog"))?;
//!
//! // A match: the rule, and the values in the order of the rule's variables.
//! let found = map.match_path(&MatchRequest::new("GET", "/users/42")).unwrap();
//! assert_eq!(found.endpoint(&map), "user");
//! assert_eq!(found.get(&map, "id"), Some(&Value::Int(42)));
//!
//! // Verdicts: nothing there, another method, another form of the path.
//! let verdict = |method, path| {
//!     let request = MatchRequest { server_name: "example.org", ..MatchRequest::new(method, path) };
//!     map.match_path(&request).unwrap_err()
//! };
//! assert!(matches!(verdict("GET", "/users/bob"), MatchError::NotFound));
//! assert!(matches!(verdict("POST", "/users/42"), MatchError::MethodNotAllowed { .. }));
//! let MatchError::RequestRedirect { url } = verdict("GET", "/blog") else { panic!() };
//! assert_eq!(url, "http://example.org/blog/");
//!
//! // And back again.
//! let adapter = map.bind(&Bind::new("example.org")).unwrap();
//! let values = [("id", Value::from(42)), ("tab", Value::from("posts"))];
//! assert_eq!(adapter.build(&Build::new("user", &values)).unwrap(), "/users/42?tab=posts");
//! # Ok::<(), bustapi_router::RuleError>(())
//! ```
//!
//! # Rules
//!
//! A rule string is text and variables, `<converter(arguments):name>`, mixed in any way. Without
//! a converter a variable is a `string`.
//!
//! | converter | matches | arguments |
//! |---|---|---|
//! | `string` | text without a slash | `minlength`, `maxlength`, `length` |
//! | `int` | decimal digits | `fixed_digits`, `min`, `max`, `signed` |
//! | `float` | digits, a dot, digits | `min`, `max`, `signed` |
//! | `uuid` | a UUID with its hyphens | |
//! | `any` | one of the arguments | the words, quoted where they are no identifiers |
//! | `path` | text that may hold slashes | |
//!
//! Converters of your own implement [`Converter`] and are made known with
//! [`Map::register_converter`].
//!
//! # Which rule wins
//!
//! A path is taken segment by segment. In each, static text is tried before variables; of those,
//! the ones with more and longer static text first, then by the converters' weights (`int` and
//! `float` 50, `path` 200, the others 100), then in the order of adding. A choice that leads
//! nowhere is taken back. Among rules for the same path, the first that takes the method wins.
//!
//! ```
//! # use bustapi_router::{Map, MatchRequest, Rule};
//! let mut map = Map::default();
//! for rule in ["/<path:p>", "/<name>", "/<name>.json", "/<int:id>", "/new"] {
//!     map.add(Rule::new(rule).endpoint(rule))?;
//! }
//! let endpoint = |path| {
//!     let found = map.match_path(&MatchRequest::new("GET", path)).unwrap();
//!     found.endpoint(&map).to_owned()
//! };
//! assert_eq!(endpoint("/new"), "/new");
//! assert_eq!(endpoint("/7"), "/<int:id>");
//! assert_eq!(endpoint("/report.json"), "/<name>.json");
//! assert_eq!(endpoint("/report"), "/<name>");
//! assert_eq!(endpoint("/a/b"), "/<path:p>");
//! # Ok::<(), bustapi_router::RuleError>(())
//! ```
//!
//! One peculiarity of Werkzeug is kept: rules that differ in nothing but limits
//! (`<int(max=5):n>` and `<int:n>`) share a place, the first of them decides, and if its converter
//! then rejects the text, the path is not found.
//!
//! # Redirects
//!
//! A rule that ends with a slash is found without it by a redirect (`strict_slashes`), a path
//! with runs of slashes redirects to the merged one (`merge_slashes`), a path that spells out
//! another rule's defaults redirects to that rule (`redirect_defaults`), and so do
//! [`Rule::alias`] and [`Rule::redirect_to`].
//!
//! ```
//! # use bustapi_router::{Map, MatchError, MatchRequest, Rule};
//! let mut map = Map::default();
//! map.add(Rule::new("/posts/").endpoint("posts").default("page", 1))?;
//! map.add(Rule::new("/posts/page/<int:page>").endpoint("posts"))?;
//! map.add(Rule::new("/blog/<int:page>").endpoint("posts").alias(true))?;
//! map.add(Rule::new("/old/<int:id>").redirect_to("/posts/page/<id>"))?;
//! map.add(Rule::new("/lenient/").endpoint("lenient").strict_slashes(false))?;
//!
//! let redirect = |path| {
//!     let request = MatchRequest { server_name: "h", ..MatchRequest::new("GET", path) };
//!     match map.match_path(&request) {
//!         Err(MatchError::RequestRedirect { url }) => Some(url),
//!         _ => None,
//!     }
//! };
//! assert_eq!(redirect("/posts").as_deref(), Some("http://h/posts/"));
//! assert_eq!(redirect("/posts//page/2").as_deref(), Some("http://h/posts/page/2"));
//! assert_eq!(redirect("/posts/page/1").as_deref(), Some("http://h/posts/"));
//! assert_eq!(redirect("/blog/2").as_deref(), Some("http://h/posts/page/2"));
//! assert_eq!(redirect("/old/7").as_deref(), Some("http://h/posts/page/7"));
//! assert_eq!(redirect("/lenient"), None);
//! # Ok::<(), bustapi_router::RuleError>(())
//! ```
//!
//! # Hosts
//!
//! Rules have subdomains, or whole hosts where [`MapOptions::host_matching`] is set; both are rule
//! strings themselves.
//!
//! ```
//! # use bustapi_router::{Bind, Build, Map, MapOptions, MatchRequest, Rule, Value};
//! let mut map = Map::default();
//! map.add(Rule::new("/").endpoint("home").subdomain("<user>"))?;
//! let request = MatchRequest { subdomain: Some("ann"), ..MatchRequest::new("GET", "/") };
//! assert_eq!(map.match_path(&request).unwrap().get(&map, "user"), Some(&Value::from("ann")));
//! let values = [("user", Value::from("bob"))];
//! let adapter = map.bind(&Bind::new("example.org")).unwrap();
//! assert_eq!(adapter.build(&Build::new("home", &values)).unwrap(), "http://bob.example.org/");
//!
//! let mut map = Map::new(MapOptions { host_matching: true, ..MapOptions::default() });
//! map.add(Rule::new("/").endpoint("site").host("<name>.example.org:8080"))?;
//! let request = MatchRequest {
//!     server_name: "a.example.org:8080",
//!     ..MatchRequest::new("GET", "/")
//! };
//! assert_eq!(map.match_path(&request).unwrap().get(&map, "name"), Some(&Value::from("a")));
//! # Ok::<(), bustapi_router::RuleError>(())
//! ```
//!
//! # WebSockets and methods
//!
//! A rule is for WebSocket requests or for all others; beside that it may name its methods.
//!
//! ```
//! # use bustapi_router::{Bind, Map, MatchError, MatchRequest, Rule};
//! let mut map = Map::default();
//! map.add(Rule::new("/chat").endpoint("socket").websocket(true))?;
//! map.add(Rule::new("/items").endpoint("list").methods(["GET"]))?;
//! map.add(Rule::new("/items").endpoint("create").methods(["POST"]))?;
//!
//! let request = MatchRequest { websocket: true, ..MatchRequest::new("GET", "/chat") };
//! assert_eq!(map.match_path(&request).unwrap().endpoint(&map), "socket");
//! let plain = map.match_path(&MatchRequest::new("GET", "/chat"));
//! assert!(matches!(plain, Err(MatchError::WebsocketMismatch)));
//!
//! let adapter = map.bind(&Bind::new("example.org")).unwrap();
//! assert_eq!(adapter.match_path("/items", Some("POST")).unwrap().endpoint(&map), "create");
//! assert_eq!(adapter.allowed_methods("/items").to_string(), "GET, HEAD, POST");
//! assert!(!adapter.test("/items", Some("PUT")));
//! # Ok::<(), bustapi_router::RuleError>(())
//! ```
//!
//! # Building
//!
//! Of an endpoint's rules the best for the values is built; what it has no variable for goes to
//! the query string. A rule may be for that only ([`Rule::build_only`]).
//!
//! ```
//! # use bustapi_router::{Bind, Build, BuildError, Map, Rule, Value};
//! let mut map = Map::default();
//! map.add(Rule::new("/users/<name>").endpoint("user").methods(["GET"]))?;
//! map.add(Rule::new("/static/<path:file>").endpoint("static").build_only(true))?;
//! let adapter = map.bind(&Bind::new("example.org")).unwrap();
//!
//! let values = [("name", Value::from("Ann Lee")), ("tag", Value::from(vec!["a", "b"]))];
//! let user = Build::new("user", &values);
//! assert_eq!(adapter.build(&user).unwrap(), "/users/Ann%20Lee?tag=a&tag=b");
//! let full = Build {
//!     force_external: true,
//!     url_scheme: Some("https"),
//!     anchor: Some("top"),
//!     append_unknown: false,
//!     ..user
//! };
//! assert_eq!(adapter.build(&full).unwrap(), "https://example.org/users/Ann%20Lee#top");
//! let file = [("file", Value::from("css/a.css"))];
//! assert_eq!(adapter.build(&Build::new("static", &file)).unwrap(), "/static/css/a.css");
//! assert!(!adapter.test("/static/css/a.css", None));
//!
//! // What comes closest is part of the error.
//! let Err(BuildError::NoRule(error)) = adapter.build(&Build::new("users", &[])) else { panic!() };
//! assert_eq!(error.suggestion.unwrap().endpoint, "user");
//! # Ok::<(), bustapi_router::RuleError>(())
//! ```
//!
//! # Sharing
//!
//! [`Map::match_path`] takes `&self`, no lock, and for rules without text variables no memory.
//! Share the map as an `Arc`. To add rules while serving, clone it, add, and swap the `Arc`.
//!
//! ```
//! # use std::sync::Arc;
//! # use bustapi_router::{Bind, Map, Rule};
//! let mut map = Arc::new(Map::default());
//! let serving = map.bind_shared(&Bind::new("example.org")).unwrap();
//! Arc::make_mut(&mut map).add(Rule::new("/late"))?;
//! assert!(!serving.test("/late", None));
//! assert!(map.bind(&Bind::new("example.org")).unwrap().test("/late", None));
//! # Ok::<(), bustapi_router::RuleError>(())
//! ```
//!
//! # Hostile input
//!
//! The search visits each state of the map at most once for each path, and matching one segment
//! remembers its failures, so no path takes more than time linear in its length, times what the
//! map's own rules cost. A path of 64 KB takes milliseconds. Expressions given to a
//! [`PatternEngine`] are as slow as that engine.

#![forbid(unsafe_code)]

mod adapter;
mod building;
mod error;
mod ids;
mod map;
mod matching;
mod methods;
mod report;
mod rule;
mod text;
mod value;

pub use adapter::{MapAdapter, is_server_name};
pub use building::build_url::Build;
pub use building::site::Bind;
pub use error::{
    BindError, BuildError, ConversionError, MatchError, NoRule, RuleError, RuleErrorKind,
    SharedError, Suggestion, message_error,
};
pub use ids::{EndpointId, RuleId};
pub use map::map::Map;
pub use map::settings::{MapOptions, QuerySorter};
pub use matching::request::{Match, MatchRequest};
pub use methods::MethodSet;
pub use report::unreachable::{Unreachable, UnreachableCause};
pub use rule::builtin::builtin_converter;
pub use rule::converter::{Converter, ConverterArgs, ConverterFactory};
pub use rule::part_pattern::{CompiledPattern, PatternEngine};
pub use rule::rule::{BoundRule, RedirectFn, RedirectTo, Rule};
pub use text::quote::{decode_path, push_quoted_path, quote_path};
pub use value::{Object, Value, Values};

/// The examples of the README, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
