//! Any header value is read without a panic, and what can be written again is read the same.

#![no_main]

use bustapi_http::conditional::{ETag, ETags, IfRange};
use bustapi_http::date::HttpDate;
use bustapi_http::headers::{dump_list, parse_dict, parse_list, parse_options, parse_plain_int};
use bustapi_http::media_type::{Accept, AcceptKind};
use bustapi_http::range::{ContentRange, Range};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let items = parse_list(text);
    let again = dump_list(items.iter().map(AsRef::as_ref));
    // Quotes are kept where they are not around the whole of an item, and then escaped.
    if !items.iter().any(|item| item.is_empty()) {
        assert_eq!(parse_list(&again), items);
    }
    let _ = parse_dict(text);
    let _ = parse_plain_int(text);

    let (value, options) = parse_options(text);
    assert!(text.contains(value));
    assert_eq!(options.iter().count(), options.len());
    for (name, value) in options.iter() {
        assert_eq!(options.get(name), Some(value));
        assert_eq!(name, name.to_ascii_lowercase());
    }

    for kind in [
        AcceptKind::Word,
        AcceptKind::Language,
        AcceptKind::MediaType,
    ] {
        let accept = Accept::parse(text, kind);
        assert!(
            accept
                .items()
                .iter()
                .all(|item| (0.0..=1.0).contains(&item.quality))
        );
        let best = accept.best_match(["text/html", "a/b;c=d"]);
        assert!(best.is_ok());
    }

    let _ = ETags::parse(text);
    let _ = ETag::parse(text);
    let _ = IfRange::parse(text);
    let _ = ContentRange::parse(text);
    if let Some(range) = Range::parse(text) {
        if let Some(span) = range.resolve(1000) {
            assert!(span.start < span.end && span.end <= 1000);
        }
        assert_eq!(Range::parse(&range.to_string()), Some(range));
    }
    if let Some(date) = HttpDate::parse(text) {
        assert_eq!(HttpDate::parse(&date.to_string()), Some(date));
    }
});
