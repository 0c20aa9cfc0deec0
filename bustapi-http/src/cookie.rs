//! Cookies: reading `Cookie`, writing `Set-Cookie`, as Werkzeug 3.1 does both.
//!
//! Browsers send bytes and servers read them as UTF-8. A value in double quotes has its escapes
//! undone: `\` and three octal digits is a byte, `\` and anything else is that character. Order
//! and repeats are kept: the first cookie of a name is the most specific one (RFC 6265 section
//! 5.4). A cookie without `=` has an empty value. One with a space, a tab or a double quote within
//! its name or its unquoted value is skipped, up to the next `;`.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::iter::FusedIterator;
use std::str::FromStr;

use crate::date::HttpDate;
use crate::error::HttpError;
use crate::headers::BLANKS;
use crate::query::percent_encode;

/// The longest `Set-Cookie` value, in bytes, that all browsers keep (4096 with some slack, as
/// Werkzeug counts); a longer one may vanish without a word.
pub const MAX_COOKIE_SIZE: usize = 4093;

/// What a cookie's path may hold without percent-encoding (WHATWG URL path characters, and `%`
/// for what is encoded already; `;` would end the attribute).
const PATH_SAFE: &str = "%!$&'()*+,/:=@";

/// The cookies of a `Cookie` header, in order.
#[derive(Debug, Clone)]
pub struct Cookies<'a> {
    rest: &'a str,
}

/// The length of the quoted string at the start of `text`, which begins with a quote; `None` if
/// it never ends, or escapes a line break.
fn quoted_len(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = 1;
    loop {
        at += memchr::memchr2(b'"', b'\\', bytes.get(at..)?)?;
        if bytes[at] == b'"' {
            return Some(at + 1);
        }
        if *bytes.get(at + 1)? == b'\n' {
            return None;
        }
        // The escaped character may be longer than a byte; its further bytes are neither a quote
        // nor a backslash.
        at += 2;
    }
}

/// The cookie at the start of `text`, its value still quoted, and its length with the `;` after
/// it; `None` if it is malformed.
fn split_cookie(text: &str) -> Option<(&str, &str, usize)> {
    let name_at = text.trim_start_matches(BLANKS);
    let name_len = memchr::memchr3(b'=', b';', b'"', name_at.as_bytes()).unwrap_or(name_at.len());
    let name = name_at[..name_len].trim_end_matches(BLANKS);
    if name.is_empty() || name.contains(BLANKS) {
        return None;
    }
    let mut after = &name_at[name_len..];
    let mut value = "";
    if let Some(text) = after.strip_prefix('=') {
        let text = text.trim_start_matches(BLANKS);
        let len = if text.starts_with('"') {
            quoted_len(text)?
        } else {
            text.find([' ', '\t', '"', ';']).unwrap_or(text.len())
        };
        (value, after) = text.split_at(len);
        after = after.trim_start_matches(BLANKS);
    }
    let after = match after.strip_prefix(';') {
        Some(after) => after,
        None if after.is_empty() => after,
        None => return None,
    };
    Some((name, value, text.len() - after.len()))
}

/// Undoes the escapes of the inside of a quoted value.
fn unescape(inner: &str) -> Cow<'_, str> {
    let Some(first) = inner.find('\\') else {
        return Cow::Borrowed(inner);
    };
    let mut out = inner.as_bytes()[..first].to_vec();
    let mut rest = &inner.as_bytes()[first..];
    loop {
        match rest {
            [
                b'\\',
                high @ b'0'..=b'3',
                mid @ b'0'..=b'7',
                low @ b'0'..=b'7',
                tail @ ..,
            ] => {
                out.push((high - b'0') << 6 | (mid - b'0') << 3 | (low - b'0'));
                rest = tail;
            }
            // A line break cannot be escaped.
            [b'\\', escaped, tail @ ..] if *escaped != b'\n' => {
                out.push(*escaped);
                rest = tail;
            }
            [byte, tail @ ..] => {
                out.push(*byte);
                rest = tail;
            }
            [] => break,
        }
    }
    match String::from_utf8(out) {
        Ok(text) => Cow::Owned(text),
        Err(error) => Cow::Owned(String::from_utf8_lossy(error.as_bytes()).into_owned()),
    }
}

