//! A map bound to the place where its application is reached.

use std::ops::Deref;
use std::sync::Arc;

use crate::building::build_url::Build;
use crate::building::site::Bind;
use crate::building::site::Site;
use crate::error::{BindError, BuildError, MatchError};
use crate::map::map::Map;
use crate::matching::request::{Match, MatchRequest};
use crate::methods::MethodSet;
use crate::text::redirect_target::join_url;

/// A [`Map`] bound to host and scheme; borrowed, or shared as an `Arc`.
///
/// ```
/// use bustapi_router::{Bind, Build, Map, Rule, Value};
///
/// let mut map = Map::default();
/// map.add(Rule::new("/users/<int:id>").endpoint("user"))?;
/// let adapter = map.bind(&Bind::new("example.org")).unwrap();
///
/// assert_eq!(adapter.match_path("/users/1", None).unwrap().endpoint(&map), "user");
/// let values = [("id", Value::Int(7)), ("tab", Value::from("log in"))];
/// let url = adapter.build(&Build::new("user", &values)).unwrap();
/// assert_eq!(url, "/users/7?tab=log+in");
/// # Ok::<(), bustapi_router::RuleError>(())
/// ```
#[derive(Debug, Clone)]
pub struct MapAdapter<M> {
    map: M,
    server_name: String,
    script_name: String,
    subdomain: Option<String>,
    url_scheme: String,
    default_method: String,
    query: Option<String>,
}

impl Map {
    /// Binds the map.
    ///
    /// # Errors
    ///
    /// Where the server name is none, or a subdomain is given to a map that matches hosts.
    pub fn bind(&self, bind: &Bind<'_>) -> Result<MapAdapter<&Self>, BindError> {
        MapAdapter::new(self, bind)
    }

    /// Binds a shared map, for an adapter that outlives the borrow.
    ///
    /// # Errors
    ///
    /// As for [`bind`](Self::bind).
    pub fn bind_shared(
        self: &Arc<Self>,
        bind: &Bind<'_>,
    ) -> Result<MapAdapter<Arc<Self>>, BindError> {
        MapAdapter::new(Arc::clone(self), bind)
    }
}

impl<M: Deref<Target = Map>> MapAdapter<M> {
    fn new(map: M, bind: &Bind<'_>) -> Result<Self, BindError> {
        let options = map.options();
        let subdomain = match (options.host_matching, bind.subdomain) {
            (true, Some(_)) => return Err(BindError::SubdomainWithHostMatching),
            (true, None) => None,
            (false, given) => Some(given.unwrap_or(&options.default_subdomain).to_owned()),
        };
        let server_name = bind.server_name.to_lowercase();
        if !is_server_name(&server_name) {
            return Err(BindError::BadHost(bind.server_name.to_owned()));
        }
        let mut script_name = bind.script_name.to_owned();
        if !script_name.ends_with('/') {
            script_name.push('/');
        }
        Ok(Self {
            map,
            server_name,
            script_name,
            subdomain,
            url_scheme: bind.url_scheme.to_owned(),
            default_method: bind.default_method.to_owned(),
            query: bind.query.map(str::to_owned),
        })
    }

    /// The map.
    #[must_use]
    pub fn map(&self) -> &Map {
        &self.map
    }

    /// The host the map is bound to, in lower case.
    #[must_use]
    pub fn server_name(&self) -> &str {
        &self.server_name
    }

