//! What became of the configuration when it was read last.

/// What became of the configuration when it was read last.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Configuration {
    /// It was taken; otherwise the one before is in force.
    pub successful: bool,
    /// When one was taken last, in seconds since the Unix epoch.
    pub taken_at: f64,
}
