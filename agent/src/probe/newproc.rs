//! Births of goroutines: the uprobe on `runtime.newproc1`.
//!
//! Feeds `goroscope_goroutines_created_total`, `goroscope_site_goroutines` and
//! `goroscope_site_goroutines_created_total`.

/// The programs, the better one first: it needs sleepable uprobe programs (Linux 6.0; with the
/// queue of slots, a later one).
pub(super) const PROGRAMS: [&str; 2] = ["newproc1_sleepable", "newproc1"];

/// The function it is attached to, for messages.
pub(super) const FUNCTION: &str = "runtime.newproc1";
