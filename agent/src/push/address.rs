//! The address of a server.

use hyper::http::{
    Uri,
    uri::{PathAndQuery, Scheme},
};

/// Reads `http://HOST:PORT` or `https://HOST:PORT`, with a path or without. Names and passwords in
/// it are refused, with `secrets` to say where they belong: what stands in an address is in the log
/// and in labels.
///
/// # Errors
/// What is wrong with it, for the user.
pub fn parse(text: &str, secrets: &str) -> Result<Uri, String> {
    let wrong = |why: &str| format!("{why}; http://HOST:PORT or https://HOST:PORT is needed");
    let uri: Uri = text.parse().map_err(|error| wrong(&format!("it is no URL ({error})")))?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err(wrong("it begins with neither http:// nor https://"));
    }
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    if authority.contains('@') {
        return Err(format!(
            "a name and a password do not belong into the address: give them {secrets}"
        ));
    }
    if uri.host().is_none_or(str::is_empty) {
        return Err(wrong("it names no host"));
    }
    if uri.port().is_some() != authority.rsplit(']').next().is_some_and(|end| end.contains(':')) {
        return Err(wrong("its port is no number"));
    }
    if uri.query().is_some() {
        return Err(wrong("it has a query"));
    }
    Ok(uri)
}

/// The same server, at this path.
///
/// # Errors
/// What is wrong with the path, for the user.
pub fn at_path(uri: Uri, path: &str) -> Result<Uri, String> {
    let mut parts = uri.into_parts();
    let path: PathAndQuery =
        path.parse().map_err(|error| format!("its path does not do ({error})"))?;
    parts.path_and_query = Some(path);
    Uri::from_parts(parts).map_err(|error| format!("it is no URL ({error})"))
}

/// Does it ask for TLS?
#[must_use]
pub fn is_tls(uri: &Uri) -> bool {
    uri.scheme() == Some(&Scheme::HTTPS)
}
