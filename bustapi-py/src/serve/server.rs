//! The native server, started from Python.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use bustapi_core::executor::Executor;
use bustapi_core::{Address, Dispatcher, Gathering, Server};
use bustapi_http::Peer;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

use crate::error;
use crate::lifecycle::outcome::Package;
use crate::response::streams::StreamWork;
use crate::routing::RuleMap;
use crate::serve::application::View;
use crate::serve::calls::Calls;
use crate::serve::config::ServerConfig;
use crate::serve::event_loop::Answers;
use crate::serve::handler::PythonHandler;

/// A bound socket, made before processes fork and used by one of them.
#[pyclass(frozen, module = "bustapi._native")]
pub(crate) struct Listener {
    listener: Mutex<Option<bustapi_core::Listener>>,
}

#[pymethods]
impl Listener {
    /// Binds and listens on `host` and `port`, or on the unix socket at `path`.
    ///
    /// :raises OSError: if the address is in use, not permitted or not known.
    #[new]
    #[pyo3(signature = (host, port, config, *, path=None, shared=false))]
    fn new(
        host: String,
        port: u16,
        config: &Bound<'_, ServerConfig>,
        path: Option<PathBuf>,
        shared: bool,
    ) -> PyResult<Self> {
        let address = path.map_or(Address::Tcp(host, port), Address::Unix);
        let listener = bustapi_core::Listener::bind(&address, config.get().0.backlog, shared)
            .map_err(|error| error::from_server(&error))?;
        Ok(Self {
            listener: Mutex::new(Some(listener)),
        })
    }

    /// A second handle on the same socket, for another process.
    ///
    /// :raises OSError: if there are no file descriptors left.
    fn duplicate(&self) -> PyResult<Self> {
        let slot = self.listener.lock().unwrap_or_else(PoisonError::into_inner);
        let listener = slot
            .as_ref()
            .ok_or_else(|| PyRuntimeError::new_err("the listener is being served"))?
            .try_clone()?;
        Ok(Self {
            listener: Mutex::new(Some(listener)),
        })
    }

    /// Host and port bound to, or the unix socket's path and `None`.
    fn address(&self) -> PyResult<(String, Option<u16>)> {
        let slot = self.listener.lock().unwrap_or_else(PoisonError::into_inner);
        let listener = slot
            .as_ref()
            .ok_or_else(|| PyRuntimeError::new_err("the listener is being served"))?;
        Ok(match listener.local()? {
            Peer::Tcp(address) => (address.ip().to_string(), Some(address.port())),
            Peer::Unix(path) => (path.unwrap_or_default(), None),
        })
    }
}

/// How long idle threads may take to end, and busy ones to finish, after the drain time.
const JOIN_TIME: Duration = Duration::from_secs(1);

/// Serves `app` on `listener` until SIGINT or SIGTERM, on the calling thread; without
/// `signals`, until the process ends.
///
/// :return: whether all threads have ended. One that is still in a view must not meet the end
///     of the interpreter.
/// :raises OSError: if the listener cannot be used.
#[pyfunction]
#[pyo3(signature = (app, listener, config, *, signals=true))]
pub(crate) fn serve(
    py: Python<'_>,
    app: Py<PyAny>,
    listener: &Bound<'_, Listener>,
    config: &Bound<'_, ServerConfig>,
    signals: bool,
) -> PyResult<bool> {
    let listener = listener
        .get()
        .listener
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take()
        .ok_or_else(|| PyRuntimeError::new_err("the listener is being served already"))?;
    let config = config.get().0.clone();
    let plan = py.import("bustapi.plan")?;
    let globals = py.import("bustapi.globals")?;
    let package = Package {
        describe: plan.getattr("describe")?.unbind(),
        recover: plan.getattr("recover")?.unbind(),
        cv_app: globals.getattr("_cv_app")?.unbind(),
        cv_request: globals.getattr("_cv_request")?.unbind(),
    };
    let url_map = app.bind(py).getattr("url_map")?;
    let rules = url_map
        .cast::<RuleMap>()
        .ok()
        .map(|url_map| url_map.get().shared());
    let view_map = url_map.unbind();
    py.detach(move || {
        let streams =
            Executor::new(Arc::new(StreamWork), config.stream_threads).with_notice(format!(
                "{} streams are waiting for their applications; further ones wait for them \
             (see `stream_threads`)",
                config.stream_threads
            ));
        let calls = Arc::new(Calls {
            view: View::new(app, view_map, package, streams.clone()),
        });
        let executor = Executor::new(Arc::clone(&calls), config.threads);
        let answers = Arc::new(Answers::default());
        let handler = PythonHandler {
            gathering: Gathering {
                memory: config.gathered_body_memory,
                most: config.gathered_body_size,
            },
            calls,
            executor: executor.clone(),
            rules,
            answers: Arc::clone(&answers),
            endpoints: Mutex::default(),
            event_loop: OnceLock::new(),
        };
        let driving = executor.clone();
        let served = Server::new(config, Dispatcher::to(handler)).run(listener, move || {
            tokio::spawn(driving.drive());
            tokio::spawn(answers.deliver());
            stop_requested(signals)
        });
        executor.close();
        streams.close();
        let idle = executor.join(JOIN_TIME) && streams.join(JOIN_TIME);
        served.map(|()| idle)
    })
    .map_err(|error| error::from_server(&error))
}

/// Completes on SIGINT or SIGTERM; never if signals are somebody else's matter.
async fn stop_requested(signals: bool) {
    use tokio::signal::unix::{SignalKind, signal};

    if signals
        && let (Ok(mut interrupt), Ok(mut terminate)) = (
            signal(SignalKind::interrupt()),
            signal(SignalKind::terminate()),
        )
    {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    } else {
        std::future::pending::<()>().await;
    }
}