impl<'a> Iterator for Cookies<'a> {
    type Item = (&'a str, Cow<'a, str>);

    fn next(&mut self) -> Option<Self::Item> {
        while !self.rest.is_empty() {
            let Some((name, value, len)) = split_cookie(self.rest) else {
                let next = memchr::memchr(b';', self.rest.as_bytes());
                self.rest = next.map_or("", |at| &self.rest[at + 1..]);
                continue;
            };
            self.rest = &self.rest[len..];
            let inner = value
                .strip_prefix('"')
                .and_then(|rest| rest.strip_suffix('"'));
            return Some((name, inner.map_or(Cow::Borrowed(value), unescape)));
        }
        None
    }
}

impl FusedIterator for Cookies<'_> {}

/// Goes through the cookies of a `Cookie` header's value.
///
/// ```
/// use bustapi_http::cookie::parse_cookies;
///
/// let cookies: Vec<_> = parse_cookies(r#"a=1; b="x\073y"; a=2; c"#).collect();
/// assert_eq!(cookies[0], ("a", "1".into()));
/// assert_eq!(cookies[1], ("b", "x;y".into()));
/// assert_eq!(cookies[2], ("a", "2".into()));
/// assert_eq!(cookies[3], ("c", "".into()));
/// ```
#[must_use]
pub fn parse_cookies(header: &str) -> Cookies<'_> {
    Cookies { rest: header }
}

/// The `SameSite` attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SameSite {
    /// Sent with requests from the same site only.
    Strict,
    /// Also sent when a link from elsewhere is followed.
    Lax,
    /// Sent with every request.
    None,
}

impl SameSite {
    /// The attribute's value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Strict => "Strict",
            Self::Lax => "Lax",
            Self::None => "None",
        }
    }
}

impl FromStr for SameSite {
    type Err = HttpError;

    /// Reads the value in any case.
    fn from_str(text: &str) -> Result<Self, HttpError> {
        [Self::Strict, Self::Lax, Self::None]
            .into_iter()
            .find(|site| site.as_str().eq_ignore_ascii_case(text))
            .ok_or_else(|| HttpError::InvalidCookie {
                part: "SameSite",
                value: text.to_owned(),
            })
    }
}

/// When a cookie ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expires {
    /// At a moment.
    At(HttpDate),
    /// As the application wrote it.
    Text(String),
}

/// A `Set-Cookie` header to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "they are the attributes of the cookie syntax"
)]
pub struct SetCookie<'a> {
    /// The name; not checked beyond what would break the header.
    pub name: &'a str,
    /// The value; escaped as needed.
    pub value: &'a str,
    /// Life time in seconds; `None` for as long as the browser runs.
    pub max_age: Option<i64>,
    /// End of life; `None` for none, or as `max_age` says.
    pub expires: Option<Expires>,
    /// Whether `Expires` is derived from `max_age` where it is `None`.
    pub sync_expires: bool,
    /// The path the cookie is for; `None` for that of the request.
    pub path: Option<&'a str>,
    /// The domain the cookie is for; a port and leading dots are removed.
    pub domain: Option<&'a str>,
    /// Only over TLS.
    pub secure: bool,
    /// Hidden from scripts.
    pub http_only: bool,
    /// With which requests from elsewhere it is sent.
    pub same_site: Option<SameSite>,
    /// Kept apart for each top-level site; implies `secure`.
    pub partitioned: bool,
}

impl<'a> SetCookie<'a> {
    /// A cookie for the whole host, until the browser ends.
    #[must_use]
    pub fn new(name: &'a str, value: &'a str) -> Self {
        Self {
            name,
            value,
            max_age: None,
            expires: None,
            sync_expires: true,
            path: Some("/"),
            domain: None,
            secure: false,
            http_only: false,
            same_site: None,
            partitioned: false,
        }
    }

