//! What is known beforehand about the requests of an application.
//!
//! # Theory of operation
//!
//! Python's `bustapi.plan` looks at an application and says which steps of a request are
//! Flask's own; those the server takes natively, the others it calls. A plan is made anew
//! when something it was made from has changed, which is noticed at each request:
//! assignments to the application count up its [`Generation`]; patched classes lose the
//! version tag that CPython gives them; hook lists, signal receivers and view functions are
//! looked at where they are, since programs change them in place.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use bustapi_core::StaticFiles;
use bustapi_http::media_type::MediaTypes;
use bustapi_router::MatchError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyList, PyString, PyType};

use crate::ground::overrides::ClassVersion;
use crate::lifecycle::functions::{Functions, Kind};
use crate::lifecycle::verdict::Verdict;
use crate::request::raw::RawRequest;
use crate::response::plain::PlainResponses;
use crate::session::cookie::CookieSessions;

/// Counts the assignments to an application's attributes.
#[pyclass(frozen, module = "bustapi._native")]
#[derive(Default)]
pub(crate) struct Generation {
    count: AtomicU64,
}

#[pymethods]
impl Generation {
    #[new]
    fn new() -> Self {
        Self::default()
    }

    /// Makes every plan of the application stale.
    fn advance(&self) {
        self.count.fetch_add(1, Relaxed);
    }
}

/// The steps that an application has changed, and what the others work on.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one independent step"
)]
pub(crate) struct Plan {
    generation: Py<Generation>,
    count: u64,
    classes: Vec<ClassVersion>,
    /// Calls the application as WSGI: something around the contexts was replaced.
    pub(crate) wsgi: bool,
    pub(crate) own_full_dispatch: bool,
    pub(crate) own_preprocess: bool,
    pub(crate) own_dispatch: bool,
    pub(crate) own_ensure_sync: bool,
    pub(crate) own_finalize: bool,
    pub(crate) own_make_response: bool,
    pub(crate) own_process_response: bool,
    /// A method that finds out who answers an exception was replaced.
    pub(crate) own_errors: bool,
    own_matching: bool,
    has_task_contexts: bool,
    pub(crate) responses: PlainResponses,
    /// The session is opened when it is first asked for.
    pub(crate) lazy_session: bool,
    /// Sessions that need nothing of their interface.
    pub(crate) sessions: Option<Arc<CookieSessions>>,
    static_view: Option<StaticView>,
    pub(crate) app_context_class: Py<PyType>,
    pub(crate) request_context_class: Py<PyType>,
    pub(crate) session_interface: Py<PyAny>,
    pub(crate) functions: Functions,
    pub(crate) view_functions: Py<PyDict>,
    pub(crate) config: Py<PyDict>,
    /// What the config said when the plan was made; requests ask it again.
    pub(crate) max_content_length: Option<u64>,
    pub(crate) url_value_preprocessors: Py<PyDict>,
    pub(crate) before: Py<PyDict>,
    pub(crate) error_handlers: Py<PyDict>,
    /// Werkzeug's `HTTPException`.
    pub(crate) http_exception: Py<PyType>,
    pub(crate) after: Py<PyDict>,
    teardown: Py<PyDict>,
    app_teardown: Py<PyList>,
    /// Receivers of the signals of contexts, and of requests.
    context_signals: Vec<Py<PyDict>>,
    request_signals: Vec<Py<PyDict>>,
}

