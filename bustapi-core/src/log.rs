//! The server's own messages and the access log, on standard error.
//!
//! # Theory of operation
//!
//! Standard error may be a pipe that nobody reads, a full disk or a terminal that has gone. No
//! request waits for it: lines go through a queue of bounded length to a thread of its own, which
//! alone waits. A line that finds no room, or cannot be written, is dropped and counted, and the
//! count is written as soon as a line can be. The thread is made for the first line of a process,
//! so that a process that forks before it says anything shares none.

use std::io;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::sync::{Mutex, OnceLock};
use std::thread;
use std::time::Duration;

use crate::lock::lock;

/// Where the server's own messages go: set once by the embedding program.
static LOGGER: OnceLock<fn(&str)> = OnceLock::new();

/// Sends the server's own messages to `logger` instead of standard error. Only the first
/// call has an effect; it returns whether this was it. What it does, requests wait for.
pub fn set_logger(logger: fn(&str)) -> bool {
    LOGGER.set(logger).is_ok()
}

/// Reports a fault of the server's own.
pub fn log(message: &str) {
    match LOGGER.get() {
        Some(logger) => logger(message),
        None => write_line(format!("bustapi: {message}\n")),
    }
}

/// The longest write that does not mix with those of other processes (`PIPE_BUF` of Linux).
const WRITE: usize = 4096;
/// How long a standard error that does not block is left alone when it is full.
const PAUSE: Duration = Duration::from_millis(20);

/// How many lines may wait; see `Config::log_lines`.
static CAPACITY: AtomicUsize = AtomicUsize::new(8192);
/// Lines that were dropped and not told of.
static LOST: AtomicU64 = AtomicU64::new(0);
static WRITER: Mutex<Option<Writer>> = Mutex::new(None);

enum Entry {
    Line(String),
    /// Everything before it has been written, or dropped.
    Mark(SyncSender<()>),
}

/// The sending side of a process's queue.
struct Writer {
    process: u32,
    queue: SyncSender<Entry>,
}

/// Has at most `lines` wait in queues that are made from now on.
pub(crate) fn set_capacity(lines: usize) {
    CAPACITY.store(lines, Relaxed);
}

/// Has a line written that ends with its line feed, without waiting.
pub(crate) fn write_line(line: String) {
    if !offer(Entry::Line(line)) {
        LOST.fetch_add(1, Relaxed);
    }
}

/// Waits until the lines of the log so far are written, but no longer than `limit`.
pub fn flush_log(limit: Duration) {
    if lock(&WRITER).is_none() {
        return;
    }
    let (mark, passed) = sync_channel(1);
    if offer(Entry::Mark(mark)) {
        // Lines that could not be written in time are lost.
        let _ = passed.recv_timeout(limit);
    }
}

fn offer(entry: Entry) -> bool {
    let mut slot = lock(&WRITER);
    let process = std::process::id();
    if slot.as_ref().is_none_or(|writer| writer.process != process) {
        let (queue, lines) = sync_channel(CAPACITY.load(Relaxed));
        let made = thread::Builder::new()
            .name("bustapi-log".to_owned())
            .spawn(move || write_all(&lines));
        if made.is_err() {
            return false;
        }
        *slot = Some(Writer { process, queue });
    }
    slot.as_ref()
        .is_some_and(|writer| writer.queue.try_send(entry).is_ok())
}

/// Writes what comes until the process ends.
fn write_all(lines: &Receiver<Entry>) {
    let mut batch = String::new();
    let mut count = 0;
    let mut next = lines.recv().ok();
    while let Some(entry) = next.take() {
        match entry {
            Entry::Line(line) if batch.is_empty() || batch.len() + line.len() <= WRITE => {
                batch.push_str(&line);
                count += 1;
            }
            Entry::Line(line) => {
                write_batch(&mut batch, &mut count);
                batch.push_str(&line);
                count = 1;
            }
            Entry::Mark(mark) => {
                write_batch(&mut batch, &mut count);
                // An error means that the waiting thread has given up.
                let _ = mark.try_send(());
            }
        }
        next = match lines.try_recv() {
            Err(TryRecvError::Empty) => {
                write_batch(&mut batch, &mut count);
                lines.recv().ok()
            }
            entry => entry.ok(),
        };
    }
    write_batch(&mut batch, &mut count);
}

fn write_batch(batch: &mut String, count: &mut u64) {
    if *count == 0 {
        return;
    }
    if write(batch.as_bytes()).is_err() {
        LOST.fetch_add(*count, Relaxed);
    } else {
        let lost = LOST.swap(0, Relaxed);
        let told = lost == 0
            || write(format!("bustapi: {lost} lines of the log could not be written\n").as_bytes())
                .is_ok();
        if !told {
            LOST.fetch_add(lost, Relaxed);
        }
    }
    batch.clear();
    *count = 0;
}

fn write(mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match write_some(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // Another program has the terminal or the pipe in that mode.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::sleep(PAUSE),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Without the lock of the standard library's handle, which a panic elsewhere would wait for.
#[cfg(unix)]
fn write_some(bytes: &[u8]) -> io::Result<usize> {
    Ok(rustix::io::write(io::stderr(), bytes)?)
}

#[cfg(not(unix))]
fn write_some(bytes: &[u8]) -> io::Result<usize> {
    use std::io::Write;

    io::stderr().write(bytes)
}

/// Opens what is closed of standard input, output and error on `/dev/null`: a socket would get the
/// number otherwise, and lines of the log would be sent to a client.
pub(crate) fn hold_standard_streams() {
    #[cfg(unix)]
    while let Ok(null) = std::fs::File::options()
        .read(true)
        .write(true)
        .open("/dev/null")
    {
        use std::os::fd::{AsRawFd, IntoRawFd};

        // The lowest number that is free.
        if null.as_raw_fd() > 2 {
            break;
        }
        // It stays open as long as the process lives.
        let _ = null.into_raw_fd();
    }
}
