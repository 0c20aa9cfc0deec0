//! Limits and time-outs of a server; every one is on by default.
//!
//! Fields are set by name from a command line or a file: [`Config::settings`] lists all of them,
//! and [`Config::set`] refuses what a server could not work with.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::error::SettingError;

/// Limits and time-outs. A `Duration` of zero turns a time-out off where nothing else is said.
///
/// Made by `Config::default()` and a method for each field, as the fields become more:
///
/// ```
/// use std::time::Duration;
///
/// use bustapi_core::Config;
///
/// let config = Config::default()
///     .with_max_body_size(Some(1 << 20))
///     .with_head_timeout(Duration::from_secs(5));
/// assert_eq!(config.max_body_size, Some(1 << 20));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// Longest head (request line and header fields) in bytes; longer ones answer 414 or 431.
    pub max_head_size: usize,
    /// Longest path and query in bytes; longer ones answer 414.
    pub max_target_size: usize,
    /// Most header fields in a head; more answer 431.
    pub max_headers: usize,
    /// Longest request body in bytes, `None` for no limit of the server's own; longer ones answer
    /// 413.
    pub max_body_size: Option<u64>,
    /// Bodies announced as at most this many bytes are read whole before the handler is called.
    pub buffered_body_size: usize,
    /// How many bytes of a body are kept in memory that is received before a view on an event loop
    /// is called; more go to a temporary file.
    pub gathered_body_memory: usize,
    /// Longest body that is received before such a view is called, in bytes. Reading what is beyond
    /// waits for the client.
    pub gathered_body_size: u64,
    /// How much of a body that nobody has read is received all the same, in bytes, so that the
    /// connection can be used again; it is closed behind the answer where there is more.
    pub unread_body_size: u64,
    /// How long an answer waits for more of such a body while nothing of it comes.
    pub unread_body_timeout: Duration,
    /// Most open connections. For a further one the connection is closed that has waited longest
    /// for its next request; with none to close, it waits in the listen queue.
    pub max_connections: usize,
    /// File descriptors that are left to the application: with fewer to be had, no connection is
    /// accepted. A quarter of the system's limit at most.
    pub reserved_descriptors: usize,
    /// Length of the system's queue of connections not yet accepted.
    pub backlog: i32,
    /// Time for a head to arrive, from its first byte; then 408.
    pub head_timeout: Duration,
    /// How long a request body may be waited for while nothing comes; a trickle of less than
    /// 240 bytes a second counts as nothing. Then 408, or a body that broke off.
    pub body_timeout: Duration,
    /// Longest time an answer may wait for the client to read some of it.
    pub write_timeout: Duration,
    /// How long a connection may stay open between two requests.
    pub keep_alive_timeout: Duration,
    /// How long open requests may go on after a stop was asked for; zero breaks them off.
    pub drain_timeout: Duration,
    /// Most threads for calls that block.
    pub threads: usize,
    /// Most threads that wait for pieces of streamed answers. Each takes some 40 KB while its
    /// stream waits; further streams wait for one of them.
    pub stream_threads: usize,
    /// Whether each answered request is written to the access log.
    pub access_log: bool,
    /// Most lines of the log that wait to be written; further ones are dropped and counted.
    pub log_lines: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            // Room for large cookies and tokens; nginx takes 4 x 8 KiB.
            max_head_size: 64 * 1024,
            // RFC 9112 section 3 advises 8000 at least; filters in links need more at times.
            max_target_size: 16 * 1024,
            // hyper keeps this many on the stack; a larger number costs an allocation per request.
            max_headers: 100,
            max_body_size: None,
            // One socket buffer's worth: a body this small arrives with its head as a rule.
            buffered_body_size: 64 * 1024,
            // As much as is received of a body that nobody reads (`unread_body_size`).
            gathered_body_memory: 256 * 1024,
            // Longer uploads are rare, and most temporary directories have room for a file of this
            // size.
            gathered_body_size: 1024 * 1024 * 1024,
            // To receive this much takes less time than a client needs for a new connection.
            unread_body_size: 256 * 1024,
            // Longer than it takes to the other side of the world and back.
            unread_body_timeout: Duration::from_millis(300),
            max_connections: 10_000,
            // Enough for a few requests at once that each open a file, a template or a connection.
            reserved_descriptors: 16,
            backlog: 2048,
            head_timeout: Duration::from_secs(15),
            body_timeout: Duration::from_secs(60),
            write_timeout: Duration::from_secs(60),
            // Longer than the 60 s that load balancers keep theirs, so that they close first.
            keep_alive_timeout: Duration::from_secs(75),
            drain_timeout: Duration::from_secs(30),
            threads: 100,
            // Each event stream holds a thread for as long as it waits. Threads are made on demand,
            // so a high number costs nothing where there are few streams.
            stream_threads: 1000,
            access_log: false,
            // About a second of a busy server's access log.
            log_lines: 8192,
        }
    }
}

