//! A request as a WSGI environment shows it (PEP 3333): which fields, under which keys, with
//! which values.
//!
//! An environment has one value for a key. So fields that came more than once are joined, and of
//! two names that would have the same key, `X-Y` and `X_Y`, only the first is shown: proxies
//! clean up `X-Y` and let the other pass, and whoever reads the key takes it for what the proxy
//! says.

use std::borrow::Cow;
use std::iter;

use http::header::{HOST, HeaderName};
use http::request::Parts;

use crate::request::{ConnInfo, Peer, Scheme};

/// The key under which a lookup of `name`, in any case and with `_` for `-`, finds a field:
/// `X-Forwarded-For` has `HTTP_X_FORWARDED_FOR`, and the two that CGI knew have no prefix.
///
/// ```
/// use bustapi_http::wsgi::environ_key;
///
/// assert_eq!(environ_key("accept"), "HTTP_ACCEPT");
/// assert_eq!(environ_key("Content-Type"), "CONTENT_TYPE");
/// ```
#[must_use]
pub fn environ_key(name: &str) -> String {
    let mut key = String::with_capacity(name.len() + 5);
    key.push_str("HTTP_");
    key.extend(name.chars().map(|c| match c {
        '-' => '_',
        other => other.to_ascii_uppercase(),
    }));
    if matches!(key.as_str(), "HTTP_CONTENT_TYPE" | "HTTP_CONTENT_LENGTH") {
        key.drain(..5);
    }
    key
}

/// Whether an environment shows a field of this name.
#[must_use]
pub fn is_shown(name: &str) -> bool {
    !name.contains('_')
}

/// The value of a field as the environment has it: the target's authority as the host (RFC 9112
/// section 3.2.2), repeats joined as one list (RFC 9110 section 5.2), cookies with their own
/// separator (RFC 9113 section 8.2.3). `name` may be in any case.
#[must_use]
pub fn field<'a>(head: &'a Parts, name: &str) -> Option<Cow<'a, [u8]>> {
    if let Some(authority) = head.uri.authority()
        && name.eq_ignore_ascii_case("host")
    {
        return Some(Cow::Borrowed(authority.as_str().as_bytes()));
    }
    let values = head.headers.get_all(name);
    let mut values = values.iter();
    let mut joined = Cow::Borrowed(values.next()?.as_bytes());
    for value in values {
        let separator: &[u8] = if name.eq_ignore_ascii_case("cookie") {
            b"; "
        } else {
            b","
        };
        let joined = joined.to_mut();
        joined.extend_from_slice(separator);
        joined.extend_from_slice(value.as_bytes());
    }
    Some(joined)
}

/// The names of all fields that are shown, in lower case and each once, with their values as
/// [`field`] has them.
pub fn fields(head: &Parts) -> impl Iterator<Item = (&HeaderName, Cow<'_, [u8]>)> {
    let mut received = head.headers.iter().peekable();
    let listed = iter::from_fn(move || {
        loop {
            let (name, value) = received.next()?;
            // Repeats follow each other.
            let mut is_repeated = false;
            while received.next_if(|(next, _)| *next == name).is_some() {
                is_repeated = true;
            }
            if !is_shown(name.as_str()) {
                continue;
            }
            let is_elsewhere = *name == HOST && head.uri.authority().is_some();
            let value = if is_repeated || is_elsewhere {
                field(head, name.as_str()).unwrap_or_default()
            } else {
                Cow::Borrowed(value.as_bytes())
            };
            return Some((name, value));
        }
    });
    let authority = head.uri.authority();
    let host = authority.filter(|_| !head.headers.contains_key(HOST));
    listed.chain(host.map(|host| (&HOST, Cow::Borrowed(host.as_str().as_bytes()))))
}

