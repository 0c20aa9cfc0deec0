//! `url_for`, and how it builds its URLs in a request where an application does nothing of its
//! own to them.

use std::ffi::CString;
use std::panic::catch_unwind;
use std::ptr;

use pyo3::exceptions::PyRuntimeError;
use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyString, PyTuple};

use crate::context::app::AppContextBase;
use crate::context::request::RequestContextBase;
use crate::ground::context_variable;
use crate::ground::handed::Handed;
use crate::ground::overrides::Defaults;
use crate::routing::bound_map::MapAdapterBase;
use crate::routing::references::References;
use crate::routing::work::{BuildArguments, Values};

/// The default class of applications, and the group of its methods that have a say in URLs.
static APPLICATION: Handed<(Py<Defaults>, usize)> = Handed::by("bustapi.plan");

/// Names the default class of applications; called once, by `bustapi.plan`.
#[pyfunction]
pub(crate) fn set_application_class(application: &Bound<'_, Defaults>) -> PyResult<()> {
    let group = application.get().group("urls")?;
    APPLICATION.set(application.py(), (application.clone().unbind(), group))
}

/// The class of request contexts, and the group of how its adapter is read.
static CONTEXT: Handed<(Py<Defaults>, usize)> = Handed::by("bustapi.ctx");

/// Names the class of request contexts; called once, where it is defined.
#[pyfunction]
pub(crate) fn set_context_class(context: &Bound<'_, Defaults>) -> PyResult<()> {
    let group = context.get().group("url_adapter")?;
    CONTEXT.set(context.py(), (context.clone().unbind(), group))
}

/// The map adapter of a request context.
fn adapter_of<'py>(context: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let py = context.py();
    if let Ok(native) = context.cast::<RequestContextBase>() {
        let (defaults, group) = CONTEXT.get(py)?;
        if defaults.get().kept_by(&native.get_type())? & (1 << group) != 0 {
            return RequestContextBase::current_adapter(native);
        }
    }
    context.getattr(intern!(py, "url_adapter"))
}

/// The attributes of an object's own, as `vars` gives them.
#[expect(
    unsafe_code,
    reason = "pyo3 looks `__dict__` up by name, at ten times the cost"
)]
fn attributes<'py>(object: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyDict>> {
    // SAFETY: the reference is valid while borrowed; the call returns a new reference, or null
    // with an exception set where the object has no attributes of its own.
    let own = unsafe {
        let own = ffi::PyObject_GenericGetDict(object.as_ptr(), ptr::null_mut());
        Bound::from_owned_ptr_or_err(object.py(), own)?
    };
    Ok(own.cast_into::<PyDict>()?)
}

/// Whether nothing of the application or its blueprints changes URLs or their values.
fn is_plain(app: &Bound<'_, PyAny>) -> PyResult<bool> {
    let py = app.py();
    let (defaults, group) = APPLICATION.get(py)?;
    let defaults = defaults.get();
    if defaults.kept_by(&app.get_type())? & (1 << group) == 0 {
        return Ok(false);
    }
    let own = attributes(app)?;
    if defaults.are_set(*group, &own)? {
        return Ok(false);
    }
    match own.get_item(intern!(py, "url_default_functions"))? {
        Some(functions) => Ok(!functions.is_truthy()?),
        None => Ok(false),
    }
}

/// The Python function that has all answers which are not found here.
static FALLBACK: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

/// How `url_for` is called, as `inspect.signature` reads it.
const SIGNATURE: &str =
    "url_for(endpoint, *, _anchor=None, _method=None, _scheme=None, _external=None, **values)";

