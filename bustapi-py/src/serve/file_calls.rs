//! Requests for static files, answered while Python cannot be asked.
//!
//! A static file is sent by the server, but in its place among the application's steps, which only
//! Python knows. When a C function keeps the interpreter, what was so at the endpoint's last answer
//! is taken to be so still: that there are no such steps. Nothing can change it meanwhile.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use bustapi_core::Responder;
use http::Method;
use pyo3::prelude::*;

use crate::lifecycle::plan::Plan;
use crate::request::raw::mentions_cookie;
use crate::serve::arrived::Arrived;

/// What an endpoint's last answer was, if that was a static file and nothing else had a say in it.
#[derive(Default)]
pub(crate) struct LastFile {
    known: Mutex<Option<Arc<Known>>>,
    /// Whether there is one: nearly all endpoints send no files.
    is_known: AtomicBool,
}

struct Known {
    plan: Arc<Plan>,
    /// A request that may bring a session is the application's.
    session_cookie: Option<String>,
}

impl LastFile {
    fn get(&self) -> Option<Arc<Known>> {
        if !self.is_known.load(Relaxed) {
            return None;
        }
        let known = self.known.lock();
        known.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, known: Option<Arc<Known>>) {
        self.is_known.store(known.is_some(), Relaxed);
        let last = {
            let slot = self.known.lock();
            std::mem::replace(&mut *slot.unwrap_or_else(PoisonError::into_inner), known)
        };
        // After the lock: what it holds may run code when it is dropped.
        drop(last);
    }

    /// Notes that the steps of `plan` have answered, and whether with a static file.
    ///
    /// # Errors
    ///
    /// What reading the settings raises.
    pub(crate) fn note(&self, py: Python<'_>, plan: &Arc<Plan>, is_file: bool) -> PyResult<()> {
        if is_file && plan.is_view_alone(py) {
            if self
                .get()
                .is_none_or(|known| !Arc::ptr_eq(&known.plan, plan))
            {
                self.set(Some(Arc::new(Known {
                    plan: Arc::clone(plan),
                    session_cookie: plan.session_cookie_name(py)?,
                })));
            }
        } else if self.is_known.load(Relaxed) {
            self.set(None);
        }
        Ok(())
    }

    /// Whether a request may be answered by [`LastFile::answer`].
    pub(crate) fn may_answer(&self, arrived: &Arrived) -> bool {
        self.known(arrived).is_some()
    }

    fn known(&self, arrived: &Arrived) -> Option<Arc<Known>> {
        let head = &arrived.request.head;
        let known = self.get()?;
        let is_plain = [Method::GET, Method::HEAD].contains(&head.method)
            && known.plan.is_of_generation()
            && name_of(arrived).is_some_and(str::is_ascii);
        let name = known.session_cookie.as_ref();
        let brings_session = name.is_some_and(|name| mentions_cookie(&head.headers, name));
        (is_plain && !brings_session).then_some(known)
    }

    /// Answers a request with its file; gives it back where there is none.
    ///
    /// # Errors
    ///
    /// The responder comes back where only the application knows the answer.
    pub(crate) fn answer(&self, arrived: &Arrived, responder: Responder) -> Result<(), Responder> {
        let head = &arrived.request.head;
        let response = self.known(arrived).and_then(|known| {
            let files = known.plan.known_static_files()?;
            let name = name_of(arrived)?;
            files.respond(name, &head.method, &head.headers).ok()
        });
        match response {
            Some(response) => {
                responder.complete(response);
                Ok(())
            }
            None => Err(responder),
        }
    }
}

/// The name of the file that is asked for.
fn name_of(arrived: &Arrived) -> Option<&str> {
    let (snapshot, found) = arrived.verdict.as_ref()?.as_ref().ok()?;
    found.get(&snapshot.map, "filename")?.as_str()
}
