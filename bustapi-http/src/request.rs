//! A request as the server hands it on: head, connection facts and body.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;

/// The scheme a connection speaks, before any proxy header is considered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// Plain text.
    Http,
    /// Behind TLS.
    Https,
}

impl Scheme {
    /// The scheme's name in URLs: `http` or `https`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// One end of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Peer {
    /// A TCP address.
    Tcp(SocketAddr),
    /// A unix socket; the path it is bound to, where it has one.
    Unix(Option<String>),
}

impl Peer {
    /// The IP address, or `None` for a unix socket.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Tcp(address) => Some(address.ip()),
            Self::Unix(_) => None,
        }
    }
}

/// What is known of a connection for as long as it lives; shared by its requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnInfo {
    /// The client's end.
    pub remote: Peer,
    /// The server's end.
    pub local: Peer,
    /// The scheme spoken on the connection itself.
    pub scheme: Scheme,
}

/// Path and query of a target exactly as they were sent, where they hold characters that
/// `http::Uri` has only percent-encoded: an extension of a request's head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawTarget(pub Bytes);

/// Path and query of a target as they were sent.
#[must_use]
pub fn sent_target(head: &Parts) -> &[u8] {
    match head.extensions.get::<RawTarget>() {
        Some(RawTarget(target)) => target,
        None => match head.uri.path_and_query() {
            Some(target) => target.as_str().as_bytes(),
            None => b"/",
        },
    }
}

/// What follows the `?` of a target as it was sent, without a fragment; empty where there is none.
#[must_use]
pub fn sent_query(head: &Parts) -> &[u8] {
    let Some(RawTarget(target)) = head.extensions.get() else {
        return head.uri.query().unwrap_or_default().as_bytes();
    };
    let target = target
        .split(|byte| *byte == b'#')
        .next()
        .unwrap_or_default();
    let start = target.iter().position(|byte| *byte == b'?');
    start.map_or(&[], |start| &target[start + 1..])
}

/// A request: its head as parsed, the connection it came on, and its body.
#[derive(Debug)]
pub struct Request<B> {
    /// Method, target, version, header fields and extensions.
    pub head: Parts,
    /// The connection.
    pub conn: Arc<ConnInfo>,
    /// The body, of whatever kind the server reads.
    pub body: B,
}

impl<B> Request<B> {
    /// The target's path as sent: percent-encoded, never empty.
    #[must_use]
    pub fn raw_path(&self) -> &str {
        self.head.uri.path()
    }

    /// The `Host` the request names: the target's authority in absolute form (RFC 9112
    /// section 3.2.2), else the first `Host` field. `None` if absent or not ASCII text.
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        match self.head.uri.authority() {
            Some(authority) => Some(authority.as_str()),
            None => self.head.headers.get(http::header::HOST)?.to_str().ok(),
        }
    }
}
