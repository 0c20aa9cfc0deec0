//! The extension module `bustapi._native`: converts between Python and the pure crates.
//!
//! Nothing is decided here. Syntax and policy live in the pure crates, behaviour in the
//! Python package.

use pyo3::prelude::*;

mod async_view;
mod attach;
mod body;
mod call;
mod context;
mod context_variable;
mod cookie_session;
mod defaults;
mod environ;
mod error;
mod form;
mod function;
mod headers;
mod hooks;
mod json;
mod json_load;
mod multi_dict;
mod plan;
mod proxy;
mod reply;
mod request;
mod request_attribute;
mod request_base;
mod request_class;
mod response;
mod response_class;
mod road;
mod routing;
mod server;
mod session;
mod static_files;
mod stream;
mod text;
mod view;
mod view_coroutine;

#[pymodule]
mod _native {
    #[pymodule_export]
    use crate::body::RawBody;
    #[pymodule_export]
    use crate::context::{AppContextBase, RequestContextBase};
    #[pymodule_export]
    use crate::headers::HeadersBase;
    #[pymodule_export]
    use crate::json::dump_json;
    #[pymodule_export]
    use crate::json_load::load_json;
    #[pymodule_export]
    use crate::plan::Generation;
    #[pymodule_export]
    use crate::proxy::make_proxy;
    #[pymodule_export]
    use crate::reply::StartResponse;
    #[pymodule_export]
    use crate::request::RawRequest;
    #[pymodule_export]
    use crate::request_attribute::RequestAttribute;
    #[pymodule_export]
    use crate::request_base::RequestBase;
    #[pymodule_export]
    use crate::request_class::{make_request_from_python, set_request_classes};
    #[pymodule_export]
    use crate::response_class::{
        is_default_provider, is_default_response, json_response, set_json_provider,
        set_response_classes,
    };
    #[pymodule_export]
    use crate::routing::{MapAdapterBase, RuleMap, build_in_request, make_url_for};
    #[pymodule_export]
    use crate::server::{Listener, serve};
    #[pymodule_export]
    use crate::session::SessionSigner;
    #[pymodule_export]
    use crate::static_files::{accepted_codings, is_coded};
}
