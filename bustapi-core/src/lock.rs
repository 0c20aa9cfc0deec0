//! Locks that no panic makes unusable.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks where no code that can panic runs under the lock, so poison means nothing.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
