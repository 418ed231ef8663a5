//! A creation site: where in a program goroutines are started, and what they run.

use std::sync::Arc;

/// Names a creation site within a process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SiteName {
    /// Function with the `go` statement, as Go's own goroutine dump has it behind "created by".
    pub created_by: String,
    /// Path of the source file of the `go` statement, as the compiler recorded it.
    pub file: String,
    /// Line of the `go` statement.
    pub line: u32,
    /// The function started.
    pub start: String,
}

impl SiteName {
    /// `file.go:line`, the file by its base name: the label `location`.
    #[must_use]
    pub fn location(&self) -> String {
        let base = self.file.rsplit('/').next().unwrap_or(&self.file);
        if base.is_empty() { String::new() } else { format!("{base}:{}", self.line) }
    }

    /// Whether it is where the main goroutine comes from. The runtime's assembly creates that one,
    /// of which there is neither a function nor a line.
    #[must_use]
    pub fn is_main(&self) -> bool {
        self.start == "runtime.main"
    }
}

/// A creation site with its counts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Site {
    /// Which site; `None` for the rest of the sites of a process, summed up.
    pub name: Option<SiteName>,
    /// Goroutines alive that were born there: by the runtime's table, where that is read; else
    /// what the probes counted.
    pub live: u64,
    /// Goroutines born there while the probes were attached.
    pub created: u64,
    /// Goroutines born there that ended while the probes were attached.
    pub exited: u64,
    /// The runtime's own goroutines (garbage collector and the like), not the program's.
    pub system: bool,
    /// What its goroutines do, by the runtime's table.
    pub held: Held,
}

/// What the goroutines of a site do, and what they hold; empty where the runtime's table is not
/// read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Held {
    /// How many are in which state, or wait for what, by the runtime's own words; the most first.
    pub doing: Vec<(Arc<str>, u64)>,
    /// Bytes of their stacks.
    pub stack_bytes: u64,
    /// How long the one that waits longest has waited, in nanoseconds; `None` where the runtime
    /// has not noted it of any (it does so when it collects garbage).
    pub longest_wait_nanoseconds: Option<u64>,
    /// How many more there are each minute, by the last minute; `None` where it is not known: of
    /// sites with few goroutines, and before there were some looks at them.
    pub growth_per_minute: Option<f64>,
}
