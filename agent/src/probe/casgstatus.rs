//! Changes of goroutines' statuses: the uprobe on `runtime.casgstatus`.
//!
//! Feeds `goroscope trace` only.

/// The program. It reads records that the target has just touched, so it need not sleep.
pub(super) const PROGRAM: &str = "casgstatus";

/// The function it is attached to, for messages.
pub(super) const FUNCTION: &str = "runtime.casgstatus";
