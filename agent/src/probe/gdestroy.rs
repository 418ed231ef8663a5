//! Deaths of goroutines: the uprobe on `runtime.gdestroy` or `runtime.goexit0`.
//!
//! Feeds `goroscope_goroutines_exited_total`, `goroscope_site_goroutines` and
//! `goroscope_site_goroutines_exited_total`.

/// The programs, the better one first.
pub(super) const PROGRAMS: [&str; 2] = ["gdestroy_sleepable", "gdestroy"];

/// The function it is attached to, for messages.
pub(super) const FUNCTION: &str = "runtime.gdestroy";
