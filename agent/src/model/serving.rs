//! How serving over HTTP goes.

/// The web configuration, and whom it kept out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Serving {
    /// Is it in force as it is written? `None` where there is none.
    pub web_config_is_in_force: Option<bool>,
    /// When the server's certificate ends, in seconds since the Unix epoch.
    pub certificate_ends: Option<i64>,
    /// Connections and requests that were refused, by reason.
    pub refused: Vec<(&'static str, u64)>,
}
