//! All rules of an application, and the trees that they are found by.

pub(crate) mod compile;
pub(crate) mod map;
pub(crate) mod route_index;
pub(crate) mod settings;
pub(crate) mod states;
