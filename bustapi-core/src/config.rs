//! Limits and time-outs of a server; every one is on by default.

use std::time::Duration;

/// Limits and time-outs. A `Duration` of zero turns a time-out off where nothing else is said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Longest head (request line and header fields) in bytes; longer ones answer 414 or 431.
    pub max_head_size: usize,
    /// Longest path and query in bytes; longer ones answer 414.
    pub max_target_size: usize,
    /// Most header fields in a head; more answer 431.
    pub max_headers: usize,
    /// Longest request body in bytes, `None` for no limit of the server's own; longer ones answer 413.
    pub max_body_size: Option<u64>,
    /// Bodies announced as at most this many bytes are read whole before the handler is called.
    pub buffered_body_size: usize,
    /// How much of a body that nobody has read is received all the same, in bytes, so that the
    /// connection can be used again; it is closed behind the answer where there is more.
    pub unread_body_size: u64,
    /// Most open connections; further ones wait in the listen queue.
    pub max_connections: usize,
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
    pub pool_threads: usize,
    /// Most threads that wait for pieces of streamed answers. Each takes some 40 KB while its
    /// stream waits; further streams wait for one of them.
    pub stream_threads: usize,
    /// Whether each answered request is written to the access log.
    pub access_log: bool,
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
            // Received in less time than a client needs for a new connection.
            unread_body_size: 256 * 1024,
            max_connections: 10_000,
            backlog: 2048,
            head_timeout: Duration::from_secs(15),
            body_timeout: Duration::from_secs(60),
            write_timeout: Duration::from_secs(60),
            // Longer than the 60 s that load balancers keep theirs, so that they close first.
            keep_alive_timeout: Duration::from_secs(75),
            drain_timeout: Duration::from_secs(30),
            pool_threads: 100,
            // Event streams hold one each for as long as they wait, and they are made on demand.
            stream_threads: 1000,
            access_log: false,
        }
    }
}
