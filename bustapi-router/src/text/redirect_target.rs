//! Targets of redirects: templates with variables, and relative URLs made absolute.

/// Fills in a template.
pub(crate) fn expand_template<E>(
    template: &str,
    mut text_of: impl FnMut(&str) -> Result<String, E>,
) -> Result<String, E> {
    let mut out = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, name, after)) = next_variable(rest) {
        out.push_str(before);
        out.push_str(&text_of(name)?);
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

/// The text before the first `<name>`, the name, and the text behind.
fn next_variable(text: &str) -> Option<(&str, &str, &str)> {
    let mut from = 0;
    loop {
        let open = from + text[from..].find('<')?;
        let close = open + text[open..].find('>')?;
        if close > open + 1 {
            return Some((&text[..open], &text[open + 1..close], &text[close + 1..]));
        }
        // `<>` names nothing and stays.
        from = open + 1;
    }
}

/// Schemes whose URLs have hosts and can be relative, of those Python's `urllib.parse` knows the
/// ones still in use.
const HOST_SCHEMES: [&str; 7] = ["http", "https", "ws", "wss", "ftp", "sftp", "file"];

pub(crate) fn has_authority(scheme: &str) -> bool {
    HOST_SCHEMES.contains(&scheme)
}

#[derive(Debug, Default, PartialEq)]
struct Url<'a> {
    scheme: String,
    netloc: &'a str,
    path: &'a str,
    params: &'a str,
    query: &'a str,
    fragment: &'a str,
}

/// Splits a URL as Python's `urlparse` does, empty components and missing ones alike.
fn split<'a>(url: &'a str, default_scheme: &str) -> Url<'a> {
    let mut parsed = Url {
        scheme: default_scheme.to_owned(),
        ..Url::default()
    };
    let mut rest = url;
    if let Some((scheme, after)) = rest.split_once(':') {
        let valid = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
        if valid {
            parsed.scheme = scheme.to_ascii_lowercase();
            rest = after;
        }
    }
    if let Some(after) = rest.strip_prefix("//") {
        let length = after.find(['/', '?', '#']).unwrap_or(after.len());
        (parsed.netloc, rest) = after.split_at(length);
    }
    if let Some((before, fragment)) = rest.split_once('#') {
        parsed.fragment = fragment;
        rest = before;
    }
    if let Some((before, query)) = rest.split_once('?') {
        parsed.query = query;
        rest = before;
    }
    // Only the last segment has parameters, and not in every scheme.
    let segment = rest.rfind('/').map_or(0, |slash| slash + 1);
    if matches!(
        parsed.scheme.as_str(),
        "" | "http" | "https" | "ftp" | "sftp"
    ) && let Some(semicolon) = rest[segment..].find(';')
    {
        parsed.params = &rest[segment + semicolon + 1..];
        rest = &rest[..segment + semicolon];
    }
    parsed.path = rest;
    parsed
}

fn unsplit(url: &Url<'_>, path: &str) -> String {
    let mut out = String::new();
    if !url.scheme.is_empty() {
        out.push_str(&url.scheme);
        out.push(':');
    }
    let double_slash = path.starts_with("//");
    if !url.netloc.is_empty() || (has_authority(&url.scheme) && !double_slash) {
        out.push_str("//");
        out.push_str(url.netloc);
        if !path.is_empty() && !path.starts_with('/') {
            out.push('/');
        }
    }
    out.push_str(path);
    for (mark, part) in [(';', url.params), ('?', url.query), ('#', url.fragment)] {
        if !part.is_empty() {
            out.push(mark);
            out.push_str(part);
        }
    }
    out
}

/// Resolves `url` against the absolute URL `base`, as Python's `urljoin` does (RFC 3986,
/// section 5.2, with dot segments removed and no error for too many of them).
pub(crate) fn join_url(base: &str, url: &str) -> String {
    // Characters that `urlsplit` drops before it looks at a URL.
    let cleaned: String = url
        .trim_start_matches(|c: char| c <= ' ')
        .chars()
        .filter(|character| !matches!(character, '\t' | '\r' | '\n'))
        .collect();
    if url.is_empty() {
        return base.to_owned();
    }
    let base_url = split(base, "");
    let mut joined = split(&cleaned, &base_url.scheme);
    if joined.scheme != base_url.scheme || !has_authority(&joined.scheme) {
        return url.to_owned();
    }
    if !joined.netloc.is_empty() {
        let path = joined.path;
        return unsplit(&joined, path);
    }
    joined.netloc = base_url.netloc;
    if joined.path.is_empty() && joined.params.is_empty() {
        joined.params = base_url.params;
        if joined.query.is_empty() {
            joined.query = base_url.query;
        }
        return unsplit(&joined, base_url.path);
    }
    let path = join_paths(base_url.path, joined.path);
    unsplit(&joined, &path)
}

fn join_paths(base: &str, path: &str) -> String {
    let mut segments: Vec<&str> = Vec::new();
    if !path.starts_with('/') {
        segments.extend(base.split('/'));
        if segments.last().is_some_and(|last| !last.is_empty()) {
            segments.pop();
        }
    }
    let relative = !path.starts_with('/');
    segments.extend(path.split('/'));
    if relative {
        let last = segments.len() - 1;
        let mut index = 0;
        segments.retain(|segment| {
            let inner = index > 0 && index < last;
            index += 1;
            !inner || !segment.is_empty()
        });
    }
    let mut resolved: Vec<&str> = Vec::new();
    for segment in &segments {
        match *segment {
            ".." => {
                resolved.pop();
            }
            "." => {}
            other => resolved.push(other),
        }
    }
    if matches!(segments.last(), Some(&"." | &"..")) {
        resolved.push("");
    }
    let path = resolved.join("/");
    if path.is_empty() {
        "/".to_owned()
    } else {
        path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joins_as_python_does() {
        for (base, url, joined) in [
            ("http://h/", "/x", "http://h/x"),
            ("http://h/", "x/y?q#f", "http://h/x/y?q#f"),
            ("http://h/app/", "x", "http://h/app/x"),
            ("http://h/app/", "/x", "http://h/x"),
            ("http://h/app/", "../../x", "http://h/x"),
            ("http://h/app/", "", "http://h/app/"),
            ("http://h/app/", "?a=1", "http://h/app/?a=1"),
            ("http://h/app/", "a/./b/../c/.", "http://h/app/a/c/"),
            ("http://h/", "//other/x", "http://other/x"),
            ("http://h/", "https://other/x", "https://other/x"),
            ("http://h/", "http://other", "http://other"),
            ("http://h/", "mailto:a@b", "mailto:a@b"),
            ("http://h/", "x;p=1", "http://h/x;p=1"),
            ("http://h/", "http:x", "http://h/x"),
            ("ws://h/a/", "b", "ws://h/a/b"),
            ("http://h/", "a//b", "http://h/a/b"),
            ("http://h/", "/a//b", "http://h/a//b"),
        ] {
            assert_eq!(join_url(base, url), joined, "{base} + {url}");
        }
    }

    #[test]
    fn fills_in_templates() {
        let filled = expand_template("/a/<x>!", |name| Ok::<_, &str>(name.to_uppercase())).unwrap();
        assert_eq!(filled, "/a/X!");
        let mut names = Vec::new();
        let note = |name: &str| {
            names.push(name.to_owned());
            Ok::<_, &str>(String::new())
        };
        expand_template("/a/<x>/<>/<y z>/<<x>", note).unwrap();
        assert_eq!(names, ["x", "y z", "<x"]);
        assert!(expand_template("<x>", |_| Err("no")).is_err());
    }
}
