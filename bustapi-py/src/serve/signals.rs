//! Signals that Python notes, made known to the server and to Python's main thread.
//!
//! # Theory of operation
//!
//! Python's own handler of a signal only notes it; what the program has set with `signal.signal` is
//! called by the main thread, when that next runs Python. While it waits for the server, it does
//! not. So Python is given a socket (`signal.set_wakeup_fd`) that it writes the signal's number to,
//! from within the handler and without the interpreter's lock; the server's runtime reads it. Of
//! every signal the main thread is told, which then runs the handlers; SIGINT and SIGTERM also stop
//! the server, whatever Python is doing.

use std::io::{self, ErrorKind};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;

use bustapi_core::Interrupter;
use bustapi_core::shutdown::StopSignals;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use tokio::io::Interest;

const SIGINT: i32 = 2;
const SIGTERM: i32 = 15;

/// Has Python tell of the signals that it notes, until [`Hearing::end`].
pub(crate) struct Hearing {
    /// What was told before.
    previous: RawFd,
    /// Kept open for Python.
    _writing: UnixStream,
}

impl Hearing {
    /// Begins to hear, on the main thread.
    ///
    /// # Errors
    ///
    /// `ValueError` on another thread; `OSError` where the system gives no sockets.
    pub(crate) fn begin(py: Python<'_>) -> PyResult<(Self, UnixStream)> {
        let (reading, writing) = UnixStream::pair()?;
        reading.set_nonblocking(true)?;
        writing.set_nonblocking(true)?;
        let previous = set_wakeup(py, writing.as_raw_fd())?;
        let hearing = Self {
            previous,
            _writing: writing,
        };
        Ok((hearing, reading))
    }

    /// Tells whom Python told before.
    ///
    /// # Errors
    ///
    /// `ValueError` where that is closed by now; Python tells nobody then.
    pub(crate) fn end(self, py: Python<'_>) -> PyResult<()> {
        if let Err(error) = set_wakeup(py, self.previous) {
            set_wakeup(py, NOBODY)?;
            return Err(error);
        }
        Ok(())
    }
}

/// What Python takes for no descriptor.
const NOBODY: RawFd = -1;

/// Sets whom Python tells, and gives whom it told before.
fn set_wakeup(py: Python<'_>, descriptor: RawFd) -> PyResult<RawFd> {
    let options = PyDict::new(py);
    // More signals than a socket has room for need not be told one by one.
    options.set_item("warn_on_full_buffer", false)?;
    py.import("signal")?
        .getattr("set_wakeup_fd")?
        .call((descriptor,), Some(&options))?
        .extract()
}

/// The signals that Python notes, as the server hears them.
pub(crate) struct Heard {
    reading: tokio::net::UnixStream,
    /// Numbers that have been read and are to be looked at.
    numbers: Vec<u8>,
    /// Makes Python's main thread run the handlers.
    interrupter: Interrupter,
}

impl Heard {
    /// To be called on the runtime.
    ///
    /// # Errors
    ///
    /// Where the runtime cannot watch the socket.
    pub(crate) fn new(reading: UnixStream, interrupter: Interrupter) -> io::Result<Self> {
        Ok(Self {
            reading: tokio::net::UnixStream::from_std(reading)?,
            numbers: Vec::new(),
            interrupter,
        })
    }

    /// Waits for signals.
    async fn read(&mut self) -> io::Result<()> {
        self.reading.ready(Interest::READABLE).await?;
        let mut bytes = [0; 64];
        match self.reading.try_read(&mut bytes) {
            Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
            Ok(count) => {
                self.numbers.extend(bytes[..count].iter().rev());
                self.interrupter.interrupt();
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error),
        }
    }
}

impl StopSignals for Heard {
    async fn next(&mut self) -> i32 {
        loop {
            while let Some(number) = self.numbers.pop() {
                if [SIGINT, SIGTERM].contains(&i32::from(number)) {
                    return i32::from(number);
                }
            }
            if let Err(error) = self.read().await {
                bustapi_core::log(&format!("cannot hear signals: {error}"));
                std::future::pending::<()>().await;
            }
        }
    }
}
