//! How a server is known, and how the agent is.

use std::path::PathBuf;

/// Certificates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// Certificates of those who may vouch for the server, PEM; `None` for those of the system.
    pub ca_file: Option<PathBuf>,
    /// Certificate of the agent and its key, PEM.
    pub own: Option<(PathBuf, PathBuf)>,
    /// The name that must be in the server's certificate; `None` for that of the address.
    pub server_name: Option<String>,
    /// Take any certificate.
    pub insecure_skip_verify: bool,
}

/// Who the agent says that it is. The files are read each time, because secrets change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Login {
    /// HTTP basic authentication.
    Basic {
        /// The name.
        username: String,
        /// File with the password.
        password_file: PathBuf,
    },
    /// File with a bearer token.
    Bearer(PathBuf),
}
