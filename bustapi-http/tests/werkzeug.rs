//! The same answers as Werkzeug 3.1.9, to the inputs recorded in `vectors/werkzeug.json` (see
//! `vectors/record.py` there for how). Forms and multipart bodies are given in chunks of several
//! sizes, which must not matter.

#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use bustapi_http::conditional::{Conditions, ETag, ETags, Outcome, Validators, decide};
use bustapi_http::cookie::{Expires, SetCookie, parse_cookies};
use bustapi_http::date::HttpDate;
use bustapi_http::form::{FormDecoder, FormEvent, FormKind, FormLimits};
use bustapi_http::media_type::{Accept, AcceptKind, with_charset};
use bustapi_http::multipart::{Event, MultipartDecoder, MultipartLimits};
use bustapi_http::query::{encode_query, parse_query, percent_decode_lossy, percent_encode};
use bustapi_http::range::{ContentRange, Range};
use bustapi_http::{HttpError, headers};
use serde_json::{Value, json};

/// Sizes of chunks, the last beyond any body here.
const CHUNKS: [usize; 5] = [1, 2, 3, 7, 100_000];

#[track_caller]
fn compare(name: &str, answer: impl Fn(&Value) -> Value) {
    let vectors: Value = serde_json::from_str(include_str!("vectors/werkzeug.json")).unwrap();
    let cases = vectors[name].as_array().unwrap();
    assert!(cases.len() > 20, "{name} has {} vectors", cases.len());
    for case in cases {
        assert_eq!(answer(&case[0]), case[1], "{name} of {}", case[0]);
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn bytes(value: &Value) -> Vec<u8> {
    let chars = text(value).chars();
    chars.map(|c| u8::try_from(c).unwrap()).collect()
}

fn latin1(bytes: &[u8]) -> Value {
    json!(headers::latin1(bytes))
}

fn size(value: &Value) -> Option<usize> {
    value
        .as_u64()
        .map(|number| usize::try_from(number).unwrap())
}

#[test]
fn queries() {
    compare("query", |input| {
        json!(parse_query(text(input)).collect::<Vec<_>>())
    });
    compare("encode_query", |input| {
        let pairs = input.as_array().unwrap();
        json!(encode_query(
            pairs.iter().map(|pair| (text(&pair[0]), text(&pair[1])))
        ))
    });
    compare("unquote", |input| json!(percent_decode_lossy(text(input))));
    compare("quote", |input| {
        json!(percent_encode(text(&input[0]), text(&input[1])))
    });
}

#[test]
fn cookies() {
    compare("cookie", |input| {
        json!(parse_cookies(text(input)).collect::<Vec<_>>())
    });
    compare("dump_cookie", |input| {
        let flag = |name: &str| input[name].as_bool().unwrap();
        let mut cookie = SetCookie::new(text(&input["key"]), text(&input["value"]));
        match input["samesite"].as_str().map(str::parse).transpose() {
            Ok(site) => cookie.same_site = site,
            Err(_) => return Value::Null,
        }
        cookie.max_age = input["max_age"].as_i64();
        let expires = input["expires"].as_i64().map(HttpDate::from_unix);
        cookie.expires = expires.map(Expires::At);
        cookie.sync_expires = false;
        cookie.path = input["path"].as_str();
        cookie.domain = input["domain"].as_str();
        cookie.secure = flag("secure");
        cookie.http_only = flag("httponly");
        cookie.partitioned = flag("partitioned");
        json!(cookie.to_header(HttpDate::from_unix(0)).ok())
    });
}

#[test]
fn header_values() {
    compare("list", |input| json!(headers::parse_list(text(input))));
    compare("dict", |input| {
        let parsed = headers::parse_dict(text(input));
        json!(parsed.iter().collect::<Vec<_>>())
    });
    compare("options", |input| {
        let (value, options) = headers::parse_options(text(input));
        json!([value, options.iter().collect::<Vec<_>>()])
    });
    compare("content_length", |input| {
        json!(headers::content_length(
            input[0].as_str(),
            input[1].as_str()
        ))
    });
}

#[test]
fn dates_and_files() {
    compare("date", |input| {
        json!(HttpDate::parse(text(input)).map(HttpDate::unix))
    });
    compare("file", |input| {
        let seconds = input[0].as_i64().unwrap();
        let nanos = u32::try_from(input[1].as_u64().unwrap()).unwrap();
        let etag = ETag::of_file("/srv/é.css", seconds, nanos, 1234);
        json!([
            HttpDate::from_file_time(seconds, nanos).to_string(),
            etag.to_string()
        ])
    });
}

#[test]
fn ranges() {
    compare("range", |input| {
        let Some(range) = Range::parse(text(&input[0])) else {
            return Value::Null;
        };
        let span = range.resolve(input[1].as_u64().unwrap());
        json!([range.to_string(), span.map(|span| [span.start, span.end])])
    });
    compare("content_range", |input| {
        let parsed = ContentRange::parse(text(input));
        json!(parsed.map(|range| {
            let span = range.span.map(|span| [span.start, span.end]);
            json!([range.units, span, range.length])
        }))
    });
}

#[test]
fn conditions() {
    compare("etags", |input| {
        let (tags, tag) = (ETags::parse(text(&input[0])), text(&input[1]));
        json!([
            !tags.is_empty(),
            tags.is_star(),
            tags.contains(tag),
            tags.contains_weak(tag)
        ])
    });
    compare("conditional", |input| {
        let field = |name: &str| input[name].as_str();
        let conditions = Conditions {
            if_match: field("if_match"),
            if_none_match: field("if_none_match"),
            if_modified_since: field("if_modified_since"),
            if_range: field("if_range"),
            range: field("range"),
        };
        let etag = field("etag").map(ETag::parse);
        let validators = Validators {
            etag: etag.as_ref(),
            last_modified: field("last_modified").and_then(HttpDate::parse),
        };
        let length = input["length"].as_u64();
        match decide(&conditions, validators, length) {
            Ok(Outcome::Full) => json!([200, null]),
            Ok(Outcome::Partial(span)) => {
                json!([206, span.content_range(length.unwrap()).to_string()])
            }
            Ok(Outcome::NotModified) => json!([304, null]),
            Ok(Outcome::PreconditionFailed) => json!([412, null]),
            Err(error) => json!([error.status_hint().as_u16(), null]),
        }
    });
}

#[test]
fn media_types() {
    let vectors: Value = serde_json::from_str(include_str!("vectors/werkzeug.json")).unwrap();
    for case in vectors["charset"].as_array().unwrap() {
        assert_eq!(json!(with_charset(text(&case[0]))), case[1], "{}", case[0]);
    }
    compare("accept", |input| {
        let kind = match text(&input[0]) {
            "media" => AcceptKind::MediaType,
            "language" => AcceptKind::Language,
            _ => AcceptKind::Word,
        };
        let accept = Accept::parse(text(&input[1]), kind);
        let items = accept.items().iter();
        let items: Vec<_> = items
            .map(|item| json!([item.value, item.quality]))
            .collect();
        let offers = input[2].as_array().unwrap();
        let best = accept.best_match(offers.iter().map(text)).unwrap();
        // Python writes a quality that no item states as the integer 1.
        let items: Value =
            serde_json::from_str(&json!(items).to_string().replace(",1.0]", ",1]")).unwrap();
        json!([items, best])
    });
}

fn describe(event: &Event) -> Value {
    match event {
        Event::Preamble(data) => json!(["preamble", latin1(data)]),
        Event::Field { name, headers } => {
            json!(["field", name, headers.iter().collect::<Vec<_>>()])
        }
        Event::File {
            name,
            filename,
            headers,
        } => json!(["file", name, filename, headers.iter().collect::<Vec<_>>()]),
        Event::Data { data, more } => json!(["data", latin1(data), more]),
        Event::Epilogue(data) => json!(["epilogue", latin1(data)]),
        Event::NeedData => json!(["need data"]),
    }
}

/// Decodes `body`, and appends events to `events`, joining pieces of content.
fn decode(
    body: &[u8],
    chunk: usize,
    max_parts: Option<usize>,
    events: &mut Vec<Value>,
) -> Result<(), HttpError> {
    let limits = MultipartLimits {
        max_buffered: None,
        max_parts,
    };
    let mut decoder = MultipartDecoder::new(b"b", limits)?;
    for piece in body.chunks(chunk).map(Some).chain([None]) {
        match piece {
            Some(piece) => decoder.receive(piece)?,
            None => decoder.finish(),
        }
        loop {
            let event = decoder.next_event()?;
            if event == Event::NeedData {
                break;
            }
            let mut new = describe(&event);
            if new[0] == "data"
                && let Some(last) = events.pop_if(|last| last[0] == "data" && last[2] == true)
            {
                new[1] = json!(format!("{}{}", text(&last[1]), text(&new[1])));
            }
            events.push(new);
            if matches!(event, Event::Epilogue(_)) {
                return Ok(());
            }
        }
    }
    Ok(())
}

#[test]
fn multipart_bodies() {
    for chunk in CHUNKS {
        compare("multipart", |input| {
            let mut events = Vec::new();
            let done = decode(&bytes(&input[0]), chunk, size(&input[1]), &mut events);
            if let Err(error) = done {
                events.pop_if(|last| last[0] == "data" && last[2] == true);
                events.push(json!(["error", error.status_hint().as_u16()]));
            }
            json!(events)
        });
    }
}

fn read_form(input: &Value, chunk: usize) -> Result<Value, HttpError> {
    let body = bytes(&input[1]);
    let limits = FormLimits {
        max_memory: size(&input[2]),
        max_parts: size(&input[3]),
    };
    let kind = FormKind::of(text(&input[0])).unwrap();
    let mut decoder = FormDecoder::new(&kind, limits)?;
    let mut events = Vec::new();
    for piece in body.chunks(chunk) {
        decoder.receive(piece, &mut events)?;
    }
    decoder.finish(&mut events)?;

    let mut fields = Vec::new();
    let mut files: Vec<(Option<String>, String, Vec<u8>)> = Vec::new();
    for event in events {
        match event {
            FormEvent::Field { name, value } => fields.push((name, value)),
            FormEvent::FileStart { name, filename, .. } => files.push((name, filename, vec![])),
            FormEvent::FileData(data) => files.last_mut().unwrap().2.extend_from_slice(&data),
            FormEvent::FileEnd => {}
        }
    }
    let files = files.into_iter();
    let files: Vec<_> = files
        .map(|(name, file, data)| json!([name, file, latin1(&data)]))
        .collect();
    Ok(json!([fields, files]))
}

#[test]
fn forms() {
    for chunk in CHUNKS {
        compare("form", |input| match read_form(input, chunk) {
            Ok(form) => form,
            Err(error) if error.status_hint() == 413 => json!(413),
            // Flask passes over malformed forms in silence.
            Err(_) => json!([[], []]),
        });
    }
}
