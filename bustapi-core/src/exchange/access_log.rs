//! The access log: one record per request, at the end of its answer's body.
//!
//! With the log off a request pays nothing; with it on, the pieces of the head that a record
//! shows are kept (reference counts, no copies) until the last byte has been handed over.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bustapi_http::{ConnInfo, Peer};
use bytes::Bytes;
use http::header::{HeaderValue, REFERER, USER_AGENT};
use http::request::Parts;
use http::{Method, StatusCode, Uri, Version};

use crate::log::write_line;

/// Takes records as requests end; called on the IO thread, so it must not wait.
pub type AccessHook = Arc<dyn Fn(&AccessRecord) + Send + Sync>;

/// What a request asks for.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum RequestLine {
    /// A request that was understood.
    Read {
        /// Its method.
        method: Method,
        /// Its target, with characters that do not belong there percent-encoded.
        target: Uri,
        /// Its version.
        version: Version,
    },
    /// A request that was refused for its head: the first line of it, as far as it came and at most
    /// [`RequestLine::MAX_UNREAD`] bytes.
    Unread(Bytes),
}

impl RequestLine {
    /// How much is kept of a line that was not understood, in bytes: enough to tell what it was.
    pub const MAX_UNREAD: usize = 1024;

    /// The first line that is not empty of a head that cannot be read.
    pub(crate) fn of_unread(head: &[u8]) -> Self {
        let start = head.iter().position(|byte| !byte.is_ascii_whitespace());
        let line = &head[start.unwrap_or(head.len())..];
        let end = line.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
        let length = end.unwrap_or(line.len()).min(Self::MAX_UNREAD);
        Self::Unread(Bytes::copy_from_slice(&line[..length]))
    }
}

impl fmt::Display for RequestLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read {
                method,
                target,
                version,
            } => {
                write!(f, "{method} ")?;
                match target.path_and_query() {
                    Some(path) if target.scheme().is_none() => {
                        write_escaped(f, path.as_str().as_bytes())
                    }
                    _ => write_escaped(f, target.to_string().as_bytes()),
                }?;
                write!(f, " {version:?}")
            }
            Self::Unread(line) if line.is_empty() => f.write_str("-"),
            Self::Unread(line) => write_escaped(f, line),
        }
    }
}

/// One answered request. Shown, it is a line of the combined log format:
///
/// ```text
/// 127.0.0.1 - - [22/Nov/2026:21:53:29 +0000] "GET /a?b HTTP/1.1" 200 13 "-" "curl/8.5.0"
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct AccessRecord {
    /// The connection.
    pub conn: Arc<ConnInfo>,
    /// What was asked for.
    pub request: RequestLine,
    /// The `Referer` field.
    pub referer: Option<HeaderValue>,
    /// The `User-Agent` field.
    pub user_agent: Option<HeaderValue>,
    /// The answer's status.
    pub status: StatusCode,
    /// Bytes of the answer's body that were handed to the connection.
    pub sent: u64,
    /// When the request's head had been read.
    pub time: SystemTime,
    /// From then to the end of the answer's body.
    pub duration: Duration,
}

impl fmt::Display for AccessRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.conn.remote {
            Peer::Tcp(address) => write!(f, "{}", address.ip())?,
            Peer::Unix(_) => f.write_str("-")?,
        }
        f.write_str(" - - [")?;
        write_time(f, self.time)?;
        write!(f, "] \"{}\" {} ", self.request, self.status.as_u16())?;
        match self.sent {
            0 => f.write_str("-")?,
            sent => write!(f, "{sent}")?,
        }
        write_field(f, self.referer.as_ref())?;
        write_field(f, self.user_agent.as_ref())
    }
}

/// A quoted field.
fn write_field(f: &mut fmt::Formatter<'_>, value: Option<&HeaderValue>) -> fmt::Result {
    let Some(value) = value else {
        return f.write_str(" \"-\"");
    };
    f.write_str(" \"")?;
    write_escaped(f, value.as_bytes())?;
    f.write_str("\"")
}

