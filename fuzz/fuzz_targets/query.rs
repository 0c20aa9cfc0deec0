//! Any query is read without a panic, and what was read and is written again is read the same.

#![no_main]

use bustapi_http::query::{encode_query, parse_query, parse_query_bytes};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(pairs) = parse_query_bytes(data, None) else {
        assert!(std::str::from_utf8(data).is_err());
        return;
    };
    let query = encode_query(pairs.iter().map(|(name, value)| (&**name, &**value)));
    assert!(query.is_ascii());
    assert!(parse_query(&query).eq(pairs));
});
