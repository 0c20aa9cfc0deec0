//! The native server, started from Python.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bustapi_core::executor::Executor;
use bustapi_core::lifeline::{self, Lifeline};
use bustapi_core::{Address, Dispatcher, Gathering, Interrupter, Server, shutdown};
use bustapi_http::Peer;
use pyo3::exceptions::{PyException, PyRuntimeError};
use pyo3::prelude::*;
use tokio::sync::Notify;

use crate::error;
use crate::lifecycle::outcome::PythonNames;
use crate::request::environ::set_multiprocess;
use crate::response::streams::StreamWork;
use crate::routing::RuleMap;
use crate::serve::application::Application;
use crate::serve::calls::Calls;
use crate::serve::config::ServerConfig;
use crate::serve::event_loop::Answers;
use crate::serve::handler::PythonHandler;
use crate::serve::signals::{Heard, Hearing};

/// A bound socket, made before processes fork and used by one of them.
#[pyclass(frozen, module = "bustapi._native")]
pub(crate) struct Listener {
    listener: Mutex<Option<bustapi_core::Listener>>,
    backlog: i32,
}

#[pymethods]
impl Listener {
    /// Binds and listens on `host` and `port`, or on the unix socket at `path`, whose file has the
    /// permissions `mode`.
    ///
    /// :raises OSError: if the address is in use, not permitted or not known.
    #[new]
    #[pyo3(signature = (host, port, config, *, path=None, mode=None))]
    fn new(
        host: String,
        port: u16,
        config: &Bound<'_, ServerConfig>,
        path: Option<PathBuf>,
        mode: Option<u32>,
    ) -> PyResult<Self> {
        let backlog = config.get().0.backlog;
        let bound = match path {
            Some(path) => {
                let mode = mode.unwrap_or(bustapi_core::UNIX_MODE);
                bustapi_core::Listener::bind_unix(&path, backlog, mode)
            }
            None => bustapi_core::Listener::bind(&Address::Tcp(host, port), backlog),
        };
        let listener = bound.map_err(|error| error::from_server(&error))?;
        Ok(Self::of(listener, backlog))
    }

    /// A handle on the listening socket behind a file descriptor, which stays the caller's.
    ///
    /// :raises OSError: if it is no descriptor, or there are none left.
    #[staticmethod]
    fn adopt(descriptor: RawFd, config: &Bound<'_, ServerConfig>) -> PyResult<Self> {
        let socket = bustapi_core::Listener::adopt(duplicate(descriptor)?);
        Ok(Self::of(socket, config.get().0.backlog))
    }

    /// A listener on the same address for another process: a socket of its own where the
    /// system spreads connections over several, and a second handle elsewhere.
    ///
    /// :raises OSError: if there are no file descriptors left.
    fn another(&self) -> PyResult<Self> {
        let listener = self.with(|listener| listener.another(self.backlog))?;
        Ok(Self::of(listener, self.backlog))
    }

    /// A second handle on the same socket.
    ///
    /// :raises OSError: if there are no file descriptors left.
    fn duplicate(&self) -> PyResult<Self> {
        let listener = self.with(bustapi_core::Listener::try_clone)?;
        Ok(Self::of(listener, self.backlog))
    }

    /// Host and port bound to, or the unix socket's path and `None`.
    fn address(&self) -> PyResult<(String, Option<u16>)> {
        Ok(match self.with(bustapi_core::Listener::local)? {
            Peer::Tcp(address) => (address.ip().to_string(), Some(address.port())),
            Peer::Unix(path) => (path.unwrap_or_default(), None),
        })
    }

    /// The file descriptor.
    fn fileno(&self) -> PyResult<RawFd> {
        self.with(|listener| Ok(listener.as_fd().as_raw_fd()))
    }

    /// Leaves the file of a unix socket to another process, which removes it at the end.
    fn leave_file(&self) {
        if let Some(listener) = self.slot().as_mut() {
            listener.leave_file();
        }
    }

    /// Closes this handle, and removes the file of a unix socket if it is this one's.
    fn close(&self) {
        drop(self.slot().take());
    }
}

impl Listener {
    fn of(listener: bustapi_core::Listener, backlog: i32) -> Self {
        Self {
            listener: Mutex::new(Some(listener)),
            backlog,
        }
    }

    fn slot(&self) -> MutexGuard<'_, Option<bustapi_core::Listener>> {
        self.listener.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<T>(
        &self,
        ask: impl FnOnce(&bustapi_core::Listener) -> std::io::Result<T>,
    ) -> PyResult<T> {
        match self.slot().as_ref() {
            Some(listener) => Ok(ask(listener)?),
            None => Err(PyRuntimeError::new_err(
                "the listener is closed, or being served",
            )),
        }
    }
}

/// A descriptor of our own for what is behind one of the caller's.
#[expect(unsafe_code, reason = "Python gives file descriptors as numbers")]
fn duplicate(descriptor: RawFd) -> std::io::Result<OwnedFd> {
    if descriptor < 0 {
        return Err(std::io::Error::from(std::io::ErrorKind::InvalidInput));
    }
    // SAFETY: it is not negative, borrowed for this call alone, and closed by nobody meanwhile but
    // a program that closes what is not its own; a number that is no descriptor is an error.
    let borrowed = unsafe { BorrowedFd::borrow_raw(descriptor) };
    borrowed.try_clone_to_owned()
}