/// What a field of a [`Config`] holds, in a form that needs no type of the field's own.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value {
    /// A count or a number of bytes.
    Number(i64),
    /// A time in seconds; a `Number` is taken for one as well.
    Seconds(f64),
    /// On or off.
    Flag(bool),
    /// No limit.
    Unlimited,
}

/// Makes the methods from the fields' names and types, and from what [`Config::set`] lets them be:
/// counts, bytes, or whole seconds. A field that is missing from the list does not compile.
macro_rules! settings {
    ($($field:ident $with:ident: $type:ty = $range:expr),* $(,)?) => {
        impl Config {
            $(
                #[doc = concat!("The same with another [`", stringify!($field), "`](Self::", stringify!($field), ").")]
                #[must_use]
                pub fn $with(mut self, $field: $type) -> Self {
                    self.$field = $field;
                    self
                }
            )*

            /// The name and the value of each field.
            #[must_use]
            pub fn settings(&self) -> Vec<(&'static str, Value)> {
                let Self { $($field),* } = self;
                vec![$((stringify!($field), $field.to_value())),*]
            }

            /// Sets the field with this name.
            ///
            /// # Errors
            ///
            /// [`SettingError`] where there is no such field, where it holds something else, and
            /// where the value is out of the field's range.
            pub fn set(&mut self, name: &str, value: Value) -> Result<(), SettingError> {
                match name {
                    $(stringify!($field) => {
                        self.$field = Setting::from_value(stringify!($field), value, $range)?;
                    })*
                    _ => return Err(SettingError::Unknown { name: name.to_owned() }),
                }
                Ok(())
            }
        }
    };
}

/// More memory than this is not a limit but a mistake.
const MOST_BYTES: i64 = 1 << 30;
/// More connections, threads or places in a queue than a system has.
const MOST: i64 = 1_000_000;
/// A header map has room for 24,576 fields and panics beyond.
const MOST_HEADERS: i64 = 10_000;
/// A year in seconds: no point in time that follows from it is beyond what clocks can tell.
const LONGEST: i64 = 366 * 24 * 60 * 60;

settings! {
    max_head_size with_max_head_size: usize = 1..=MOST_BYTES,
    max_target_size with_max_target_size: usize = 1..=MOST_BYTES,
    max_headers with_max_headers: usize = 1..=MOST_HEADERS,
    max_body_size with_max_body_size: Option<u64> = 0..=i64::MAX,
    buffered_body_size with_buffered_body_size: usize = 0..=MOST_BYTES,
    gathered_body_memory with_gathered_body_memory: usize = 0..=MOST_BYTES,
    gathered_body_size with_gathered_body_size: u64 = 0..=i64::MAX,
    unread_body_size with_unread_body_size: u64 = 0..=MOST_BYTES,
    unread_body_timeout with_unread_body_timeout: Duration = 0..=LONGEST,
    max_connections with_max_connections: usize = 1..=MOST,
    reserved_descriptors with_reserved_descriptors: usize = 0..=MOST,
    backlog with_backlog: i32 = 1..=MOST,
    head_timeout with_head_timeout: Duration = 0..=LONGEST,
    body_timeout with_body_timeout: Duration = 0..=LONGEST,
    write_timeout with_write_timeout: Duration = 0..=LONGEST,
    keep_alive_timeout with_keep_alive_timeout: Duration = 0..=LONGEST,
    drain_timeout with_drain_timeout: Duration = 0..=LONGEST,
    threads with_threads: usize = 1..=MOST,
    stream_threads with_stream_threads: usize = 1..=MOST,
    access_log with_access_log: bool = 0..=1,
    log_lines with_log_lines: usize = 1..=MOST,
}

/// A type of a field.
trait Setting: Sized {
    fn to_value(&self) -> Value;

    fn from_value(
        name: &'static str,
        value: Value,
        range: RangeInclusive<i64>,
    ) -> Result<Self, SettingError>;
}

fn wrong_kind(name: &'static str, expected: &'static str) -> SettingError {
    SettingError::Kind { name, expected }
}

fn within(
    name: &'static str,
    value: Value,
    range: &RangeInclusive<i64>,
) -> Result<i64, SettingError> {
    match value {
        Value::Number(number) if range.contains(&number) => Ok(number),
        Value::Number(number) => Err(SettingError::Range {
            name,
            least: *range.start(),
            most: *range.end(),
            given: number.to_string(),
        }),
        _ => Err(wrong_kind(name, "a whole number")),
    }
}

