//! Rules that cannot be added, and converters of the application's own.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bustapi_router::{
    CompiledPattern, ConversionError, Converter, Map, MatchError, MatchRequest, PatternEngine,
    Rule, RuleErrorKind, SharedError, Value, message_error,
};

#[test]
fn malformed_rules_name_position_and_cause() {
    let mut map = Map::default();
    for (rule, position, message) in [
        ("x", 0, "missing leading slash in URL rule `x` at byte 0"),
        (
            "/a/<b",
            3,
            "malformed variable in URL rule `/a/<b` at byte 3",
        ),
        (
            "/a//<b",
            4,
            "malformed variable in URL rule `/a//<b` at byte 4",
        ),
        (
            "/<nope:x>",
            1,
            "the converter `nope` does not exist in URL rule `/<nope:x>` at byte 1",
        ),
        (
            "/<x>/<x>",
            5,
            "the variable `x` is used twice in URL rule `/<x>/<x>` at byte 5",
        ),
    ] {
        let error = map.add(Rule::new(rule)).unwrap_err();
        assert_eq!(error.position, position, "{rule}");
        assert_eq!(error.to_string(), message);
    }
    let kind = |map: &mut Map, rule: Rule| map.add(rule).unwrap_err().kind;
    assert!(matches!(
        kind(&mut map, Rule::new("/<int(min=-5):x>")),
        RuleErrorKind::BadArgument(_)
    ));
    assert!(matches!(
        kind(&mut map, Rule::new("/<int(size=5):x>")),
        RuleErrorKind::ConverterArguments { .. }
    ));
    assert!(matches!(
        kind(&mut map, Rule::new("/<int:x>").default("x", "y")),
        RuleErrorKind::Default { .. }
    ));
    assert!(matches!(
        kind(&mut map, Rule::new("/").websocket(true).methods(["POST"])),
        RuleErrorKind::WebsocketMethods
    ));
    let error = map.add(Rule::new("/").subdomain("a.<")).unwrap_err();
    assert_eq!((error.rule.as_str(), error.position), ("a.<", 2));
    assert!(map.is_empty());
}

/// A converter by its expression.
#[derive(Debug)]
struct Text(&'static str);

impl Converter for Text {
    fn regex(&self) -> &str {
        self.0
    }
}

fn with_converter(regex: &'static str) -> Map {
    let mut map = Map::default();
    map.register_converter("own", Arc::new(move |_| Ok(Arc::new(Text(regex)))));
    map
}

#[test]
fn expressions_beyond_the_own_matcher_use_the_regex_crate() {
    let mut map = with_converter(r"(?:\w{2}-)+x|y");
    map.add(Rule::new("/p<own:v>.<own:w>")).unwrap();
    let found = map
        .match_path(&MatchRequest::new("GET", "/pab-cd-x.y"))
        .unwrap();
    assert_eq!(
        found.values.to_vec(),
        [Value::from("ab-cd-x"), Value::from("y")]
    );
}

#[test]
fn expressions_with_a_slash_take_the_rest() {
    let mut map = with_converter("[a-z]+/[0-9]+");
    map.add(Rule::new("/<own:v>/end")).unwrap();
    let found = map
        .match_path(&MatchRequest::new("GET", "/ab/12/end"))
        .unwrap();
    assert_eq!(found.values[0], Value::from("ab/12"));
}

/// Knows one expression: letters that do not begin with an x.
#[derive(Debug)]
struct LookAhead;

impl PatternEngine for LookAhead {
    fn compile(&self, expression: &str) -> Result<Arc<dyn CompiledPattern>, SharedError> {
        if expression == r"(?P<__werkzeug_0>(?!x)[a-z]+)\.txt\Z" {
            Ok(Arc::new(Self))
        } else {
            Err(message_error(format!("unexpected `{expression}`")))
        }
    }
}

impl CompiledPattern for LookAhead {
    #[expect(clippy::single_range_in_vec_init, reason = "one group has one range")]
    fn captures(&self, text: &str) -> Option<Vec<Range<usize>>> {
        let stem = text.strip_suffix(".txt")?;
        let letters = !stem.is_empty() && stem.bytes().all(|byte| byte.is_ascii_lowercase());
        (letters && !stem.starts_with('x')).then(|| vec![0..stem.len()])
    }
}

#[test]
fn other_expressions_go_to_the_engine() {
    let mut map = with_converter("(?!x)[a-z]+");
    let refused = map.add(Rule::new("/<own:v>.txt")).unwrap_err();
    assert!(matches!(refused.kind, RuleErrorKind::Regex { .. }));
    map.set_engine(Arc::new(LookAhead));
    map.add(Rule::new("/<own:v>.txt")).unwrap();
    let found = map
        .match_path(&MatchRequest::new("GET", "/ab.txt"))
        .unwrap();
    assert_eq!(found.values[0], Value::from("ab"));
    let refused = map.match_path(&MatchRequest::new("GET", "/xb.txt"));
    assert!(matches!(refused, Err(MatchError::NotFound)));
}

/// Rejects 13, and fails for 14.
#[derive(Debug)]
struct Unlucky;

impl Converter for Unlucky {
    fn regex(&self) -> &'static str {
        r"\d+"
    }

    fn to_value(&self, text: &str) -> Result<Value, ConversionError> {
        match text {
            "13" => Err(ConversionError::Rejected),
            "14" => Err(ConversionError::failed("no")),
            other => Ok(Value::from(other)),
        }
    }
}

