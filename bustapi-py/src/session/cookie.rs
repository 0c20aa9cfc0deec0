//! Sessions of the default interface, opened and saved without calling it.
//!
//! # Theory of operation
//!
//! `bustapi.sessions` has the interface and decides what a session is; the plan tells whether an
//! application has left all of it as it is. What is done here is then the same, for the usual
//! case: plain JSON values, one secret key, ordinary settings. For anything else `None` is the
//! answer, nothing has happened, and the interface is called. Settings are looked at for each
//! request, since programs change `app.config` while they run.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use bustapi_http::cookie::parse_cookies;
use bustapi_http::headers::latin1;
use bustapi_http::session_cookie::{MICROSECONDS, SessionCookie, lifetime};
use bustapi_http::signed_cookie::TimestampSigner;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyDelta, PyDict, PyInt, PyList, PyString, PyType};

use crate::ground::object::allocate;
use crate::request::raw::RawRequest;
use crate::response::value::SessionFields;
use crate::session::signer;

/// The settings that sessions depend on.
const SETTINGS: [&str; 13] = [
    "SECRET_KEY",
    "SECRET_KEY_FALLBACKS",
    "SESSION_COOKIE_NAME",
    "SESSION_COOKIE_DOMAIN",
    "SESSION_COOKIE_PATH",
    "APPLICATION_ROOT",
    "SESSION_COOKIE_HTTPONLY",
    "SESSION_COOKIE_SECURE",
    "SESSION_COOKIE_SAMESITE",
    "SESSION_COOKIE_PARTITIONED",
    "SESSION_REFRESH_EACH_REQUEST",
    "PERMANENT_SESSION_LIFETIME",
    "MAX_COOKIE_SIZE",
];

/// An application's sessions, if nothing but its settings makes them special.
pub(crate) struct CookieSessions {
    /// `SecureCookieSession`.
    class: Py<PyType>,
    /// What its constructor has called when the session changes.
    on_update: Py<PyAny>,
    config: Py<PyDict>,
    salt: Vec<u8>,
    /// The tags of the serializer. Where one has been registered since, Python writes the session.
    tags: Py<PyList>,
    tag_count: usize,
    cached: Mutex<Option<Arc<CachedSettings>>>,
}

/// Settings as they were when they were read.
struct CachedSettings {
    /// Name and value of each, to notice changes by.
    values: Vec<(Py<PyString>, Py<PyAny>)>,
    /// `None` where the interface has to deal with them.
    settings: Option<Settings>,
}

struct Settings {
    signer: TimestampSigner,
    cookie: SessionCookie,
}

impl CookieSessions {
    /// Reads what `bustapi.plan` tells of the sessions.
    ///
    /// # Errors
    ///
    /// A missing attribute.
    pub(crate) fn of(said: &Bound<'_, PyAny>) -> PyResult<Self> {
        let py = said.py();
        let tags = said
            .getattr(intern!(py, "session_tags"))?
            .cast_into::<PyList>()?;
        Ok(Self {
            class: said
                .getattr(intern!(py, "session_class"))?
                .cast_into::<PyType>()?
                .unbind(),
            on_update: said.getattr(intern!(py, "session_on_update"))?.unbind(),
            config: said
                .getattr(intern!(py, "config"))?
                .cast_into::<PyDict>()?
                .unbind(),
            salt: said.getattr(intern!(py, "session_salt"))?.extract()?,
            tag_count: tags.len(),
            tags: tags.unbind(),
            cached: Mutex::new(None),
        })
    }

