//! Headers that the user wants to be sent, most of all secrets.

use std::{fmt, path::Path, str::FromStr};

use hyper::{
    HeaderMap,
    header::{
        CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderName, HeaderValue,
        TRANSFER_ENCODING,
    },
};

use crate::push::{TlsError, tls};

/// Those that the requests need for themselves.
const OWN: [HeaderName; 6] =
    [CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HOST, TRANSFER_ENCODING];

/// A header; its value is shown nowhere.
#[derive(Clone, PartialEq, Eq)]
pub struct Header {
    name: HeaderName,
    value: HeaderValue,
}

impl fmt::Debug for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Header").field("name", &self.name).finish_non_exhaustive()
    }
}

impl FromStr for Header {
    type Err = String;

    /// Reads `NAME=VALUE`. No error repeats the text, which may be a secret.
    fn from_str(text: &str) -> Result<Self, String> {
        let (name, value) = text.split_once('=').ok_or("NAME=VALUE is needed")?;
        let name = HeaderName::from_str(name.trim())
            .map_err(|_| "what stands before the = is no name of a header")?;
        if OWN.contains(&name) {
            return Err(format!("{name} is not for the user to set"));
        }
        let mut value = HeaderValue::from_str(value.trim())
            .map_err(|_| "what stands behind the = has characters that a header must not have")?;
        value.set_sensitive(true);
        Ok(Self { name, value })
    }
}

/// Why there are no headers.
#[derive(Debug, thiserror::Error)]
pub enum HeadersError {
    /// The file cannot be read.
    #[error(transparent)]
    File(#[from] TlsError),
    /// The file holds something else.
    #[error("{path}:{line}: {why}")]
    Line {
        /// Which file.
        path: String,
        /// Which line, from 1.
        line: usize,
        /// What is wrong.
        why: String,
    },
}

/// All of them; those of the file win. It has one on a line, and lines that begin with `#`.
pub(super) fn collect(headers: &[Header], file: Option<&Path>) -> Result<HeaderMap, HeadersError> {
    let mut map = HeaderMap::new();
    let from_file = file.map(read).transpose()?.unwrap_or_default();
    for Header { name, value } in headers.iter().chain(&from_file) {
        map.insert(name, value.clone());
    }
    Ok(map)
}

fn read(path: &Path) -> Result<Vec<Header>, HeadersError> {
    let bytes = tls::read(path)?;
    let wrong = |line, why| HeadersError::Line { path: path.display().to_string(), line, why };
    let mut headers = Vec::new();
    for (number, line) in (1..).zip(bytes.split(|byte| *byte == b'\n')) {
        let line = str::from_utf8(line).map_err(|_| wrong(number, "it is not UTF-8".to_owned()))?;
        let line = line.trim();
        if !line.is_empty() && !line.starts_with('#') {
            headers.push(line.parse().map_err(|why| wrong(number, why))?);
        }
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn names_and_values() {
        let header: Header = "Api-Key = a=b, c ".parse().unwrap();
        assert_eq!((header.name.as_str(), header.value.as_bytes()), ("api-key", &b"a=b, c"[..]));
        assert_eq!(format!("{header:?}"), "Header { name: \"api-key\", .. }");
        for (text, why) in [
            ("secret", "NAME=VALUE"),
            ("=secret", "name of a header"),
            ("a b=secret", "name of a header"),
            ("a=sec\nret", "characters"),
            ("Content-Type=secret", "content-type"),
        ] {
            let error = text.parse::<Header>().unwrap_err();
            assert!(error.contains(why) && !error.contains("sec"), "{text}: {error}");
        }
    }

    #[test]
    fn the_file_wins_and_errors_name_the_line() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(&file, "# for the gateway\n\napi-key=new\r\nx-tenant = shop\n").unwrap();
        let given = ["Api-Key=old".parse().unwrap(), "other=1".parse().unwrap()];
        let headers = collect(&given, Some(file.path())).unwrap();
        let value = |name: &str| headers.get(name).unwrap().to_str().unwrap();
        assert_eq!((value("api-key"), value("x-tenant"), value("other")), ("new", "shop", "1"));
        assert!(headers.values().all(HeaderValue::is_sensitive));
        fs::write(&file, "a=1\nsecret\n").unwrap();
        let error = collect(&[], Some(file.path())).unwrap_err().to_string();
        assert!(error.contains(":2: NAME=VALUE") && !error.contains("secret"), "{error}");
        let error = collect(&[], Some(Path::new("/nonexistent"))).unwrap_err().to_string();
        assert!(error.contains("/nonexistent"), "{error}");
        assert!(collect(&[], None).unwrap().is_empty());
    }
}
