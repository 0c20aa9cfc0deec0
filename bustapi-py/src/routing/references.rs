//! What the native half of routing needs of Werkzeug and of `bustapi.routing`.

use pyo3::prelude::*;
use pyo3::types::PyType;

use crate::ground::handed::Handed;
use crate::ground::overrides::Defaults;

/// Classes and functions, looked up once.
pub(crate) struct References {
    pub(crate) validation_error: Py<PyAny>,
    /// `BaseConverter`, with its two methods.
    pub(crate) converters: Py<Defaults>,
    numbers: Vec<Number>,
    pub(crate) not_found: Py<PyAny>,
    pub(crate) method_not_allowed: Py<PyAny>,
    pub(crate) bad_host: Py<PyAny>,
    pub(crate) request_redirect: Py<PyAny>,
    pub(crate) websocket_mismatch: Py<PyAny>,
    pub(crate) build_error: Py<PyAny>,
    pub(crate) urljoin: Py<PyAny>,
    /// Werkzeug's `MapAdapter.match` and `MapAdapter.build`.
    pub(crate) foreign_match: Py<PyAny>,
    pub(crate) foreign_build: Py<PyAny>,
    /// Binds maps to unusual environments.
    pub(crate) bind_to_environ: Py<PyAny>,
    /// `bustapi.routing.Map` and its `MapAdapter`.
    pub(crate) maps: Py<Defaults>,
    pub(crate) adapters: Py<Defaults>,
}

/// One of Werkzeug's classes of converters that the router has, too: its name there, and the
/// attributes that are its arguments.
struct Number {
    defaults: Py<Defaults>,
    name: String,
    parameters: Vec<String>,
}

static REFERENCES: Handed<References> = Handed::by("bustapi.routing");

/// Hands over the classes of `bustapi.routing`, and Werkzeug's implementations; called once,
/// where they are defined.
#[pyfunction]
#[pyo3(signature = (*, maps, adapters, converters, numbers, foreign_match, foreign_build, bind_to_environ))]
pub(crate) fn set_routing_classes(
    maps: &Bound<'_, Defaults>,
    adapters: &Bound<'_, Defaults>,
    converters: &Bound<'_, Defaults>,
    numbers: Vec<(Py<Defaults>, String, Vec<String>)>,
    foreign_match: Py<PyAny>,
    foreign_build: Py<PyAny>,
    bind_to_environ: Py<PyAny>,
) -> PyResult<()> {
    let py = maps.py();
    adapters.get().expect(&["matches", "builds"])?;
    converters.get().expect(&["to_python", "to_url"])?;
    let routing = py.import("werkzeug.routing")?;
    let exceptions = py.import("werkzeug.exceptions")?;
    let of = |module: &Bound<'_, PyModule>, name: &str| -> PyResult<Py<PyAny>> {
        Ok(module.getattr(name)?.unbind())
    };
    let references = References {
        validation_error: of(&routing, "ValidationError")?,
        converters: converters.clone().unbind(),
        numbers: numbers
            .into_iter()
            .map(|(defaults, name, parameters)| Number {
                defaults,
                name,
                parameters,
            })
            .collect(),
        not_found: of(&exceptions, "NotFound")?,
        method_not_allowed: of(&exceptions, "MethodNotAllowed")?,
        bad_host: of(&exceptions, "BadHost")?,
        request_redirect: of(&routing, "RequestRedirect")?,
        websocket_mismatch: of(&routing, "WebsocketMismatch")?,
        build_error: of(&routing, "BuildError")?,
        urljoin: of(&py.import("urllib.parse")?, "urljoin")?,
        foreign_match,
        foreign_build,
        bind_to_environ,
        maps: maps.clone().unbind(),
        adapters: adapters.clone().unbind(),
    };
    REFERENCES.set(py, references)
}

impl References {
    /// The bits of the groups of attributes that matching, and building, are made of.
    pub(crate) const MATCHES: u32 = 1;
    pub(crate) const BUILDS: u32 = 1 << 1;

    /// The references.
    ///
    /// # Errors
    ///
    /// `RuntimeError` before `bustapi.routing` was imported.
    pub(crate) fn get(py: Python<'_>) -> PyResult<&'static Self> {
        REFERENCES.get(py)
    }

    /// Whether the class of `adapter` leaves this group of its work to the package's own.
    ///
    /// # Errors
    ///
    /// What looking at the class raises.
    pub(crate) fn leaves_natively(&self, adapter: &Bound<'_, PyAny>, group: u32) -> PyResult<bool> {
        Ok(self.adapters.get().kept_by(&adapter.get_type())? & group != 0)
    }

    /// The router's name for exactly this class, and the attributes that are its arguments.
    ///
    /// # Errors
    ///
    /// What looking at the class raises.
    pub(crate) fn number(&self, class: &Bound<'_, PyType>) -> PyResult<Option<(&str, &[String])>> {
        let py = class.py();
        let is_class = |number: &&Number| class.is(number.defaults.get().class(py));
        let Some(found) = self.numbers.iter().find(is_class) else {
            return Ok(None);
        };
        let is_kept = found.defaults.get().kept_by(class)? != 0;
        Ok(is_kept.then_some((&*found.name, &*found.parameters)))
    }
}