impl Plan {
    /// Asks `describe` (of `bustapi.plan`) about `app`, whose requests the server matches by
    /// `url_map`.
    ///
    /// # Errors
    ///
    /// Whatever the description raises, or a missing attribute of it.
    pub(crate) fn make(
        describe: &Bound<'_, PyAny>,
        app: &Bound<'_, PyAny>,
        url_map: &Bound<'_, PyAny>,
    ) -> PyResult<Self> {
        let py = app.py();
        let said = describe.call1((app,))?;
        let generation: Bound<'_, Generation> =
            said.getattr(intern!(py, "generation"))?.cast_into()?;
        let classes = said
            .getattr(intern!(py, "classes"))?
            .try_iter()?
            .map(|class| ClassVersion::of(class?.cast::<PyType>()?))
            .collect::<PyResult<Vec<_>>>()?;
        let flag = |name: &str| said.getattr(name)?.extract::<bool>();
        let dict = |name: &str| -> PyResult<Py<PyDict>> {
            Ok(said.getattr(name)?.cast_into::<PyDict>()?.unbind())
        };
        let dicts = |name: &str| -> PyResult<Vec<Py<PyDict>>> {
            said.getattr(name)?
                .try_iter()?
                .map(|item| Ok(item?.cast_into::<PyDict>()?.unbind()))
                .collect()
        };
        let class = |name: &str| -> PyResult<Py<PyType>> {
            Ok(said.getattr(name)?.cast_into::<PyType>()?.unbind())
        };
        Ok(Self {
            count: generation.get().count.load(Relaxed),
            generation: generation.unbind(),
            classes,
            wsgi: flag("wsgi")?,
            own_full_dispatch: flag("own_full_dispatch")?,
            own_preprocess: flag("own_preprocess")?,
            own_dispatch: flag("own_dispatch")?,
            own_ensure_sync: flag("own_ensure_sync")?,
            own_finalize: flag("own_finalize")?,
            own_make_response: flag("own_make_response")?,
            own_process_response: flag("own_process_response")?,
            own_errors: flag("own_errors")?,
            own_matching: flag("own_matching")?
                || !app.getattr(intern!(py, "url_map"))?.is(url_map),
            has_task_contexts: flag("has_task_contexts")?,
            responses: PlainResponses::of(&said)?,
            lazy_session: flag("lazy_session")?,
            sessions: if flag("cookie_sessions")? {
                Some(Arc::new(CookieSessions::of(&said)?))
            } else {
                None
            },
            static_view: StaticView::of(&said)?,
            app_context_class: class("app_context_class")?,
            request_context_class: class("request_context_class")?,
            session_interface: said.getattr("session_interface")?.unbind(),
            functions: Functions::new(py)?,
            view_functions: dict("view_functions")?,
            max_content_length: dict("config")?
                .bind(py)
                .get_item(intern!(py, "MAX_CONTENT_LENGTH"))?
                .and_then(|limit| limit.extract().ok()),
            config: dict("config")?,
            url_value_preprocessors: dict("url_value_preprocessors")?,
            before: dict("before_request_funcs")?,
            error_handlers: dict("error_handler_spec")?,
            http_exception: class("http_exception")?,
            after: dict("after_request_funcs")?,
            teardown: dict("teardown_request_funcs")?,
            app_teardown: said
                .getattr("teardown_appcontext_funcs")?
                .cast_into::<PyList>()?
                .unbind(),
            context_signals: dicts("context_signals")?,
            request_signals: dicts("request_signals")?,
        })
    }

    /// Whether nothing that the plan was made from has changed.
    pub(crate) fn is_current(&self, py: Python<'_>) -> bool {
        self.is_of_generation() && self.classes.iter().all(|class| class.is_current(py))
    }

    /// Whether nothing but the view has a say in an answer that it gives as a response of the
    /// server's own.
    pub(crate) fn is_view_alone(&self, py: Python<'_>) -> bool {
        let own = self.wsgi
            || self.own_full_dispatch
            || self.own_preprocess
            || self.own_dispatch
            || self.own_finalize
            || self.own_make_response
            || self.own_process_response;
        !own && self.lazy_session
            && !self.own_matching
            && self.is_unset(intern!(py, "TRUSTED_HOSTS"))
            && !self.has_before(py)
            && !self.has_after(py)
            && !self.has_teardown(py)
            && !self.requests_have_receivers(py)
    }

    /// The name of the cookie that may bring a session.
    ///
    /// # Errors
    ///
    /// What reading the settings raises.
    pub(crate) fn session_cookie_name(&self, py: Python<'_>) -> PyResult<Option<String>> {
        let name = self
            .config
            .bind(py)
            .get_item(intern!(py, "SESSION_COOKIE_NAME"))?;
        name.map(|name| name.extract()).transpose()
    }

