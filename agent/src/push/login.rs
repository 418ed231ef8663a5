//! The header by which the agent says who it is.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use hyper::header::HeaderValue;

use super::{failure::Failure, settings::Login, tls};

/// The value of `Authorization`. Reads the file with the secret.
pub(crate) fn authorization(login: &Login) -> Result<HeaderValue, Failure> {
    let path = match login {
        Login::Basic { password_file, .. } => password_file,
        Login::Bearer(file) => file,
    };
    let secret = tls::read(path).map_err(|error| Failure::local(&error))?;
    let unusable = |why: &str| Failure::local(&format!("{} {why}", path.display()));
    let secret = String::from_utf8(secret).map_err(|_| unusable("is not UTF-8"))?;
    let secret = secret.trim_end_matches(['\r', '\n']);
    if secret.is_empty() {
        return Err(unusable("is empty"));
    }
    let value = match login {
        Login::Basic { username, .. } => {
            format!("Basic {}", BASE64_STANDARD.encode(format!("{username}:{secret}")))
        }
        Login::Bearer(_) => format!("Bearer {secret}"),
    };
    let mut value = HeaderValue::try_from(value)
        .map_err(|_| unusable("has characters that a header must not have"))?;
    value.set_sensitive(true);
    Ok(value)
}