/// Ends this process, as by SIGTERM, when the one that started it has ended, where the system
/// can do that.
///
/// :raises OSError: if it refuses.
#[pyfunction]
pub(crate) fn end_with_parent() -> PyResult<()> {
    Ok(lifeline::end_with_parent()?)
}

/// How long idle threads may take to end, and busy ones to finish, after the drain time.
const JOIN_TIME: Duration = Duration::from_secs(1);

/// Serves `app` on `listener` until SIGINT or SIGTERM, on threads of its own; without `signals`,
/// until the process ends. The calling thread waits, and with `signals`, where it is Python's main
/// one, runs the handlers of whatever signals come. One that raises something beyond `Exception`,
/// as `sys.exit` does, ends the server in good order, too.
///
/// `lifeline` is a worker's socket to the process that started it (see `bustapi_core::lifeline`),
/// and `multiprocess` says whether there are other workers.
///
/// SIGINT and SIGTERM are heard where they have handlers in Python. A second one ends the process
/// at once.
///
/// :return: whether all threads have ended, and what a handler raised. A thread that is still in a
///     view must not meet the end of the interpreter.
/// :raises OSError: if the listener cannot be used.
/// :raises ValueError: `signals` on another thread than the main one.
#[pyfunction]
#[pyo3(signature = (app, listener, config, *, signals=true, lifeline=None, multiprocess=false))]
pub(crate) fn serve(
    py: Python<'_>,
    app: Py<PyAny>,
    listener: &Bound<'_, Listener>,
    config: &Bound<'_, ServerConfig>,
    signals: bool,
    lifeline: Option<RawFd>,
    multiprocess: bool,
) -> PyResult<(bool, Option<PyErr>)> {
    let lifeline = lifeline.map(duplicate).transpose()?.map(Lifeline::new);
    set_multiprocess(multiprocess);
    let listener = listener
        .get()
        .slot()
        .take()
        .ok_or_else(|| PyRuntimeError::new_err("the listener is being served already"))?;
    let config = config.get().0.clone();
    let names = PythonNames::of(py)?;
    let url_map = app.bind(py).getattr("url_map")?;
    let rules = url_map
        .cast::<RuleMap>()
        .ok()
        .map(|url_map| url_map.get().shared());
    let view_map = url_map.unbind();
    let streams = Executor::new(Arc::new(StreamWork), config.stream_threads).with_notice(format!(
        "{} streams are waiting for their applications; further ones wait for them \
             (see `stream_threads`)",
        config.stream_threads
    ));
    let calls = Arc::new(Calls {
        application: Application::new(app, view_map, names, streams.clone()),
    });
    let executor = Executor::new(Arc::clone(&calls), config.threads);
    let answers = Arc::new(Answers::default());
    let gathering = Gathering {
        memory: config.gathered_body_memory,
        most: config.gathered_body_size,
    };
    let handler = PythonHandler::new(
        gathering,
        calls,
        executor.clone(),
        rules,
        Arc::clone(&answers),
    );
    let (hearing, heard) = if signals {
        Hearing::begin(py).map(|(hearing, heard)| (Some(hearing), Some(heard)))?
    } else {
        (None, None)
    };
    let stop = Arc::new(Notify::new());
    let stopped = Arc::clone(&stop);
    let running = Server::new(config, Dispatcher::to(handler)).start(
        listener,
        &executor,
        move |interrupter| {
            tokio::spawn(answers.deliver());
            stop_requested(heard, lifeline, interrupter, stopped)
        },
    );
    let mut raised = None;
    let served = running.and_then(|running| {
        loop {
            if let Some(result) = py.detach(|| running.wait()) {
                break result;
            }
            if let Err(error) = py.check_signals() {
                if error.is_instance_of::<PyException>(py) {
                    error::report(py, error, "the handler of a signal");
                } else {
                    raised.get_or_insert(error);
                    stop.notify_one();
                }
            }
        }
    });
    if let Some(hearing) = hearing {
        hearing.end(py)?;
    }
    let idle = py.detach(|| {
        executor.close();
        streams.close();
        executor.join(JOIN_TIME) && streams.join(JOIN_TIME)
    });
    match served {
        Ok(()) => Ok((idle, raised)),
        Err(error) => Err(error::from_server(&error)),
    }
}

/// Completes when the process is to stop: on SIGINT or SIGTERM, where signals are heard, when its
/// parent says so, and when `stopped` is notified.
async fn stop_requested(
    heard: Option<UnixStream>,
    lifeline: Option<Lifeline>,
    interrupter: Interrupter,
    stopped: Arc<Notify>,
) {
    // It goes on after the stop: a second signal ends the process, and others have handlers.
    let signalled = tokio::spawn(async {
        match heard.map(|heard| Heard::new(heard, interrupter)) {
            Some(Ok(heard)) => shutdown::first_of(heard).await,
            Some(Err(error)) => {
                bustapi_core::log(&format!("cannot hear signals: {error}"));
                std::future::pending::<()>().await;
            }
            None => std::future::pending::<()>().await,
        }
    });
    let stopped = async {
        tokio::select! {
            _ = signalled => {}
            () = stopped.notified() => {}
        }
    };
    let Some(lifeline) = lifeline else {
        return stopped.await;
    };
    if let Err(error) = lifeline.hold() {
        // Without it, nobody would tell this worker to stop.
        bustapi_core::log(&format!("cannot hear the parent process: {error}"));
        return;
    }
    tokio::select! {
        () = stopped => {}
        () = lifeline.stopped() => {}
    }
    lifeline.leave();
}