macro_rules! numbers {
    ($($type:ty),*) => {
        $(impl Setting for $type {
            fn to_value(&self) -> Value {
                Value::Number(i64::try_from(*self).unwrap_or(i64::MAX))
            }

            fn from_value(
                name: &'static str,
                value: Value,
                range: RangeInclusive<i64>,
            ) -> Result<Self, SettingError> {
                let number = within(name, value, &range)?;
                Ok(Self::try_from(number).expect("the ranges are those of the types at most"))
            }
        })*
    };
}

numbers!(i32, u64, usize);

impl<T: Setting> Setting for Option<T> {
    fn to_value(&self) -> Value {
        self.as_ref().map_or(Value::Unlimited, T::to_value)
    }

    fn from_value(
        name: &'static str,
        value: Value,
        range: RangeInclusive<i64>,
    ) -> Result<Self, SettingError> {
        match value {
            Value::Unlimited => Ok(None),
            _ => T::from_value(name, value, range).map(Some),
        }
    }
}

impl Setting for bool {
    fn to_value(&self) -> Value {
        Value::Flag(*self)
    }

    fn from_value(
        name: &'static str,
        value: Value,
        _: RangeInclusive<i64>,
    ) -> Result<Self, SettingError> {
        match value {
            Value::Flag(flag) => Ok(flag),
            _ => Err(wrong_kind(name, "true or false")),
        }
    }
}

impl Setting for Duration {
    fn to_value(&self) -> Value {
        Value::Seconds(self.as_secs_f64())
    }

    fn from_value(
        name: &'static str,
        value: Value,
        range: RangeInclusive<i64>,
    ) -> Result<Self, SettingError> {
        let Value::Seconds(seconds) = value else {
            let seconds = within(name, value, &range).map_err(|error| match error {
                SettingError::Kind { .. } => wrong_kind(name, "a number of seconds"),
                _ => error,
            })?;
            return Ok(Self::from_secs(seconds.unsigned_abs()));
        };
        // What is not a number fails here as well.
        Self::try_from_secs_f64(seconds)
            .ok()
            .filter(|duration| *duration <= Self::from_secs(range.end().unsigned_abs()))
            .ok_or_else(|| SettingError::Range {
                name,
                least: *range.start(),
                most: *range.end(),
                given: seconds.to_string(),
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_can_be_read_and_set() {
        let mut config = Config::default();
        for (name, value) in Config::default().settings() {
            config.set(name, value).unwrap();
        }
        assert_eq!(config, Config::default());

        config.set("max_body_size", Value::Number(5)).unwrap();
        config.set("head_timeout", Value::Seconds(0.25)).unwrap();
        config.set("body_timeout", Value::Number(3)).unwrap();
        config.set("access_log", Value::Flag(true)).unwrap();
        let expected = Config::default()
            .with_max_body_size(Some(5))
            .with_head_timeout(Duration::from_millis(250))
            .with_body_timeout(Duration::from_secs(3))
            .with_access_log(true);
        assert_eq!(config, expected);
    }

    #[test]
    fn what_no_server_can_work_with_is_refused() {
        let mut config = Config::default();
        for (name, value, said) in [
            (
                "max_hedaers",
                Value::Number(1),
                "there is no setting `max_hedaers`",
            ),
            (
                "max_headers",
                Value::Number(0),
                "`max_headers` must be 1 to 10000, not 0",
            ),
            (
                "max_headers",
                Value::Number(24_577),
                "`max_headers` must be 1 to 10000, not 24577",
            ),
            (
                "max_headers",
                Value::Unlimited,
                "`max_headers` must be a whole number",
            ),
            (
                "max_headers",
                Value::Seconds(1.5),
                "`max_headers` must be a whole number",
            ),
            (
                "max_body_size",
                Value::Flag(true),
                "`max_body_size` must be a whole number",
            ),
            (
                "access_log",
                Value::Number(1),
                "`access_log` must be true or false",
            ),
            (
                "head_timeout",
                Value::Flag(true),
                "`head_timeout` must be a number of seconds",
            ),
            (
                "head_timeout",
                Value::Seconds(-1.0),
                "`head_timeout` must be 0 to 31622400, not -1",
            ),
            (
                "head_timeout",
                Value::Seconds(f64::NAN),
                "`head_timeout` must be 0 to 31622400, not NaN",
            ),
            (
                "head_timeout",
                Value::Seconds(1e300),
                "`head_timeout` must be 0 to 31622400, not 1",
            ),
            (
                "backlog",
                Value::Number(1 << 40),
                "`backlog` must be 1 to 1000000, not 1099511627776",
            ),
        ] {
            let error = config.set(name, value).unwrap_err().to_string();
            assert!(error.starts_with(said), "{error}");
        }
        assert_eq!(config, Config::default());
    }
}