    fn site(&self) -> Site<'_> {
        Site {
            server_name: &self.server_name,
            script_name: &self.script_name,
            subdomain: self.subdomain.as_deref(),
            url_scheme: &self.url_scheme,
            default_method: &self.default_method,
        }
    }

    /// The request that [`match_path`](Self::match_path) matches, to change before matching it
    /// with [`match_request`](Self::match_request).
    #[must_use]
    pub fn request<'a>(&'a self, path: &'a str, method: Option<&'a str>) -> MatchRequest<'a> {
        MatchRequest {
            method: method.unwrap_or(&self.default_method),
            path,
            server_name: &self.server_name,
            subdomain: self.subdomain.as_deref(),
            script_name: &self.script_name,
            url_scheme: &self.url_scheme,
            query: self.query.as_deref(),
            websocket: matches!(self.url_scheme.as_str(), "ws" | "wss"),
        }
    }

    /// Matches a decoded path.
    ///
    /// # Errors
    ///
    /// As for [`Map::match_path`].
    pub fn match_path(&self, path: &str, method: Option<&str>) -> Result<Match, MatchError> {
        self.match_request(&self.request(path, method))
    }

    /// Matches a request made by [`request`](Self::request).
    ///
    /// # Errors
    ///
    /// As for [`Map::match_path`].
    pub fn match_request(&self, request: &MatchRequest<'_>) -> Result<Match, MatchError> {
        self.map.match_path(request)
    }

    /// Whether a path exists for this method, be it by a redirect.
    #[must_use]
    pub fn test(&self, path: &str, method: Option<&str>) -> bool {
        matches!(
            self.match_path(path, method),
            Ok(_) | Err(MatchError::RequestRedirect { .. })
        )
    }

    /// The methods that a path exists for; none for a path that exists for all or not at all.
    #[must_use]
    pub fn allowed_methods(&self, path: &str) -> MethodSet {
        // No rule can name this method, for it is no token.
        match self.match_path(path, Some("--")) {
            Err(MatchError::MethodNotAllowed { allowed }) => allowed,
            _ => MethodSet::new(),
        }
    }

    /// Builds a URL.
    ///
    /// # Errors
    ///
    /// Where no rule of the endpoint takes the values, or a converter fails.
    pub fn build(&self, build: &Build<'_>) -> Result<String, BuildError> {
        self.map.build_at(&self.site(), build)
    }

    /// Makes the target of a `redirect_to` absolute, for targets computed outside.
    #[must_use]
    pub fn redirect_url(&self, target: &str) -> String {
        join_url(&self.site().redirect_base(), target)
    }
}

/// Whether `name` can be bound to as it is: a host in lower case and ASCII (IDNA-encoded), with
/// or without a port.
///
/// ```
/// use bustapi_router::is_server_name;
///
/// assert!(is_server_name("example.org:8080"));
/// assert!(!is_server_name("Example.org") && !is_server_name("a..b"));
/// ```
#[must_use]
pub fn is_server_name(name: &str) -> bool {
    let (mut in_host, mut label) = (true, 0);
    for byte in name.bytes() {
        match byte {
            b'A'..=b'Z' => return false,
            // Whatever follows the colon is kept as it is, if only it is in lower case.
            0x80.. => return !in_host && !name.chars().any(char::is_uppercase),
            b'.' if in_host => {
                if !(1..=LABEL_MAX).contains(&label) {
                    return false;
                }
                label = 0;
            }
            b':' if in_host => {
                if label > LABEL_MAX {
                    return false;
                }
                (in_host, label) = (false, 0);
            }
            _ => label += usize::from(in_host),
        }
    }
    // The last label may be empty, for the root.
    label <= LABEL_MAX
}

/// Longest label of a host name, RFC 1035 section 2.3.4.
const LABEL_MAX: usize = 63;

#[cfg(test)]
mod tests {
    use super::is_server_name;

    #[test]
    fn server_names_have_labels_of_dns() {
        let longest = "a".repeat(63);
        for name in [
            "",
            "a",
            "example.org",
            "example.org.",
            "example.org:8080",
            "a:é",
            "127.0.0.1:80:90",
            &longest,
            &format!("{longest}.{longest}.:1"),
        ] {
            assert!(is_server_name(name), "{name}");
        }
        for name in [
            ".",
            "a..b",
            ".a",
            "A",
            "a:B",
            "a:É",
            "é",
            "a.é:1",
            &format!("{longest}a"),
            &format!("{longest}a:1"),
            &format!("{longest}a.b"),
        ] {
            assert!(!is_server_name(name), "{name}");
        }
    }
}
