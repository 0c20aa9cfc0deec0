//! The cookie of Flask's sessions: its settings, when it is set again, and its `Set-Cookie`.
//!
//! What is in the cookie is signed text ([`signed_cookie`](crate::signed_cookie)); what the
//! session holds is Python's. Between the two are the rules of `SESSION_COOKIE_*`,
//! `PERMANENT_SESSION_LIFETIME` and `SESSION_REFRESH_EACH_REQUEST`, as
//! `SecureCookieSessionInterface` has them.

use crate::cookie::{Expires, SameSite, SetCookie};
use crate::date::HttpDate;

/// Microseconds of a second: Python's `timedelta` is that precise.
pub const MICROSECONDS: u64 = 1_000_000;

/// The settings of an application's session cookie.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "they are the attributes of the cookie"
)]
pub struct SessionCookie {
    /// `SESSION_COOKIE_NAME`
    pub name: String,
    /// `SESSION_COOKIE_DOMAIN`
    pub domain: Option<String>,
    /// `SESSION_COOKIE_PATH`, or else `APPLICATION_ROOT`.
    pub path: String,
    /// `SESSION_COOKIE_HTTPONLY`
    pub http_only: bool,
    /// `SESSION_COOKIE_SECURE`
    pub secure: bool,
    /// `SESSION_COOKIE_SAMESITE`
    pub same_site: Option<SameSite>,
    /// `SESSION_COOKIE_PARTITIONED`
    pub partitioned: bool,
    /// `SESSION_REFRESH_EACH_REQUEST`
    pub refreshes: bool,
    /// `PERMANENT_SESSION_LIFETIME` in microseconds.
    pub lifetime: u64,
    /// `MAX_COOKIE_SIZE` in bytes; a longer cookie is warned of, and 0 is no limit.
    pub max_size: usize,
}

impl SessionCookie {
    /// Whether the cookie's name is there, and is the same in all encodings. Any other name is
    /// Python's to write and to find.
    #[must_use]
    pub fn has_plain_name(&self) -> bool {
        !self.name.is_empty() && self.name.is_ascii()
    }

    /// How old a signature may be, in seconds.
    #[must_use]
    pub fn max_age(&self) -> u64 {
        self.lifetime / MICROSECONDS
    }

    /// Whether a session that is not empty has its cookie set: one that was changed, and a
    /// permanent one each time, so that its end moves on.
    #[must_use]
    pub fn is_due(&self, modified: bool, permanent: bool) -> bool {
        modified || (permanent && self.refreshes)
    }

    /// The `Set-Cookie` of a session that was signed to `value`; `now` is in microseconds since
    /// 1970. Only the cookie of a permanent session outlives the browser.
    ///
    /// `None` for what Python refuses or warns of, which is its to tell: a name or domain that
    /// cannot be sent, a date that no calendar has, a cookie beyond the size.
    ///
    /// ```
    /// use bustapi_http::session_cookie::SessionCookie;
    ///
    /// let cookie = SessionCookie {
    ///     name: "session".to_owned(),
    ///     domain: None,
    ///     path: "/".to_owned(),
    ///     http_only: true,
    ///     secure: false,
    ///     same_site: None,
    ///     partitioned: false,
    ///     refreshes: true,
    ///     lifetime: 60_000_000,
    ///     max_size: 4093,
    /// };
    /// assert_eq!(
    ///     cookie.set_cookie("e30.x.y", true, 0).as_deref(),
    ///     Some("session=e30.x.y; Expires=Thu, 01 Jan 1970 00:01:00 GMT; HttpOnly; Path=/"),
    /// );
    /// ```
    #[must_use]
    pub fn set_cookie(&self, value: &str, permanent: bool, now: u64) -> Option<String> {
        if !self.has_plain_name() {
            return None;
        }
        let expires = if permanent {
            let end = now.saturating_add(self.lifetime) / MICROSECONDS;
            Some(Expires::At(HttpDate::from_unix(i64::try_from(end).ok()?)))
        } else {
            None
        };
        let cookie = SetCookie {
            expires,
            path: Some(&self.path),
            domain: self.domain.as_deref(),
            secure: self.secure,
            http_only: self.http_only,
            same_site: self.same_site,
            partitioned: self.partitioned,
            ..SetCookie::new(&self.name, value)
        };
        let header = cookie.to_header(HttpDate::from_unix(0)).ok()?;
        let fits = self.max_size == 0 || header.len() <= self.max_size;
        // Path and domain may hold anything: what would end the field is Python's to refuse.
        let can_be_sent = header.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        (fits && can_be_sent).then_some(header)
    }
}