    /// Writes the header's value as seen from `now`. Its UTF-8 is what goes on the wire; apart
    /// from the name it is ASCII. Beyond [`MAX_COOKIE_SIZE`] browsers may drop the cookie.
    ///
    /// # Errors
    ///
    /// [`HttpError::InvalidCookie`] for a domain that is not ASCII (give its `xn--` form) or
    /// has an empty or overlong label, and for control characters in the name.
    ///
    /// ```
    /// use bustapi_http::cookie::{SameSite, SetCookie};
    /// use bustapi_http::date::HttpDate;
    ///
    /// let mut cookie = SetCookie::new("a", "x y");
    /// cookie.http_only = true;
    /// cookie.same_site = Some(SameSite::Lax);
    /// let header = cookie.to_header(HttpDate::from_unix(0)).unwrap();
    /// assert_eq!(header, r#"a="x y"; HttpOnly; Path=/; SameSite=Lax"#);
    /// ```
    pub fn to_header(&self, now: HttpDate) -> Result<String, HttpError> {
        if self.name.contains(|c: char| c.is_ascii_control()) {
            return Err(HttpError::InvalidCookie {
                part: "name",
                value: self.name.to_owned(),
            });
        }
        let mut out = String::with_capacity(self.name.len() + self.value.len() + 64);
        out.push_str(self.name);
        out.push('=');
        push_value(self.value, &mut out);
        if let Some(domain) = self.domain {
            out.push_str("; Domain=");
            out.push_str(plain_domain(domain)?);
        }
        let derived = self.max_age.filter(|_| self.sync_expires);
        match (&self.expires, derived) {
            (Some(Expires::At(date)), _) => push(&mut out, format_args!("; Expires={date}")),
            (Some(Expires::Text(text)), _) => push(&mut out, format_args!("; Expires={text}")),
            (None, Some(age)) => {
                let date = HttpDate::from_unix(now.unix().saturating_add(age));
                push(&mut out, format_args!("; Expires={date}"));
            }
            (None, None) => {}
        }
        if let Some(age) = self.max_age {
            push(&mut out, format_args!("; Max-Age={age}"));
        }
        if self.secure || self.partitioned {
            out.push_str("; Secure");
        }
        if self.http_only {
            out.push_str("; HttpOnly");
        }
        if let Some(path) = self.path {
            out.push_str("; Path=");
            out.push_str(&percent_encode(path, PATH_SAFE));
        }
        if let Some(site) = self.same_site {
            out.push_str("; SameSite=");
            out.push_str(site.as_str());
        }
        if self.partitioned {
            out.push_str("; Partitioned");
        }
        Ok(out)
    }
}

fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text)
        .expect("writing to a string cannot fail");
}

/// Removes port and leading dots, and checks the labels as Python's `idna` codec does.
fn plain_domain(domain: &str) -> Result<&str, HttpError> {
    let host = domain.split(':').next().unwrap_or_default();
    let host = host.trim_start_matches('.');
    let labels = host.strip_suffix('.').unwrap_or(host);
    // DNS's limit on a label, RFC 1035 section 2.3.4.
    let fits = |label: &str| (1..64).contains(&label.len());
    if host.is_ascii() && (host.is_empty() || labels.split('.').all(fits)) {
        Ok(host)
    } else {
        Err(HttpError::InvalidCookie {
            part: "domain",
            value: domain.to_owned(),
        })
    }
}

/// Characters of a value that need no quotes around it.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_!#$%&'()*+-./:<=>?@[]^`{|}~".contains(&byte)
}

