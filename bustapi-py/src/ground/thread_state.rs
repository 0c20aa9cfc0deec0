//! Threads that call Python again and again.

use std::cell::RefCell;

use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyDict;

use crate::error;

/// Runs `body` on this thread with its Python thread state kept until the end.
///
/// Each outermost attach otherwise makes a thread state and frees it again, which costs more
/// than the call it is made for (17 against 9 microseconds a request).
#[expect(
    unsafe_code,
    reason = "pyo3 has no safe way to keep a thread state between attaches"
)]
pub(crate) fn keep_thread_state(body: &mut dyn FnMut()) {
    // SAFETY: the interpreter is initialised, as this code was loaded by it. Ensure gives this
    // thread a state and attaches it; SaveThread detaches it but keeps it; the counter of Ensure
    // stays above zero, so the attaches inside `body` find the state and leave it in place.
    // `body` cannot unwind past here: the executor catches panics around each job.
    unsafe {
        let state = ffi::PyGILState_Ensure();
        Python::attach(|py| {
            if let Err(error) = be_no_daemon(py) {
                error.write_unraisable(py, None);
            }
        });
        let saved = ffi::PyEval_SaveThread();
        body();
        ffi::PyEval_RestoreThread(saved);
        ffi::PyGILState_Release(state);
    }
}

/// Says that this thread is no daemon; `threading` takes those that it has not started for daemons,
/// and a thread's own threads are what it is itself. Python waits at the end of the process for
/// those that are none, as it does for those that the main thread starts.
fn be_no_daemon(py: Python<'_>) -> PyResult<()> {
    py.import("threading")?
        .call_method0("current_thread")?
        .setattr("_daemonic", false)
}

/// Attaches this thread to call the application, under the functions that `threading.settrace` and
/// `threading.setprofile` have set.
pub(crate) fn attach_to_call<R>(act: impl FnOnce(Python<'_>) -> R) -> R {
    Python::attach(|py| {
        follow_hooks(py);
        act(py)
    })
}

/// The functions of `threading` that this thread has taken over.
#[derive(Default)]
struct Followed {
    trace: Option<Py<PyAny>>,
    profile: Option<Py<PyAny>>,
}

thread_local! {
    static FOLLOWED: RefCell<Followed> = RefCell::default();
}

/// Gives this thread the trace and profile functions of `threading`, as a thread that Python starts
/// gets them when it starts. Under Flask's server each request has such a thread, so what is set
/// later holds for later requests; here threads are kept, so they look again each time.
pub(crate) fn follow_hooks(py: Python<'_>) {
    static THREADING: PyOnceLock<Py<PyDict>> = PyOnceLock::new();
    let threading = THREADING.get_or_try_init(py, || {
        Ok::<_, PyErr>(py.import("threading")?.dict().unbind())
    });
    let followed = threading.and_then(|threading| {
        let threading = threading.bind(py);
        // The hooks are read from the module: `threading.gettrace()` and `getprofile()` would be
        // traced themselves, and are slower.
        let trace = threading.get_item(intern!(py, "_trace_hook"))?;
        let profile = threading.get_item(intern!(py, "_profile_hook"))?;
        let trace = trace.filter(|hook| !hook.is_none());
        let profile = profile.filter(|hook| !hook.is_none());
        if FOLLOWED.with_borrow(|followed| {
            is_same(followed.trace.as_ref(), trace.as_ref())
                && is_same(followed.profile.as_ref(), profile.as_ref())
        }) {
            return Ok(());
        }
        // The new hooks are noted before they are set: setting one has it called, and it must find
        // nothing borrowed here.
        let followed = FOLLOWED.replace(Followed {
            trace: trace.clone().map(Bound::unbind),
            profile: profile.clone().map(Bound::unbind),
        });
        let sys = py.import("sys")?;
        let follow = |followed: Option<Py<PyAny>>, hook: Option<Bound<'_, PyAny>>, get, set| {
            if is_same(followed.as_ref(), hook.as_ref()) {
                return Ok(());
            }
            let current = sys.call_method0(get)?;
            // A function that something else has set for this thread stays.
            if current.is_none() || followed.is_some_and(|ours| current.is(&ours)) {
                sys.call_method1(set, (hook,))?;
            }
            Ok::<_, PyErr>(())
        };
        follow(followed.trace, trace, "gettrace", "settrace")?;
        follow(followed.profile, profile, "getprofile", "setprofile")
    });
    if let Err(error) = followed {
        error::report(py, error, "the setting of a trace function");
    }
}

fn is_same(followed: Option<&Py<PyAny>>, hook: Option<&Bound<'_, PyAny>>) -> bool {
    followed.map(Py::as_ptr) == hook.map(Bound::as_ptr)
}