#[test]
fn converters_reject_or_fail() {
    let mut map = Map::default();
    map.add(
        Rule::new("/<n>")
            .methods(["GET"])
            .converter("n", Arc::new(Unlucky)),
    )
    .unwrap();
    map.add(Rule::new("/<int:m>").methods(["POST"])).unwrap();
    let with = |path| map.match_path(&MatchRequest::new("GET", path));
    assert_eq!(with("/1").unwrap().values[0], Value::from("1"));
    // The rule for POST had been met on the way, so its methods are reported.
    assert!(matches!(
        with("/13"),
        Err(MatchError::MethodNotAllowed { .. })
    ));
    assert!(matches!(with("/14"), Err(MatchError::Failed { .. })));
}

/// Counts its calls.
#[derive(Debug, Default)]
struct Counted(AtomicUsize);

impl Converter for Counted {
    fn to_value(&self, text: &str) -> Result<Value, ConversionError> {
        self.0.fetch_add(1, Ordering::Relaxed);
        if text == "no" {
            return Err(ConversionError::Rejected);
        }
        Ok(Value::from(text))
    }
}

#[test]
fn converters_are_called_once_and_only_after_the_rest_matched() {
    let counted = Arc::new(Counted::default());
    let mut map = Map::default();
    let rule = Rule::new("/<a>/<int:b>").methods(["GET"]);
    map.add(rule.converter("a", Arc::clone(&counted) as Arc<dyn Converter>))
        .unwrap();
    for (method, path, calls) in [
        ("GET", "/x/7", 1),
        ("GET", "/no/7", 1),
        ("GET", "/x/y", 0),
        ("POST", "/x/7", 0),
        ("GET", "/x/7/", 0),
    ] {
        let before = counted.0.load(Ordering::Relaxed);
        let _ = map.match_path(&MatchRequest::new(method, path));
        let after = counted.0.load(Ordering::Relaxed);
        assert_eq!(after - before, calls, "{method} {path}");
    }
}

#[test]
fn of_two_equal_rules_the_first_decides_whatever_it_adds() {
    let mut map = Map::default();
    let first = map.add(Rule::new("/<x>").default("extra", 1)).unwrap();
    map.add(Rule::new("/<x>")).unwrap();
    let second = map.add(Rule::new("/<x>/<y>").methods(["GET"])).unwrap();
    let other = map.add(Rule::new("/<x>/<y>").methods(["POST"])).unwrap();
    let found = |method, path| map.match_path(&MatchRequest::new(method, path)).unwrap();
    assert_eq!(found("GET", "/a").rule, first);
    assert_eq!(found("GET", "/a").values.len(), 2);
    assert_eq!(found("GET", "/a/b").rule, second);
    assert_eq!(found("POST", "/a/b").rule, other);
}

#[test]
fn values_have_names() {
    let mut map = Map::default();
    let rule = Rule::new("/<b>/<a>")
        .subdomain("<c>")
        .default("d", 1)
        .default("a", "x");
    let id = map.add(rule).unwrap();
    let rule = map.rule(id);
    let names: Vec<&str> = rule.value_names().iter().map(|name| &**name).collect();
    assert_eq!(names, ["c", "b", "a", "d"]);
    assert!(rule.has_argument("d") && !rule.has_argument("e"));
    assert!(map.is_endpoint_expecting("", &["a", "d"]));
    let request = MatchRequest {
        subdomain: Some("s"),
        ..MatchRequest::new("GET", "/1/2")
    };
    let found = map.match_path(&request).unwrap();
    let expected = [
        Value::from("s"),
        Value::from("1"),
        Value::from("x"),
        Value::from(1),
    ];
    assert_eq!(found.values.to_vec(), expected);
}
