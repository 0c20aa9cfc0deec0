//! Any `Cookie` header is read without a panic, and any value written is read back.

#![no_main]

use bustapi_http::cookie::{SetCookie, parse_cookies};
use bustapi_http::date::HttpDate;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    for (name, _) in parse_cookies(text) {
        assert!(!name.is_empty() && !name.contains(['=', ';']));
    }
    let header = SetCookie::new("name", text)
        .to_header(HttpDate::from_unix(0))
        .expect("the name is plain, and there is no domain");
    let first = parse_cookies(&header).next();
    assert_eq!(first, Some(("name", text.into())));
});