    /// Whether no attribute of the application has been assigned to since the plan was made; needs
    /// no interpreter, and says less than [`Plan::is_current`].
    pub(crate) fn is_of_generation(&self) -> bool {
        self.generation.get().count.load(Relaxed) == self.count
    }

    /// The application's static files, if it has its own view of them.
    pub(crate) fn known_static_files(&self) -> Option<&StaticFiles> {
        self.static_view.as_ref().map(|known| &known.files)
    }

    /// The files that `view` would send, if it is the application's view of static files and
    /// nothing about sending them has been set otherwise.
    pub(crate) fn static_files(&self, view: &Bound<'_, PyAny>) -> Option<&StaticFiles> {
        let known = self.static_view.as_ref()?;
        let py = view.py();
        let config = self.config.bind(py);
        let is = |name, value: &Py<PyAny>| match config.get_item(name) {
            Ok(set) => set.map_or(value.is_none(py), |set| set.is(value)),
            Err(_) => false,
        };
        let holds = view.is(&known.view)
            && is(intern!(py, "SEND_FILE_MAX_AGE_DEFAULT"), &known.max_age)
            && is(intern!(py, "STATIC_PRECOMPRESSED"), &known.precompressed)
            && is(intern!(py, "USE_X_SENDFILE"), &known.not);
        holds.then_some(&known.files)
    }

    /// Whether the server's own verdict about a request's rule counts.
    pub(crate) fn matches_natively(&self, py: Python<'_>, verdict: &Verdict) -> bool {
        // With a name of its own an application redirects to that, whatever the request says.
        let is_redirected = matches!(verdict, Err(MatchError::RequestRedirect { .. }));
        !self.own_matching
            && self.is_unset(intern!(py, "TRUSTED_HOSTS"))
            && (!is_redirected || self.is_unset(intern!(py, "SERVER_NAME")))
    }

    fn is_unset(&self, setting: &Bound<'_, PyString>) -> bool {
        let value = self.config.bind(setting.py()).get_item(setting);
        matches!(value, Ok(Some(value)) if value.is_none())
    }

    /// Whether an HTTP exception is its own answer where no handler takes it: nothing is trapped,
    /// nor explained as in debug mode.
    ///
    /// # Errors
    ///
    /// What asking a setting for its truth raises.
    pub(crate) fn leaves_http_exceptions(&self, py: Python<'_>) -> PyResult<bool> {
        if self.own_errors {
            return Ok(false);
        }
        let config = self.config.bind(py);
        for setting in [
            intern!(py, "TRAP_HTTP_EXCEPTIONS"),
            intern!(py, "TRAP_BAD_REQUEST_ERRORS"),
            intern!(py, "DEBUG"),
        ] {
            match config.get_item(setting)? {
                Some(value) if !value.is_truthy()? => {}
                // The lifecycle raises the `KeyError` for a missing setting.
                _ => return Ok(false),
            }
        }
        Ok(true)
    }

    /// Whether a request to a coroutine view may be served on the event loop's thread: nothing
    /// there runs a coroutine to its end but the loop itself.
    ///
    /// # Errors
    ///
    /// What looking at a hook raises.
    pub(crate) fn runs_on_loop(&self, py: Python<'_>) -> PyResult<bool> {
        let own = self.own_full_dispatch
            || self.own_preprocess
            || self.own_dispatch
            || self.own_ensure_sync
            || self.own_finalize
            || self.own_process_response;
        if own
            || !self.has_task_contexts
            || self.contexts_have_receivers(py)
            || self.requests_have_receivers(py)
        {
            return Ok(false);
        }
        for hooks in [&self.before, &self.after, &self.teardown] {
            for (_, list) in hooks.bind(py).iter() {
                if !self.all_plain(&list)? {
                    return Ok(false);
                }
            }
        }
        self.all_plain(self.app_teardown.bind(py))
    }