fn push_value(value: &str, out: &mut String) {
    if value.bytes().all(is_plain) {
        out.push_str(value);
        return;
    }
    out.push('"');
    for byte in value.bytes() {
        match byte {
            b'"' | b'\\' => {
                out.push('\\');
                out.push(char::from(byte));
            }
            // Werkzeug leaves 0x1a to 0x1f as they are, which no header can hold.
            0..=0x1f | b',' | b';' | 0x7f.. => push(out, format_args!("\\{byte:03o}")),
            _ => out.push(char::from(byte)),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(header: &str, expected: &[(&str, &str)]) {
        let cookies: Vec<_> = parse_cookies(header).collect();
        let cookies: Vec<_> = cookies.iter().map(|(k, v)| (*k, v.as_ref())).collect();
        assert_eq!(cookies, expected, "{header:?}");
    }

    #[test]
    fn plain() {
        check("", &[]);
        check(" ; ;", &[]);
        check("a", &[("a", "")]);
        check("=b; c=d", &[("c", "d")]);
        check("a=b=c;d", &[("a", "b=c"), ("d", "")]);
        check("  a  =  b\t;  d=e", &[("a", "b"), ("d", "e")]);
        check("a = b c; a b=c; \"a\"=b; a\"=b; d=e", &[("d", "e")]);
        check(
            "\u{a0}a\x1f=\x0b; b=2",
            &[("\u{a0}a\x1f", "\x0b"), ("b", "2")],
        );
        check("a=1; a=2", &[("a", "1"), ("a", "2")]);
        check("a=é", &[("a", "é")]);
    }

    #[test]
    fn quoted() {
        check(r#"a="b; c"; d=e"#, &[("a", "b; c"), ("d", "e")]);
        check(r#"a="b\"; c" ; d=e"#, &[("a", r#"b"; c"#), ("d", "e")]);
        check(r#"a="b; c=d"#, &[("c", "d")]);
        check(r#"a="b"c; d=e"#, &[("d", "e")]);
        check(r#"a=b"c; d={"e":1}; f=g"#, &[("f", "g")]);
        check(r#"a=""; b=""""#, &[("a", "")]);
        check(r#"a="\303\251\054\400\9""#, &[("a", "é,4009")]);
        check(r#"a="\377""#, &[("a", "\u{fffd}")]);
        check(r#"a="\é""#, &[("a", "é")]);
        check("a=\"b\\", &[]);
        check("a=\"", &[]);
        check("a=\"b\\\n\"; c=d", &[("c", "d")]);
    }

    #[test]
    fn set_cookie_with_everything() {
        let cookie = SetCookie {
            max_age: Some(3600),
            path: Some("/ü;x"),
            domain: Some(".example.com:80"),
            secure: true,
            http_only: true,
            same_site: Some("sTRICT".parse().unwrap()),
            partitioned: true,
            ..SetCookie::new("id", "a,b;\"c\\é\n")
        };
        assert_eq!(
            cookie.to_header(HttpDate::from_unix(0)).unwrap(),
            "id=\"a\\054b\\073\\\"c\\\\\\303\\251\\012\"; Domain=example.com; \
             Expires=Thu, 01 Jan 1970 01:00:00 GMT; Max-Age=3600; Secure; HttpOnly; \
             Path=/%C3%BC%3Bx; SameSite=Strict; Partitioned"
        );
    }

    #[test]
    fn set_cookie_expiry() {
        let now = HttpDate::from_unix(784_111_777);
        let mut cookie = SetCookie::new("a", "");
        assert_eq!(cookie.to_header(now).unwrap(), "a=; Path=/");
        cookie.path = None;
        cookie.expires = Some(Expires::At(now));
        cookie.max_age = Some(0);
        assert_eq!(
            cookie.to_header(now).unwrap(),
            "a=; Expires=Sun, 06 Nov 1994 08:49:37 GMT; Max-Age=0"
        );
        cookie.expires = None;
        cookie.sync_expires = false;
        assert_eq!(cookie.to_header(now).unwrap(), "a=; Max-Age=0");
        cookie.expires = Some(Expires::Text("never".into()));
        cookie.max_age = None;
        assert_eq!(cookie.to_header(now).unwrap(), "a=; Expires=never");
    }

    #[test]
    fn what_cannot_be_written() {
        let now = HttpDate::from_unix(0);
        let mut cookie = SetCookie::new("a\r\nb", "");
        assert!(cookie.to_header(now).is_err());
        cookie.name = "a";
        for domain in ["bücher.example", "a..b", &"x".repeat(64)] {
            cookie.domain = Some(domain);
            assert_eq!(
                cookie.to_header(now),
                Err(HttpError::InvalidCookie {
                    part: "domain",
                    value: domain.into()
                })
            );
        }
        assert!("Other".parse::<SameSite>().is_err());
    }

    #[test]
    fn every_byte_of_ascii_survives_a_round_trip() {
        let value: String = (0_u8..128).map(char::from).collect();
        let header = SetCookie::new("k", &value)
            .to_header(HttpDate::from_unix(0))
            .unwrap();
        let pair = header.strip_suffix("; Path=/").unwrap();
        check(pair, &[("k", &value)]);
    }
}
