//! Where an application is reached, and the URLs that are absolute for it.

use crate::map::map::Map;
use crate::map::settings::MapOptions;
use crate::text::redirect_target::has_authority;

/// What a map is bound to.
#[derive(Debug, Clone, Copy)]
pub struct Bind<'a> {
    /// The host, without the subdomain, with its port unless that is the scheme's own.
    pub server_name: &'a str,
    /// Where the application is mounted; `/` for the root.
    pub script_name: &'a str,
    /// The subdomain; `None` for the map's default one.
    pub subdomain: Option<&'a str>,
    /// `http`, `https`, `ws` or `wss`.
    pub url_scheme: &'a str,
    /// The method of requests and builds that name none; builds want it in upper case.
    pub default_method: &'a str,
    /// The query string, without `?`, to be kept by redirects.
    pub query: Option<&'a str>,
}

impl<'a> Bind<'a> {
    /// An application at the root of `server_name`, over plain HTTP.
    #[must_use]
    pub const fn new(server_name: &'a str) -> Self {
        Self {
            server_name,
            script_name: "/",
            subdomain: None,
            url_scheme: "http",
            default_method: "GET",
            query: None,
        }
    }
}

/// Where an application is reached: what a map is bound to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Site<'a> {
    pub(crate) server_name: &'a str,
    pub(crate) script_name: &'a str,
    /// `None` in a map that matches hosts.
    pub(crate) subdomain: Option<&'a str>,
    pub(crate) url_scheme: &'a str,
    pub(crate) default_method: &'a str,
}

impl Site<'_> {
    /// The host that a subdomain (or host) is reached at; `None` for the current one.
    pub(crate) fn push_host(&self, out: &mut String, options: &MapOptions, domain: Option<&str>) {
        if options.host_matching {
            out.push_str(domain.unwrap_or(self.server_name));
            return;
        }
        let subdomain = domain.or(self.subdomain).unwrap_or_default();
        if !subdomain.is_empty() {
            out.push_str(subdomain);
            out.push('.');
        }
        out.push_str(self.server_name);
    }

    pub(crate) fn scheme(&self) -> &str {
        if self.url_scheme.is_empty() {
            "http"
        } else {
            self.url_scheme
        }
    }

    /// The absolute URL of a path that is already percent-encoded.
    pub(crate) fn redirect_url(
        &self,
        map: &Map,
        path: &str,
        query: Option<&str>,
        domain: Option<&str>,
    ) -> String {
        let mut host = String::new();
        self.push_host(&mut host, map.options(), domain);
        let mut url = format!("{}:", self.scheme());
        if !host.is_empty() || has_authority(self.scheme()) {
            url.push_str("//");
            url.push_str(&host);
        }
        let script_name = self.script_name.trim_matches('/');
        if !script_name.is_empty() {
            if !host.is_empty() || has_authority(self.scheme()) {
                url.push('/');
            }
            url.push_str(script_name);
        }
        url.push('/');
        url.push_str(path.trim_start_matches('/'));
        if let Some(query) = query.filter(|query| !query.is_empty()) {
            url.push('?');
            url.push_str(query);
        }
        url
    }

    /// What the targets of `redirect_to` are relative to.
    pub(crate) fn redirect_base(&self) -> String {
        let mut base = format!("{}://", self.scheme());
        if let Some(subdomain) = self.subdomain.filter(|subdomain| !subdomain.is_empty()) {
            base.push_str(subdomain);
            base.push('.');
        }
        base.push_str(self.server_name);
        base.push_str(self.script_name);
        if !self.script_name.ends_with('/') {
            base.push('/');
        }
        base
    }
}
