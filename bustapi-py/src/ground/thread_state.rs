//! Threads that call Python again and again.
#![expect(
    unsafe_code,
    reason = "pyo3 has no safe way to keep a thread state between attaches"
)]

use pyo3::ffi;

/// Runs `body` on this thread with its Python thread state kept until the end.
///
/// Each outermost attach otherwise makes a thread state and frees it again, which costs more
/// than the call it is made for (17 against 9 microseconds a request).
pub(crate) fn keep_thread_state(body: &mut dyn FnMut()) {
    // SAFETY: the interpreter is initialised, as this code was loaded by it. Ensure gives this
    // thread a state and attaches it; SaveThread detaches it but keeps it; the counter of Ensure
    // stays above zero, so the attaches inside `body` find the state and leave it in place.
    // `body` cannot unwind past here: the executor catches panics around each job.
    unsafe {
        let state = ffi::PyGILState_Ensure();
        let saved = ffi::PyEval_SaveThread();
        body();
        ffi::PyEval_RestoreThread(saved);
        ffi::PyGILState_Release(state);
    }
}