/// Name and port of the server's end; of a unix socket, the name that the client asked for and
/// the scheme's port.
#[must_use]
pub fn server_address(head: &Parts, conn: &ConnInfo) -> (String, u16) {
    match &conn.local {
        Peer::Tcp(address) => (address.ip().to_string(), address.port()),
        Peer::Unix(_) => {
            let host = field(head, "host");
            let host = host.as_deref().map(String::from_utf8_lossy);
            let name = host.as_deref().and_then(|host| host.split(':').next());
            let port = match conn.scheme {
                Scheme::Http => 80,
                Scheme::Https => 443,
            };
            (name.unwrap_or("localhost").to_owned(), port)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::headers::header_map;

    fn head(target: &str, received: &[(&str, &str)]) -> Parts {
        let request = http::Request::builder().uri(target).body(()).unwrap();
        let (mut head, ()) = request.into_parts();
        head.headers = header_map(received.iter().copied()).unwrap();
        head
    }

    fn shown(head: &Parts) -> Vec<(String, String)> {
        let text = |value: Cow<'_, [u8]>| String::from_utf8(value.into_owned()).unwrap();
        fields(head)
            .map(|(name, value)| (environ_key(name.as_str()), text(value)))
            .collect()
    }

    #[test]
    fn keys_are_those_of_cgi() {
        for (name, key) in [
            ("host", "HTTP_HOST"),
            ("X-Forwarded-For", "HTTP_X_FORWARDED_FOR"),
            ("x_y", "HTTP_X_Y"),
            ("content-type", "CONTENT_TYPE"),
            ("CONTENT_LENGTH", "CONTENT_LENGTH"),
            ("content-encoding", "HTTP_CONTENT_ENCODING"),
            ("", "HTTP_"),
        ] {
            assert_eq!(environ_key(name), key);
        }
    }

    #[test]
    fn repeats_are_joined_and_underscores_left_out() {
        let received = [
            ("accept", "a"),
            ("x_forwarded_for", "forged"),
            ("cookie", "a=1"),
            ("accept", "b, c"),
            ("cookie", "b=2"),
            ("x-empty", ""),
        ];
        let head = head("/", &received);
        let expected = [
            ("HTTP_ACCEPT", "a,b, c"),
            ("HTTP_COOKIE", "a=1; b=2"),
            ("HTTP_X_EMPTY", ""),
        ];
        let expected = expected.map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(shown(&head), expected);
        assert_eq!(field(&head, "Cookie").as_deref(), Some(&b"a=1; b=2"[..]));
        assert_eq!(field(&head, "x-forwarded-for"), None);
    }

    #[test]
    fn the_host_is_the_targets_where_it_has_one() {
        for received in [&[("host", "other.example")][..], &[]] {
            let head = head("http://example.org:81/a", received);
            let expected = ("HTTP_HOST".to_owned(), "example.org:81".to_owned());
            assert_eq!(shown(&head), [expected]);
            assert_eq!(
                field(&head, "HOST").as_deref(),
                Some(&b"example.org:81"[..])
            );
        }
    }

    #[test]
    fn a_unix_socket_has_the_name_that_was_asked_for() {
        let conn = |local, scheme| ConnInfo {
            remote: Peer::Unix(None),
            local,
            scheme,
        };
        let asked = head("/", &[("host", "example.org:81")]);
        let of = |head: &Parts, conn| server_address(head, &conn);
        let unix = || Peer::Unix(None);
        assert_eq!(
            of(&asked, conn(unix(), Scheme::Https)),
            ("example.org".to_owned(), 443)
        );
        assert_eq!(
            of(&head("/", &[]), conn(unix(), Scheme::Http)),
            ("localhost".to_owned(), 80)
        );
        let tcp = Peer::Tcp("[::1]:8000".parse().unwrap());
        assert_eq!(
            of(&asked, conn(tcp, Scheme::Http)),
            ("::1".to_owned(), 8000)
        );
    }

    proptest! {
        #[test]
        fn each_key_is_shown_once_and_with_the_value_of_its_field(
            received in prop::collection::vec(("[a-cA-C_-]{1,3}|[hH]ost|[cC]ookie", "[ -~]{0,5}"), 0..8),
            target in "/|http://h/",
        ) {
            let pairs: Vec<_> = received.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            let head = head(&target, &pairs);
            let mut keys = Vec::new();
            for (name, value) in fields(&head) {
                prop_assert_eq!(field(&head, name.as_str()), Some(value));
                keys.push(environ_key(name.as_str()));
            }
            let count = keys.len();
            keys.sort_unstable();
            keys.dedup();
            prop_assert_eq!(keys.len(), count);
            for (name, _) in &received {
                prop_assert_eq!(keys.contains(&environ_key(name)) || !is_shown(name), true);
            }
        }
    }
}