/// What could end the quotation or the line is escaped, so that a client cannot write lines of its
/// own.
fn write_escaped(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    for &byte in bytes {
        match byte {
            b'"' | b'\\' => write!(f, "\\{}", char::from(byte))?,
            b' '..=b'~' => write!(f, "{}", char::from(byte))?,
            _ => write!(f, "\\x{byte:02x}")?,
        }
    }
    Ok(())
}

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// `22/Nov/2026:21:53:29 +0000`.
fn write_time(f: &mut fmt::Formatter<'_>, time: SystemTime) -> fmt::Result {
    // A clock before 1970 is shown as 1970.
    let seconds = time
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    let (day, month, year) = civil_date(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    write!(
        f,
        "{day:02}/{}/{year:04}:{hour:02}:{minute:02}:{second:02} +0000",
        MONTHS[month]
    )
}

/// Day, month (from 0) and year of a day counted from 1 January 1970. Years are counted from
/// 1 March, which puts the leap day at their end.
fn civil_date(days: u64) -> (u64, usize, u64) {
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let from_march = (5 * day + 2) / 153;
    let day = day - (153 * from_march + 2) / 5 + 1;
    let month = (from_march + 2) % 12;
    let year = era * 400 + year + u64::from(month < 2);
    (day, usize::try_from(month).unwrap_or(0), year)
}

/// A record in the making.
pub(crate) struct AccessEntry {
    record: AccessRecord,
    began: Instant,
    pub(crate) sent: u64,
    hook: AccessHook,
}

impl AccessEntry {
    pub(crate) fn begin(hook: &AccessHook, head: &Parts, conn: &Arc<ConnInfo>) -> Box<Self> {
        Box::new(Self {
            record: AccessRecord {
                conn: Arc::clone(conn),
                request: RequestLine::Read {
                    method: head.method.clone(),
                    target: head.uri.clone(),
                    version: head.version,
                },
                referer: head.headers.get(REFERER).cloned(),
                user_agent: head.headers.get(USER_AGENT).cloned(),
                status: StatusCode::OK,
                sent: 0,
                time: SystemTime::now(),
                duration: Duration::ZERO,
            },
            began: Instant::now(),
            sent: 0,
            hook: Arc::clone(hook),
        })
    }

    /// Notes a request that was refused before its head was understood; `sent` bytes of body were
    /// the answer.
    pub(crate) fn write_refused(
        hook: &AccessHook,
        conn: &Arc<ConnInfo>,
        request: RequestLine,
        status: StatusCode,
        sent: u64,
    ) {
        hook(&AccessRecord {
            conn: Arc::clone(conn),
            request,
            referer: None,
            user_agent: None,
            status,
            sent,
            time: SystemTime::now(),
            duration: Duration::ZERO,
        });
    }

    pub(crate) fn set_status(&mut self, status: StatusCode) {
        self.record.status = status;
    }

    pub(crate) fn write(mut self: Box<Self>) {
        self.record.sent = self.sent;
        self.record.duration = self.began.elapsed();
        (self.hook)(&self.record);
    }
}

/// Where records go if nobody takes them: standard error, as Flask's own server does it.
pub(crate) fn write_to_stderr(record: &AccessRecord) {
    write_line(format!("{record}\n"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use bustapi_http::Scheme;

    #[test]
    fn days_become_dates() {
        assert_eq!(civil_date(0), (1, 0, 1970));
        assert_eq!(civil_date(59), (1, 2, 1970));
        assert_eq!(civil_date(11_016), (29, 1, 2000));
        assert_eq!(civil_date(11_017), (1, 2, 2000));
        assert_eq!(civil_date(20_779), (22, 10, 2026));
        assert_eq!(civil_date(47_540), (28, 1, 2100));
        assert_eq!(civil_date(47_541), (1, 2, 2100));
    }

    #[test]
    fn a_record_is_one_line_of_the_combined_format() {
        let peer = Peer::Tcp("10.0.0.9:1234".parse().unwrap());
        let record = AccessRecord {
            conn: Arc::new(ConnInfo {
                remote: peer.clone(),
                local: peer,
                scheme: Scheme::Http,
            }),
            request: RequestLine::Read {
                method: Method::GET,
                target: Uri::from_static("/a?b"),
                version: Version::HTTP_11,
            },
            referer: None,
            user_agent: Some(HeaderValue::from_bytes(b"x\"\\\xe9\ty").unwrap()),
            status: StatusCode::NOT_FOUND,
            sent: 9,
            time: UNIX_EPOCH + Duration::from_secs(1_795_384_409),
            duration: Duration::ZERO,
        };
        assert_eq!(
            record.to_string(),
            "10.0.0.9 - - [22/Nov/2026:21:53:29 +0000] \"GET /a?b HTTP/1.1\" 404 9 \"-\" \
             \"x\\\"\\\\\\xe9\\x09y\""
        );
        let empty = AccessRecord { sent: 0, ..record };
        assert!(empty.to_string().contains("\" 404 - \""));
    }
}