/// A `timedelta` in microseconds; `None` for a negative one, and for one beyond 584,000 years.
#[must_use]
pub fn lifetime(days: i64, seconds: i64, microseconds: i64) -> Option<u64> {
    let seconds = days.checked_mul(86_400)?.checked_add(seconds)?;
    let whole = i128::from(seconds) * i128::from(MICROSECONDS) + i128::from(microseconds);
    u64::try_from(whole).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::cookie::parse_cookies;
    use crate::headers::{header_name, header_value};

    fn cookie() -> SessionCookie {
        SessionCookie {
            name: "session".to_owned(),
            domain: None,
            path: "/".to_owned(),
            http_only: true,
            secure: false,
            same_site: None,
            partitioned: false,
            refreshes: true,
            lifetime: 31 * 86_400 * MICROSECONDS,
            max_size: 4093,
        }
    }

    #[test]
    fn a_session_of_the_browser_has_no_end() {
        let header = cookie().set_cookie("v", false, 1_000 * MICROSECONDS);
        assert_eq!(header.as_deref(), Some("session=v; HttpOnly; Path=/"));
    }

    #[test]
    fn all_attributes() {
        let cookie = SessionCookie {
            domain: Some("example.org".to_owned()),
            path: "/app".to_owned(),
            secure: true,
            same_site: Some(SameSite::Lax),
            partitioned: true,
            ..cookie()
        };
        let header = cookie.set_cookie("v", true, 999_999).unwrap();
        for part in [
            "session=v",
            "Domain=example.org",
            "Expires=Sun, 01 Feb 1970 00:00:00 GMT",
            "Secure",
            "HttpOnly",
            "Path=/app",
            "SameSite=Lax",
            "Partitioned",
        ] {
            assert!(
                header.split("; ").any(|found| found == part),
                "{part} in {header}"
            );
        }
    }

    #[test]
    fn what_python_warns_of_or_refuses_is_left_to_it() {
        let long = "v".repeat(5000);
        assert_eq!(cookie().set_cookie(&long, false, 0), None);
        let unlimited = SessionCookie {
            max_size: 0,
            ..cookie()
        };
        assert!(unlimited.set_cookie(&long, false, 0).is_some());
        let exact = "session=v; HttpOnly; Path=/".len();
        for (max_size, fits) in [(exact, true), (exact - 1, false)] {
            let cookie = SessionCookie {
                max_size,
                ..cookie()
            };
            assert_eq!(cookie.set_cookie("v", false, 0).is_some(), fits);
        }
    }

    #[test]
    fn what_cannot_be_sent_is_left_to_python() {
        for name in ["", "s\u{e9}ssion", "\u{20ac}", "a\r\nb"] {
            let cookie = SessionCookie {
                name: name.to_owned(),
                ..cookie()
            };
            assert_eq!(cookie.set_cookie("v", false, 0), None, "{name:?}");
        }
        for domain in ["a\r\nSet-Cookie: b", "a\0", "\u{1}\u{b}"] {
            let cookie = SessionCookie {
                domain: Some(domain.to_owned()),
                ..cookie()
            };
            assert_eq!(cookie.set_cookie("v", false, 0), None, "{domain:?}");
        }
    }

    #[test]
    fn only_permanent_sessions_are_set_again() {
        let still = SessionCookie {
            refreshes: false,
            ..cookie()
        };
        for (modified, permanent, refreshing, otherwise) in [
            (false, false, false, false),
            (true, false, true, true),
            (false, true, true, false),
            (true, true, true, true),
        ] {
            assert_eq!(cookie().is_due(modified, permanent), refreshing);
            assert_eq!(still.is_due(modified, permanent), otherwise);
        }
    }

    #[test]
    fn lifetimes() {
        assert_eq!(lifetime(0, 0, 0), Some(0));
        assert_eq!(lifetime(31, 0, 0), Some(cookie().lifetime));
        // As Python normalises a negative one.
        assert_eq!(lifetime(-1, 86_399, 999_999), None);
        assert_eq!(lifetime(1, 1, 1), Some(86_401_000_001));
        assert_eq!(lifetime(i64::MAX, 0, 0), None);
        assert_eq!(lifetime(999_999_999, 86_399, 999_999), None);
        assert_eq!(cookie().max_age(), 31 * 86_400);
    }

    proptest! {
        #[test]
        fn what_is_set_can_be_sent_and_is_read_back(
            name in "[a-z!#-]{1,8}|.*",
            domain in prop::option::of(any::<String>()),
            value in any::<String>(),
            path in any::<String>(),
            permanent in any::<bool>(),
            now in any::<u64>(),
            lifetime in any::<u64>(),
        ) {
            let cookie = SessionCookie { name, domain, path, lifetime, max_size: 0, ..cookie() };
            if let Some(header) = cookie.set_cookie(&value, permanent, now) {
                prop_assert!(header_value("set-cookie", &header).is_ok());
                // Other names than tokens are written, as Flask does, and not read.
                if header_name(&cookie.name).is_ok() {
                    let first = parse_cookies(&header).next();
                    prop_assert_eq!(first, Some((cookie.name.as_str(), value.as_str().into())));
                }
                prop_assert_eq!(header.contains("; Expires="), permanent);
            }
        }
    }
}