    fn all_plain(&self, functions: &Bound<'_, PyAny>) -> PyResult<bool> {
        for function in functions.cast::<PyList>()?.iter() {
            if self.functions.kind(&function)? != Kind::Plain {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether functions run before the view.
    pub(crate) fn has_before(&self, py: Python<'_>) -> bool {
        !self.url_value_preprocessors.bind(py).is_empty() || !self.before.bind(py).is_empty()
    }

    /// Whether functions see the response.
    pub(crate) fn has_after(&self, py: Python<'_>) -> bool {
        !self.after.bind(py).is_empty()
    }

    /// Whether anyone listens as the contexts are pushed and popped.
    pub(crate) fn contexts_have_receivers(&self, py: Python<'_>) -> bool {
        any(&self.context_signals, py)
    }

    /// Whether anyone listens as a request is started or finished.
    pub(crate) fn requests_have_receivers(&self, py: Python<'_>) -> bool {
        any(&self.request_signals, py)
    }

    /// Whether the request may bring a session, whose cookie is set again even if nothing
    /// reads it (`SESSION_REFRESH_EACH_REQUEST`).
    ///
    /// # Errors
    ///
    /// What reading the settings raises.
    pub(crate) fn may_refresh_session(&self, py: Python<'_>, raw: &RawRequest) -> PyResult<bool> {
        let config = self.config.bind(py);
        let key = config.get_item(intern!(py, "SECRET_KEY"))?;
        if key.is_none_or(|key| key.is_none()) {
            return Ok(false);
        }
        if let Some(sessions) = &self.sessions {
            return sessions.may_refresh(py, raw);
        }
        let name = config.get_item(intern!(py, "SESSION_COOKIE_NAME"))?;
        let name = name.as_ref().and_then(|name| name.cast::<PyString>().ok());
        Ok(match name.and_then(|name| name.to_str().ok()) {
            Some(name) => raw.mentions_cookie(name),
            None => true,
        })
    }

    /// Whether functions run, or signals are sent, as the contexts are popped.
    pub(crate) fn has_teardown(&self, py: Python<'_>) -> bool {
        !self.teardown.bind(py).is_empty()
            || !self.app_teardown.bind(py).is_empty()
            || self.contexts_have_receivers(py)
    }
}

/// The view of an application's static files.
struct StaticView {
    view: Py<PyAny>,
    files: StaticFiles,
    /// The setting that the files' age was taken from.
    max_age: Py<PyAny>,
    /// The setting that allows compressed neighbours, `None` if there is none.
    precompressed: Py<PyAny>,
    /// `False`.
    not: Py<PyAny>,
}

impl StaticView {
    fn of(said: &Bound<'_, PyAny>) -> PyResult<Option<Self>> {
        let py = said.py();
        let view = said.getattr(intern!(py, "static_view"))?;
        let folder: Option<PathBuf> = said.getattr(intern!(py, "static_folder"))?.extract()?;
        let Some(folder) = folder.filter(|_| !view.is_none()) else {
            return Ok(None);
        };
        let mut types = MediaTypes::new();
        for pair in said
            .getattr(intern!(py, "media_types"))?
            .call_method0(intern!(py, "items"))?
            .try_iter()?
        {
            let (extension, media_type): (String, String) = pair?.extract()?;
            types.add(&extension, &media_type);
        }
        // The Python view refuses an age that is no number of seconds.
        let age = said.getattr(intern!(py, "static_max_age"))?;
        let Ok(age) = age.extract::<Option<u32>>() else {
            return Ok(None);
        };
        let precompressed = said.getattr(intern!(py, "static_precompressed"))?;
        let files = StaticFiles::new(folder)
            .with_media_types(types)
            .with_max_age(age)
            .with_precompressed(precompressed.is_truthy()?);
        Ok(Some(Self {
            view: view.unbind(),
            files,
            max_age: said
                .getattr(intern!(py, "static_max_age_setting"))?
                .unbind(),
            precompressed: precompressed.unbind(),
            not: PyBool::new(py, false).to_owned().into_any().unbind(),
        }))
    }
}

fn any(dicts: &[Py<PyDict>], py: Python<'_>) -> bool {
    dicts.iter().any(|dict| !dict.bind(py).is_empty())
}