/// Makes the native `url_for`, which calls `fallback` with its own arguments where it has not the
/// answer itself. It is a function of the C API's, as no other kind gets its keyword arguments
/// without a dictionary made of them first.
#[pyfunction]
#[pyo3(signature = (fallback, /))]
#[expect(unsafe_code, reason = "pyo3 makes no functions of this kind")]
pub(crate) fn make_url_for<'py>(fallback: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let py = fallback.py();
    // A module that is loaded again sets the same function again, which is refused and dropped.
    drop(FALLBACK.set(py, fallback.clone().unbind()));
    let text: Option<String> = fallback.getattr(intern!(py, "__doc__"))?.extract()?;
    let text = format!("{SIGNATURE}\n--\n\n{}", text.unwrap_or_default());
    let module = fallback.getattr(intern!(py, "__module__"))?;
    // The definition is never freed, as the function points to it for as long as it lives.
    let definition = Box::leak(Box::new(ffi::PyMethodDef {
        ml_name: c"url_for".as_ptr(),
        ml_meth: ffi::PyMethodDefPointer {
            PyCFunctionFastWithKeywords: url_for,
        },
        ml_flags: ffi::METH_FASTCALL | ffi::METH_KEYWORDS,
        ml_doc: CString::new(text)?.into_raw(),
    }));
    // SAFETY: the definition and its texts are valid for ever, and its flags are those of its
    // function's type; without an object of its own the function is pickled by its name. The
    // call returns a new reference, or null with an exception set.
    unsafe {
        let function = ffi::PyCFunction_NewEx(definition, ptr::null_mut(), module.as_ptr());
        Bound::from_owned_ptr_or_err(py, function)
    }
}

#[expect(unsafe_code, reason = "the C API's form of a function")]
unsafe extern "C" fn url_for(
    _own: *mut ffi::PyObject,
    args: *const *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
    names: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    let answer = catch_unwind(|| {
        Python::attach(|py| {
            let Some(fallback) = FALLBACK.get(py) else {
                return Err(PyRuntimeError::new_err("the function is not set up"));
            };
            // SAFETY: such functions are called with `count` positional arguments and the values
            // of the keyword arguments behind them, whose names are in a tuple of strings, or
            // null for none; all are valid until the call returns.
            let arguments = unsafe { Arguments::read(py, args, count, names) };
            if let Some(mut arguments) = arguments
                && let Some(url) = arguments.url(py)?
            {
                return Ok(url.into_ptr());
            }
            // SAFETY: the arguments are handed on as they came; the call returns a new
            // reference, or null with an exception set.
            unsafe {
                let count = usize::try_from(count).unwrap_or_default();
                let url = ffi::PyObject_Vectorcall(fallback.as_ptr(), args, count, names);
                Bound::from_owned_ptr_or_err(py, url).map(Bound::into_ptr)
            }
        })
    });
    let panicked = |_| Err(PyRuntimeError::new_err("building a URL panicked"));
    answer.unwrap_or_else(panicked).unwrap_or_else(|error| {
        Python::attach(|py| error.restore(py));
        ptr::null_mut()
    })
}

/// The arguments of one call of `url_for`.
struct Arguments<'py> {
    endpoint: Bound<'py, PyAny>,
    method: Option<Bound<'py, PyAny>>,
    scheme: Option<Bound<'py, PyAny>>,
    external: Option<Bound<'py, PyAny>>,
    values: Values<'py>,
}

impl<'py> Arguments<'py> {
    /// Sorts the arguments; `None` for an anchor, for values that only Werkzeug takes apart, and
    /// for arguments that there are not.
    ///
    /// # Safety
    ///
    /// `args` and `names` must be as the interpreter gives them to a function of this kind.
    #[expect(unsafe_code, reason = "reads the interpreter's own arrays")]
    unsafe fn read(
        py: Python<'py>,
        args: *const *mut ffi::PyObject,
        count: ffi::Py_ssize_t,
        names: *mut ffi::PyObject,
    ) -> Option<Self> {
        if count != 1 {
            return None;
        }
        // SAFETY: there is one positional argument.
        let endpoint = unsafe { Bound::from_borrowed_ptr(py, *args) };
        let mut read = Self {
            endpoint,
            method: None,
            scheme: None,
            external: None,
            values: Values::default(),
        };
        // SAFETY: null, or a tuple that lives as long as the call.
        let Some(names) = (unsafe { Bound::from_borrowed_ptr_or_opt(py, names) }) else {
            return Some(read);
        };
        let names = names.cast_into::<PyTuple>().ok()?;
        for (place, name) in names.iter().enumerate() {
            // SAFETY: there is a value for each name, behind the positional argument.
            let value = unsafe { Bound::from_borrowed_ptr(py, *args.add(place + 1)) };
            let name = name.cast_into::<PyString>().ok()?;
            let text = name.to_str().ok()?;
            let option = match text {
                "_anchor" if value.is_none() => continue,
                "_anchor" | "endpoint" => return None,
                "_method" => Some(&mut read.method),
                "_scheme" => Some(&mut read.scheme),
                "_external" => Some(&mut read.external),
                _ => None,
            };
            match option {
                Some(option) => *option = (!value.is_none()).then_some(value),
                None => read.values.push(name, &value)?,
            }
        }
        Some(read)
    }

