//! Python applications on the server: where their views run, and how answers come back.

pub(crate) mod application;
pub(crate) mod arrived;
pub(crate) mod calls;
pub(crate) mod config;
pub(crate) mod endpoint;
pub(crate) mod event_loop;
pub(crate) mod file_calls;
pub(crate) mod handler;
pub(crate) mod server;
pub(crate) mod signals;
pub(crate) mod static_files;
