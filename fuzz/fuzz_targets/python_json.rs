//! Any string and any number is written in printable ASCII, and read back as it was.

#![no_main]

use bustapi_http::python_json::{push_float, push_int, push_string};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&str, f64, i64)| {
    let (text, float, int) = input;
    let mut out = Vec::new();
    push_string(&mut out, text);
    assert!(out.iter().all(|byte| (b' '..=b'~').contains(byte)));
    let read: String = serde_json::from_slice(&out).expect("what is written is JSON");
    assert_eq!(read, text);
    out.clear();
    push_float(&mut out, float);
    if float.is_finite() {
        let written = std::str::from_utf8(&out).expect("numbers are ASCII");
        let read: f64 = written.parse().expect("what is written is a number");
        assert_eq!(read.to_bits(), float.to_bits());
    }
    out.clear();
    push_int(&mut out, int);
    assert_eq!(out, int.to_string().as_bytes());
});
