//! No name and no value that an application sets can end its field, and what is sent is the value.

#![no_main]

use bustapi_http::headers::{header_name, header_value};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&str, &str)| {
    let (name, value) = input;
    if let Ok(taken) = header_name(name) {
        assert!(taken.as_str().eq_ignore_ascii_case(name));
        assert!(
            name.bytes()
                .all(|byte| byte.is_ascii_graphic() && byte != b':')
        );
    }
    if let Ok(taken) = header_value(name, value) {
        let bytes = taken.as_bytes();
        assert!(bytes.iter().all(|byte| !matches!(byte, b'\r' | b'\n' | 0)));
        let text: String = bytes.iter().map(|byte| char::from(*byte)).collect();
        assert_eq!(text, value.trim_matches([' ', '\t']));
    }
});
