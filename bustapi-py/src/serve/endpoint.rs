//! What is remembered of each rule's calls, and of those that no rule leads to.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use bustapi_core::executor::Habit;
use bustapi_router::MatchError;

use crate::lifecycle::verdict::Verdict;
use crate::serve::file_calls::LastFile;

/// What is remembered of the calls of one rule, or of one kind of miss.
#[derive(Default)]
pub(crate) struct Endpoint {
    pub(crate) habit: Arc<Habit>,
    /// Whether its view is a coroutine function that the event loop may run.
    pub(super) is_coroutine: AtomicBool,
    /// Whether that has been looked at.
    pub(super) is_known: AtomicBool,
    pub(super) last_file: LastFile,
}

impl Endpoint {
    /// Notes where calls of this endpoint are to go from now on.
    pub(crate) fn set_coroutine(&self, is_coroutine: bool) {
        self.is_coroutine.store(is_coroutine, Relaxed);
        self.is_known.store(true, Relaxed);
    }
}

/// The endpoints met so far.
///
/// Each kind of miss has one of its own: its calls do the same work, whatever the path, and a slow
/// error handler for one kind says nothing about another.
#[derive(Default)]
pub(crate) struct Endpoints {
    /// By the index of the rule.
    by_rule: Vec<Arc<Endpoint>>,
    not_found: Arc<Endpoint>,
    method_not_allowed: Arc<Endpoint>,
    redirected: Arc<Endpoint>,
    /// Of requests that the server does not match itself, or has no verdict about.
    other: Arc<Endpoint>,
}

impl Endpoints {
    /// The endpoint of requests with this verdict.
    pub(super) fn of(&mut self, verdict: Option<&Verdict>) -> Arc<Endpoint> {
        let endpoint = match verdict {
            Some(Ok((_, found))) => {
                let index = found.rule.index();
                if index >= self.by_rule.len() {
                    self.by_rule.resize_with(index + 1, Arc::default);
                }
                &self.by_rule[index]
            }
            Some(Err(MatchError::NotFound)) => &self.not_found,
            Some(Err(MatchError::MethodNotAllowed { .. })) => &self.method_not_allowed,
            Some(Err(MatchError::RequestRedirect { .. })) => &self.redirected,
            Some(Err(_)) | None => &self.other,
        };
        Arc::clone(endpoint)
    }
}

#[cfg(test)]
mod tests {
    use bustapi_router::{Map, MatchRequest, Rule};

    use super::*;

    fn verdict(map: &Map, method: &str, path: &str) -> MatchError {
        let matched = map.match_path(&MatchRequest::new(method, path));
        matched.expect_err("the request is a miss")
    }

    #[test]
    fn each_kind_of_miss_has_its_own_habit() {
        let mut map = Map::default();
        map.add(Rule::new("/view/").methods(["GET"])).unwrap();
        let misses = [
            verdict(&map, "GET", "/missing"),
            verdict(&map, "POST", "/view/"),
            verdict(&map, "GET", "/view"),
        ];
        let mut endpoints = Endpoints::default();
        let mut of = |miss: &MatchError| endpoints.of(Some(&Err(miss.clone())));
        let met: Vec<_> = misses.iter().map(&mut of).collect();
        for (place, endpoint) in met.iter().enumerate() {
            assert!(Arc::ptr_eq(endpoint, &of(&misses[place])));
            assert!(
                met[..place]
                    .iter()
                    .all(|other| !Arc::ptr_eq(other, endpoint))
            );
        }
        let unknown = endpoints.of(None);
        assert!(met.iter().all(|endpoint| !Arc::ptr_eq(&unknown, endpoint)));
    }
}
