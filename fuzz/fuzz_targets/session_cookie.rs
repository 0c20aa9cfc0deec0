//! Whatever the settings, a session's cookie can be sent, and the value is read back.

#![no_main]

use bustapi_http::cookie::parse_cookies;
use bustapi_http::headers::{header_name, header_value};
use bustapi_http::session_cookie::SessionCookie;
use libfuzzer_sys::fuzz_target;

fuzz_target!(
    |input: (&str, &str, Option<&str>, &str, [u64; 2], [bool; 4])| {
        let (
            name,
            path,
            domain,
            value,
            [lifetime, now],
            [http_only, secure, partitioned, permanent],
        ) = input;
        let cookie = SessionCookie {
            name: name.to_owned(),
            domain: domain.map(str::to_owned),
            path: path.to_owned(),
            http_only,
            secure,
            same_site: None,
            partitioned,
            refreshes: true,
            lifetime,
            max_size: 0,
        };
        if let Some(header) = cookie.set_cookie(value, permanent, now) {
            header_value("set-cookie", &header).expect("what is written can be sent");
            // Other names than tokens are written, as Flask does, and not read.
            if header_name(name).is_ok() {
                let first = parse_cookies(&header).next();
                assert_eq!(first, Some((name, value.into())));
            }
        }
    }
);
