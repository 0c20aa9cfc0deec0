//! The line between a worker process and the process that started it.
//!
//! It is a pair of connected sockets, of which each process has one end. The worker says on it that
//! it serves, and later that it takes no new connections any more; the other process says when
//! it is to stop. Asking this way cannot be taken for a second signal: a terminal or a service
//! manager may have sent one to every process already.
//!
//! The end of the line means that the other process is gone, whatever ended it. A worker that
//! outlived it would share its address with the next server, and old and new code would answer
//! in turn. So it has [`GONE_TIME`] from then on. A thread of the line's own sees to that, as
//! everything else may be held up.

use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::sync::Notify;

use crate::log::log;

/// What a worker says.
const SERVES: u8 = b'r';
const LEAVES: u8 = b'l';
/// What it is told: to drain, or to end at once.
const STOP: u8 = b's';

/// How long a worker may go on with what it has when its parent process is gone.
pub const GONE_TIME: Duration = Duration::from_millis(1500);

/// A worker's end of the line.
#[derive(Debug)]
pub struct Lifeline {
    line: UnixStream,
    stop: Arc<Notify>,
}

impl Lifeline {
    /// Takes the worker's end of a pair of connected unix sockets.
    #[must_use]
    pub fn new(line: OwnedFd) -> Self {
        Self {
            line: UnixStream::from(line),
            stop: Arc::default(),
        }
    }

    /// Says that this process serves, and listens from now on.
    ///
    /// # Errors
    ///
    /// The system's, if there can be no further descriptor or thread. The other end may be gone:
    /// that is no error, but [`stopped`](Self::stopped).
    pub fn hold(&self) -> io::Result<()> {
        let line = self.line.try_clone()?;
        let stop = Arc::clone(&self.stop);
        thread::Builder::new()
            .name("bustapi-lifeline".to_owned())
            .spawn(move || listen(line, &stop))?;
        self.say(SERVES);
        Ok(())
    }

    /// Completes when this process is to stop, or its parent is gone. For one task at a time.
    pub async fn stopped(&self) {
        self.stop.notified().await;
    }

    /// Says that this process takes no new connections any more.
    pub fn leave(&self) {
        self.say(LEAVES);
    }

    fn say(&self, what: u8) {
        // An error means that the parent is gone and need not be told.
        drop((&self.line).write_all(&[what]));
    }
}

fn listen(mut line: UnixStream, stop: &Notify) {
    let mut told = [0];
    loop {
        match line.read(&mut told) {
            Ok(1) if told == [STOP] => stop.notify_one(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // Any byte but `STOP` tells this process to end at once.
            Ok(1) => end(),
            Ok(_) | Err(_) => break,
        }
    }
    stop.notify_one();
    thread::sleep(GONE_TIME);
    end();
}

/// Ends this process as it is: an orderly end could wait for what holds it up.
fn end() {
    use rustix::process::{Signal, getpid, kill_process};

    if let Err(error) = kill_process(getpid(), Signal::KILL) {
        log(&format!("cannot end this process: {error}"));
    }
}

/// Asks the system to end this process, as by SIGTERM, when the thread that started it has ended.
/// Without effect on other systems than Linux, where the end of the lifeline is all that tells.
///
/// # Errors
///
/// The system's.
pub fn end_with_parent() -> io::Result<()> {
    #[cfg(target_os = "linux")]
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::TERM))?;
    Ok(())
}
