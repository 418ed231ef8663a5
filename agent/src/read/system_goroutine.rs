//! Which goroutines are the runtime's own.
//!
//! <https://github.com/golang/go/blob/go1.26.0/src/runtime/traceback.go> (`isSystemGoroutine`), and
//! the same function of the other releases.

/// What the function that a goroutine was started with says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// The program's own.
    User,
    /// The runtime's own.
    System,
    /// The goroutine that runs finalizers: the program's while it runs one.
    Finalizer,
    /// A goroutine that runs cleanups (from 1.25): likewise.
    Cleanup,
}

impl Start {
    /// Judges by the function's full name; `None` is a function that is not in the table.
    #[must_use]
    pub(super) fn of(function: Option<&str>) -> Self {
        match function {
            None | Some("runtime.main" | "runtime.corostart" | "runtime.handleAsyncEvent") => {
                Self::User
            }
            Some("runtime.runfinq" | "runtime.runFinalizers") => Self::Finalizer,
            Some("runtime.runCleanups") => Self::Cleanup,
            Some(name) if name.starts_with("runtime.") => Self::System,
            Some(_) => Self::User,
        }
    }
}

/// Whether a goroutine is the runtime's own just now. The runtime asks a variable whether a
/// finalizer runs; that is so exactly when its goroutine is not parked for want of one.
pub(super) fn is_system(start: Start, finalizer_idle: bool, running_cleanups: bool) -> bool {
    match start {
        Start::User => false,
        Start::System => true,
        Start::Finalizer => finalizer_idle,
        Start::Cleanup => !running_cleanups,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_runtime_s_own_are_told_by_their_function() {
        for (function, start) in [
            ("main.main", Start::User),
            ("runtime.main", Start::User),
            ("runtime.corostart", Start::User),
            ("runtime/pprof.profileWriter", Start::User),
            ("runtime.bgsweep", Start::System),
            ("runtime.gcenable.gowrap1", Start::System),
            ("runtime.runfinq", Start::Finalizer),
            ("runtime.runFinalizers", Start::Finalizer),
            ("runtime.runCleanups", Start::Cleanup),
        ] {
            assert_eq!(Start::of(Some(function)), start, "{function}");
        }
        assert_eq!(Start::of(None), Start::User);
    }

    #[test]
    fn finalizers_and_cleanups_are_the_program_s_while_they_run() {
        assert!(is_system(Start::Finalizer, true, false));
        assert!(!is_system(Start::Finalizer, false, false));
        assert!(is_system(Start::Cleanup, false, false));
        assert!(!is_system(Start::Cleanup, false, true));
    }
}