    /// The URL; `None` where Python has to make it.
    fn url(&mut self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let variables = context_variable::variables(py)?;
        let (Some(request_context), Some(app_context)) = (
            context_variable::get(variables.request.bind(py))?,
            context_variable::get(variables.app.bind(py))?,
        ) else {
            return Ok(None);
        };
        let app = match app_context.cast::<AppContextBase>() {
            Ok(native) => AppContextBase::current_app(native)?,
            Err(_) => app_context.getattr(intern!(py, "app"))?,
        };
        let asked = Asked {
            endpoint: &self.endpoint,
            method: self.method.as_ref(),
            scheme: self.scheme.as_ref(),
            external: self.external.as_ref(),
        };
        asked.build(&app, &request_context, &mut self.values)
    }
}

/// The URL of an endpoint in a request context, or `None` where the `url_for` of `app` has to
/// make it.
///
/// :raises Exception: what a converter raises.
#[pyfunction]
#[pyo3(signature = (app, context, endpoint, values, method, scheme, external, /))]
pub(crate) fn build_in_request<'py>(
    app: &Bound<'py, PyAny>,
    context: &Bound<'py, PyAny>,
    endpoint: &Bound<'py, PyAny>,
    values: &Bound<'py, PyDict>,
    method: Option<&Bound<'py, PyAny>>,
    scheme: Option<&Bound<'py, PyAny>>,
    external: Option<&Bound<'py, PyAny>>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let Some(mut values) = Values::read(Some(values.as_any()))? else {
        return Ok(None);
    };
    let asked = Asked {
        endpoint,
        method,
        scheme,
        external,
    };
    asked.build(app, context, &mut values)
}

/// The arguments of a `url_for` without an anchor.
struct Asked<'a, 'py> {
    endpoint: &'a Bound<'py, PyAny>,
    method: Option<&'a Bound<'py, PyAny>>,
    scheme: Option<&'a Bound<'py, PyAny>>,
    external: Option<&'a Bound<'py, PyAny>>,
}

impl<'py> Asked<'_, 'py> {
    fn build(
        &self,
        app: &Bound<'py, PyAny>,
        context: &Bound<'py, PyAny>,
        values: &mut Values<'py>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = app.py();
        let relative = |endpoint: &str| endpoint.is_empty() || endpoint.starts_with('.');
        let Ok(name) = self.endpoint.cast_exact::<PyString>() else {
            return Ok(None);
        };
        let force_external = match self.external {
            Some(external) => external.is_truthy()?,
            None => self.scheme.is_some(),
        };
        if name.to_str().is_ok_and(relative) || (self.scheme.is_some() && !force_external) {
            return Ok(None);
        }
        if !is_plain(app)? {
            return Ok(None);
        }
        let adapter = adapter_of(context)?;
        let Ok(adapter) = adapter.cast::<MapAdapterBase>() else {
            return Ok(None);
        };
        let known = References::get(py)?;
        if !known.leaves_natively(adapter, References::BUILDS)? {
            return Ok(None);
        }
        let given = BuildArguments {
            endpoint: self.endpoint,
            method: self.method,
            force_external,
            append_unknown: true,
            url_scheme: self.scheme,
        };
        match given.build(adapter, values) {
            Ok(url) => Ok(url.map(Bound::into_any)),
            // The application may have a handler for URLs that cannot be built.
            Err(error) if error.is_instance(py, known.build_error.bind(py)) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