    /// The session that a request brings; `None` where the interface has to open it.
    ///
    /// # Errors
    ///
    /// What making the session raises.
    pub(crate) fn open<'py>(
        &self,
        py: Python<'py>,
        raw: &RawRequest,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let known = self.cached(py)?;
        let Some(settings) = known.settings.as_ref().filter(|_| self.is_untagged(py)) else {
            return Ok(None);
        };
        let field = raw.field("cookie").unwrap_or_default();
        let text = latin1(&field);
        let cookie = parse_cookies(&text).find(|(name, _)| *name == settings.cookie.name);
        let cookie = cookie
            .map(|(_, value)| value)
            .filter(|value| !value.is_empty());
        let contents = match cookie {
            Some(cookie) => {
                let max_age = settings.cookie.max_age();
                let now = microseconds_now() / MICROSECONDS;
                // Python is more lenient with some cookies, so it decides about refused ones.
                match signer::read(py, &settings.signer, &cookie, max_age, now) {
                    Some(contents) => Some(contents),
                    None => return Ok(None),
                }
            }
            None => None,
        };
        let session = allocate(self.class.bind(py))?;
        if let Some(contents) = contents {
            session.cast::<PyDict>()?.update(contents.as_mapping())?;
        }
        session.setattr(intern!(py, "on_update"), &self.on_update)?;
        Ok(Some(session))
    }

    /// Whether the session is to be looked at when the response is there although the request
    /// has not asked for it: a permanent one has its cookie set again.
    pub(crate) fn may_refresh(&self, py: Python<'_>, raw: &RawRequest) -> PyResult<bool> {
        let known = self.cached(py)?;
        Ok(match &known.settings {
            Some(settings) => {
                settings.cookie.refreshes && raw.mentions_cookie(&settings.cookie.name)
            }
            None => true,
        })
    }

    /// What the response says of the session; `None` where the interface has to save it.
    ///
    /// # Errors
    ///
    /// What reading the session raises.
    pub(crate) fn save(&self, session: &Bound<'_, PyAny>) -> PyResult<Option<SessionFields>> {
        let py = session.py();
        let known = self.cached(py)?;
        let Some(settings) = known.settings.as_ref().filter(|_| self.is_untagged(py)) else {
            return Ok(None);
        };
        if !session.get_type().is(self.class.bind(py)) {
            return Ok(None);
        }
        let is_set = |name| session.getattr(name)?.is_truthy();
        let fields = SessionFields {
            varies: is_set(intern!(py, "accessed"))?,
            set_cookie: None,
        };
        let modified = is_set(intern!(py, "modified"))?;
        let contents = session.cast::<PyDict>()?;
        if contents.is_empty() {
            // The cookie of an emptied session is to be deleted.
            return Ok((!modified).then_some(fields));
        }
        let permanent = match contents.get_item(intern!(py, "_permanent"))? {
            Some(permanent) => permanent.is_truthy()?,
            None => false,
        };
        if !settings.cookie.is_due(modified, permanent) {
            return Ok(Some(fields));
        }
        if !fields.varies {
            // Flask sets `Vary` before the cookie. Here it would come after it, so the interface
            // does both.
            return Ok(None);
        }
        let now = microseconds_now();
        let Some(value) = signer::write(contents, &settings.signer, now / MICROSECONDS)? else {
            return Ok(None);
        };
        let header = settings.cookie.set_cookie(&value, permanent, now);
        Ok(header.map(|header| SessionFields {
            set_cookie: Some(header),
            ..fields
        }))
    }

    fn is_untagged(&self, py: Python<'_>) -> bool {
        self.tags.bind(py).len() == self.tag_count
    }

    /// The settings as they are now.
    fn cached(&self, py: Python<'_>) -> PyResult<Arc<CachedSettings>> {
        let lock = || self.cached.lock().unwrap_or_else(PoisonError::into_inner);
        let config = self.config.bind(py);
        let known = lock().clone();
        if let Some(known) = known {
            let mut same = true;
            for (name, value) in &known.values {
                same &= config
                    .get_item(name.bind(py))?
                    .is_some_and(|now| now.is(value));
            }
            if same {
                return Ok(known);
            }
        }
        let mut values = Vec::with_capacity(SETTINGS.len());
        for name in SETTINGS {
            let name = PyString::intern(py, name);
            let value = config.get_item(&name)?;
            values.push((
                name.unbind(),
                value.unwrap_or_else(|| py.None().into_bound(py)).unbind(),
            ));
        }
        let made = Arc::new(CachedSettings {
            settings: Settings::read(py, &values, &self.salt),
            values,
        });
        *lock() = Some(Arc::clone(&made));
        Ok(made)
    }
}

impl Settings {
    /// `None` for values that are not of the usual types.
    fn read(py: Python<'_>, values: &[(Py<PyString>, Py<PyAny>)], salt: &[u8]) -> Option<Self> {
        let [
            key,
            fallbacks,
            name,
            domain,
            path,
            root,
            http_only,
            secure,
            same_site,
            partitioned,
            refreshes,
            lifetime,
            max_size,
        ] = values
        else {
            return None;
        };
        let flag = |value: &(_, Py<PyAny>)| {
            let flag = value.1.bind(py).cast_exact::<PyBool>().ok()?;
            Some(flag.is_true())
        };
        let optional = |value: &(_, Py<PyAny>)| {
            let value = value.1.bind(py);
            if value.is_none() {
                return Some(None);
            }
            text(value).filter(|text| !text.is_empty()).map(Some)
        };
        // A list of older keys may be changed in place, which would not be noticed here.
        if !fallbacks.1.is_none(py) {
            return None;
        }
        let key = key.1.bind(py);
        let key = match key.cast_exact::<PyBytes>() {
            Ok(key) => key.as_bytes().to_vec(),
            Err(_) => text(key)?.into_bytes(),
        };
        if key.is_empty() {
            return None;
        }
        let path = match optional(path)? {
            Some(path) => path,
            None => text(root.1.bind(py))?,
        };
        Some(Self {
            signer: TimestampSigner::new(&key, [], salt),
            cookie: SessionCookie {
                name: text(name.1.bind(py)).filter(|name| name.is_ascii() && !name.is_empty())?,
                domain: optional(domain)?,
                path,
                http_only: flag(http_only)?,
                secure: flag(secure)?,
                same_site: match optional(same_site)? {
                    Some(site) => Some(site.parse().ok()?),
                    None => None,
                },
                partitioned: flag(partitioned)?,
                refreshes: flag(refreshes)?,
                lifetime: microseconds(lifetime.1.bind(py))?,
                max_size: max_size
                    .1
                    .bind(py)
                    .cast_exact::<PyInt>()
                    .ok()?
                    .extract()
                    .ok()?,
            },
        })
    }
}

fn text(value: &Bound<'_, PyAny>) -> Option<String> {
    Some(
        value
            .cast_exact::<PyString>()
            .ok()?
            .to_str()
            .ok()?
            .to_owned(),
    )
}

/// A life time: a `timedelta`, or seconds; `None` for a negative one.
fn microseconds(given: &Bound<'_, PyAny>) -> Option<u64> {
    if let Ok(seconds) = given.cast_exact::<PyInt>() {
        return seconds.extract::<u64>().ok()?.checked_mul(MICROSECONDS);
    }
    let delta = given.cast_exact::<PyDelta>().ok()?;
    let part = |name| delta.getattr(name).ok()?.extract::<i64>().ok();
    let (days, seconds, micros) = (part("days")?, part("seconds")?, part("microseconds")?);
    lifetime(days, seconds, micros)
}

fn microseconds_now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| u64::try_from(now.as_micros()).unwrap_or(u64::MAX))
}
