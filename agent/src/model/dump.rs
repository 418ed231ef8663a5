//! A goroutine dump: every goroutine of a process with its stack, at one moment.
//!
//! Also what a dump is made of that came from elsewhere (Go's own text, a profile): what such a
//! source does not tell is absent here, never made up.

use std::sync::Arc;

/// A place in a program's source.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// Name of the function, as Go's own goroutine dump has it, without arguments.
    pub function: Arc<str>,
    /// Path of the file as the compiler recorded it; empty where it is not known.
    pub file: Arc<str>,
    /// Line in it; 0 where it is not known.
    pub line: u32,
}

impl Place {
    /// `file.go:line`: the file without its folders; empty where it is not known.
    #[must_use]
    pub fn location(&self) -> String {
        let base = self.file.rsplit('/').next().unwrap_or_default();
        if base.is_empty() { String::new() } else { format!("{base}:{}", self.line) }
    }
}

/// One call on a stack.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Frame {
    /// What is called, and where in it the call stands.
    pub place: Place,
    /// Where the thread goes on in it, as an address in the process; 0 where it is not known.
    pub pc: u64,
    /// Address of the function that holds `pc`, in the process; 0 where it is not known. The text
    /// form shows the distance.
    pub entry: u64,
    /// The compiler put it into the function of the next frame.
    pub inlined: bool,
}

/// A stack, the innermost call first.
pub type Stack = Arc<[Frame]>;

/// One goroutine.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Goroutine {
    /// Its number; 0 where the source has none (profiles).
    pub goid: u64,
    /// Number of the goroutine that created it (from Go 1.21).
    pub parent_goid: Option<u64>,
    /// Scheduler's state: `runnable`, `running`, `syscall`, `waiting`, `preempted`, …; empty where
    /// the source has none.
    pub state: Arc<str>,
    /// What it waits for, in the runtime's own words; `None` where it does not wait.
    pub wait_reason: Option<Arc<str>>,
    /// It is in a bubble of package synctest, and only others of the bubble can end its wait (where
    /// the reason does not say so itself).
    pub durable: bool,
    /// For how long it has waited, in seconds; `None` where the runtime has not noted it.
    pub wait_seconds: Option<f64>,
    /// It is one of the runtime's own.
    pub system: bool,
    /// It ran while it was looked at, each time: the stack is left out rather than shown wrong.
    pub torn: bool,
    /// It is locked to its thread (`runtime.LockOSThread`).
    pub locked_to_thread: bool,
    /// The stack goes on below its last frame: it was too deep, or could not be followed.
    pub truncated: bool,
    /// Id of the thread that runs it, or that it is in a system call on.
    pub thread: Option<u32>,
    /// It runs, and its stack is from a sample of its thread.
    pub sampled: bool,
    /// Why it has no stack, where it runs.
    pub no_stack: Option<Arc<str>>,
    /// The `go` statement that created it; `None` for the first goroutine.
    pub created_by: Option<Place>,
    /// The function it was started with.
    pub start: Option<Place>,
    /// Its stack; empty where it runs and no sample could be taken.
    pub stack: Stack,
    /// How many such goroutines the source tells of: 1, but for profiles.
    pub count: u64,
}

/// All goroutines of a process.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Dump {
    /// The process; 0 where the source does not tell.
    pub pid: u32,
    /// `go1.26.6`; empty where the source does not tell.
    pub go_version: String,
    /// When it was taken, in seconds since the Unix epoch; `None` where the source does not tell.
    pub taken_at: Option<f64>,
    /// Why threads could not be sampled, so that goroutines that run have no stack.
    pub unsampled: Option<Arc<str>>,
    /// The goroutines, in the order of their numbers.
    pub goroutines: Vec<Goroutine>,
}
