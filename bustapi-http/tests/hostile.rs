//! Hostile bodies cost time in proportion to their length.
//!
//! Each is given at once and byte by byte. A parser that looks again at what it has seen would
//! need minutes for these lengths; a linear one needs a moment, so no clock is looked at.

#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use bustapi_http::form::{FormDecoder, FormKind, FormLimits};
use bustapi_http::headers::{parse_list, parse_options};
use bustapi_http::media_type::{Accept, AcceptKind};
use bustapi_http::multipart::{Event, MAX_BOUNDARY, MultipartDecoder, MultipartLimits};

const LENGTH: usize = 200_000;

fn feed(boundary: &str, head: &str, unit: &str) {
    let body = format!("{head}{}", unit.repeat(LENGTH / unit.len()));
    for chunk in [1, body.len()] {
        let limits = MultipartLimits::default();
        let mut decoder = MultipartDecoder::new(boundary.as_bytes(), limits).unwrap();
        let mut events = 0_usize;
        'body: for piece in body.as_bytes().chunks(chunk) {
            decoder.receive(piece).unwrap();
            loop {
                match decoder.next_event() {
                    Ok(Event::NeedData) => break,
                    Ok(_) => events += 1,
                    // Malformed is an answer, too.
                    Err(_) => break 'body,
                }
            }
        }
        assert!(events <= body.len() + 2);
    }
}

#[test]
fn multipart_floods() {
    let head = "--b\r\nContent-Disposition: form-data; name=a; filename=f\r\n\r\n";
    for unit in [
        "\r", "\n", "\r\n", "\r\r\n", "-", "--b", "\r\n--b", "\r\n--bx", "\n--", "x\r\n-", " ",
        "--b ",
    ] {
        feed("b", "", unit);
        feed("b", head, unit);
        feed("b", &format!("{head}\r\n--b"), unit);
        feed("b", "--b\r\n", unit);
    }
}

#[test]
fn boundaries_that_overlap_themselves() {
    let dashes = "-".repeat(MAX_BOUNDARY);
    let almost = format!("\r\n--{}x", &dashes[1..]);
    let stutter = "a--".repeat(MAX_BOUNDARY / 3);
    for (boundary, unit) in [
        (&dashes, "-"),
        (&dashes, "\r\n-"),
        (&dashes, almost.as_str()),
        (&stutter, "a--"),
        (&stutter, "\r\n--a--a"),
    ] {
        feed(boundary, "", unit);
        let head = format!("--{boundary}\r\nContent-Disposition: x; name=a; filename=f\r\n\r\n");
        feed(boundary, &head, unit);
    }
}

#[test]
fn forms_of_separators() {
    for unit in ["&", "=", "a&", "%", "+", "%41"] {
        let body = unit.repeat(LENGTH / unit.len());
        for chunk in [1, body.len()] {
            let mut events = Vec::new();
            let limits = FormLimits::default();
            let mut decoder = FormDecoder::new(&FormKind::Urlencoded, limits).unwrap();
            for piece in body.as_bytes().chunks(chunk) {
                decoder.receive(piece, &mut events).unwrap();
            }
            decoder.finish(&mut events).unwrap();
            assert!(events.len() <= body.len() / 2);
        }
    }
}

#[test]
fn header_values() {
    for unit in [
        "\"",
        "\\",
        "\\\"",
        ",",
        ";",
        "a=",
        "a=\"",
        "a=\"\\\";",
        ";a=\"",
        "a*0=b;",
        "q=1;",
        "*=''",
    ] {
        let value = format!("x;{}", unit.repeat(LENGTH / 4 / unit.len()));
        let _ = parse_list(&value);
        assert_eq!(parse_options(&value).0, "x");
        let accept = Accept::parse(&value, AcceptKind::MediaType);
        assert!(accept.items().len() <= value.len());
        bustapi_http::cookie::parse_cookies(&value).for_each(drop);
        let _ = bustapi_http::conditional::ETags::parse(&value);
    }
}
