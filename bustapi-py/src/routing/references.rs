//! What the native half of routing needs of Werkzeug and of `bustapi.routing`.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;

/// Classes and functions, looked up once.
pub(crate) struct References {
    pub(crate) validation_error: Py<PyAny>,
    /// `BaseConverter`'s own methods.
    pub(crate) to_python: Py<PyAny>,
    pub(crate) to_url: Py<PyAny>,
    builtin: [(Py<PyType>, Methods, &'static str, &'static [&'static str]); 3],
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
    pub(crate) map: Py<PyType>,
    pub(crate) map_adapter: Py<PyType>,
    /// Whether a subclass of it leaves matching, or building, as it is.
    pub(crate) matches_natively: Py<PyAny>,
    pub(crate) builds_natively: Py<PyAny>,
}

/// `to_python`, `to_url` and `num_convert` of a class, as they were when it was first seen.
type Methods = [Option<Py<PyAny>>; 3];

const METHODS: [&str; 3] = ["to_python", "to_url", "num_convert"];

fn methods_of(class: &Bound<'_, PyType>) -> PyResult<Methods> {
    let [to_python, to_url, num_convert] = METHODS.map(|name| {
        let found = class.getattr_opt(name)?;
        PyResult::Ok(found.map(Bound::unbind))
    });
    Ok([to_python?, to_url?, num_convert?])
}

impl References {
    /// The references; `bustapi.routing` must have been imported, as whoever asks was.
    pub(crate) fn get(py: Python<'_>) -> PyResult<&'static Self> {
        static REFERENCES: PyOnceLock<References> = PyOnceLock::new();
        REFERENCES.get_or_try_init(py, || Self::load(py))
    }

    fn load(py: Python<'_>) -> PyResult<Self> {
        let routing = py.import("werkzeug.routing")?;
        let exceptions = py.import("werkzeug.exceptions")?;
        let own = py.import("bustapi.routing")?;
        let of = |module: &Bound<'_, PyModule>, name: &str| -> PyResult<Py<PyAny>> {
            Ok(module.getattr(name)?.unbind())
        };
        let base = routing.getattr("BaseConverter")?;
        let builtin = |class: &str, name, parameters| {
            let class = routing.getattr(class)?.cast_into::<PyType>()?;
            let methods = methods_of(&class)?;
            PyResult::Ok((class.unbind(), methods, name, parameters))
        };
        Ok(Self {
            validation_error: of(&routing, "ValidationError")?,
            to_python: base.getattr("to_python")?.unbind(),
            to_url: base.getattr("to_url")?.unbind(),
            builtin: [
                builtin(
                    "IntegerConverter",
                    "int",
                    &["fixed_digits", "min", "max"][..],
                )?,
                builtin("FloatConverter", "float", &["min", "max"][..])?,
                builtin("UUIDConverter", "uuid", &[][..])?,
            ],
            not_found: of(&exceptions, "NotFound")?,
            method_not_allowed: of(&exceptions, "MethodNotAllowed")?,
            bad_host: of(&exceptions, "BadHost")?,
            request_redirect: of(&routing, "RequestRedirect")?,
            websocket_mismatch: of(&routing, "WebsocketMismatch")?,
            build_error: of(&routing, "BuildError")?,
            urljoin: of(&py.import("urllib.parse")?, "urljoin")?,
            foreign_match: of(&own, "_foreign_match")?,
            foreign_build: of(&own, "_foreign_build")?,
            bind_to_environ: of(&own, "_bind_to_environ")?,
            map: own.getattr("Map")?.cast_into::<PyType>()?.unbind(),
            map_adapter: own.getattr("MapAdapter")?.cast_into::<PyType>()?.unbind(),
            matches_natively: of(&own, "_matches_natively")?,
            builds_natively: of(&own, "_builds_natively")?,
        })
    }

    /// Whether `adapter` is of the package's own class, or of a subclass that `question` says
    /// leaves its work as it is.
    ///
    /// # Errors
    ///
    /// What asking raises.
    pub(crate) fn is_plain(
        &self,
        adapter: &Bound<'_, PyAny>,
        question: &Py<PyAny>,
    ) -> PyResult<bool> {
        let class = adapter.get_type_ptr();
        if std::ptr::eq(class, self.map_adapter.bind(adapter.py()).as_type_ptr()) {
            return Ok(true);
        }
        let asked = question.bind(adapter.py()).call1((adapter.get_type(),))?;
        asked.is_truthy()
    }

    /// The router's name for exactly this class, and the attributes that are its arguments.
    pub(crate) fn builtin(
        &self,
        class: &Bound<'_, PyType>,
    ) -> Option<(&'static str, &'static [&'static str])> {
        let py = class.py();
        let found = self.builtin.iter().find(|(known, ..)| class.is(known));
        let (_, methods, name, parameters) = found?;
        let unchanged = METHODS.iter().zip(methods).all(|(name, method)| {
            let now = class.getattr_opt(*name).ok().flatten();
            match (now, method) {
                (Some(now), Some(method)) => now.is(method.bind(py)),
                (None, None) => true,
                _ => false,
            }
        });
        unchanged.then_some((*name, *parameters))
    }
}
