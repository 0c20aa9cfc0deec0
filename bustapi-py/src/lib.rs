//! The extension module `bustapi._native`: converts between Python and the pure crates, and calls
//! the application.
//!
//! Syntax and policy live in the pure crates, behaviour in the Python package. What the package
//! does is also done here where that is faster; each such module names the one that it follows, and
//! leaves to it whatever an application has replaced.

#![deny(unsafe_code)]
#![deny(clippy::undocumented_unsafe_blocks)]

use pyo3::prelude::*;

mod context;
mod error;
mod ground;
mod json;
mod lifecycle;
mod request;
mod response;
mod routing;
mod serve;
mod session;

#[pymodule]
mod _native {
    #[pymodule_export]
    use crate::context::app::AppContextBase;
    #[pymodule_export]
    use crate::context::proxy::make_proxy;
    #[pymodule_export]
    use crate::context::request::RequestContextBase;
    #[pymodule_export]
    use crate::context::url_for::{
        build_in_request, make_url_for, set_application_class, set_context_class,
    };
    #[pymodule_export]
    use crate::ground::context_variable::set_context_variables;
    #[pymodule_export]
    use crate::ground::overrides::Defaults;
    #[pymodule_export]
    use crate::json::provider::{is_default_provider, set_json_provider};
    #[pymodule_export]
    use crate::json::read::load_json;
    #[pymodule_export]
    use crate::json::write::dump_json;
    #[pymodule_export]
    use crate::lifecycle::outcome::set_plan;
    #[pymodule_export]
    use crate::lifecycle::plan::Generation;
    #[pymodule_export]
    use crate::request::attributes::RequestAttribute;
    #[pymodule_export]
    use crate::request::base::make_request_from_python;
    #[pymodule_export]
    use crate::request::body::RawBody;
    #[pymodule_export]
    use crate::request::class::set_request_classes;
    #[pymodule_export]
    use crate::request::headers::HeadersBase;
    #[pymodule_export]
    use crate::request::object::RequestBase;
    #[pymodule_export]
    use crate::request::raw::RawRequest;
    #[pymodule_export]
    use crate::response::object::{is_default_response, json_response, set_response_classes};
    #[pymodule_export]
    use crate::response::wsgi::StartResponse;
    #[pymodule_export]
    use crate::routing::references::set_routing_classes;
    #[pymodule_export]
    use crate::routing::{MapAdapterBase, RuleMap};
    #[pymodule_export]
    use crate::serve::config::ServerConfig;
    #[pymodule_export]
    use crate::serve::event_loop::set_event_loop;
    #[pymodule_export]
    use crate::serve::server::{Listener, end_with_parent, serve};
    #[pymodule_export]
    use crate::serve::static_files::{accepted_codings, is_coded};
    #[pymodule_export]
    use crate::session::signer::SessionSigner;
}
