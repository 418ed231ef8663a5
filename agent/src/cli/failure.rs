//! Errors as the user sees them.

use std::{
    io::{self, ErrorKind},
    process::ExitCode,
};

use crate::{
    serve::listen::ListenError,
    show::escape::{PATH_LIMIT, escape},
};

/// What failed, on what and why; and what to do.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub(super) struct Failure {
    what: String,
    hint: Option<String>,
    usage: bool,
}

impl Failure {
    /// Something did not work.
    pub(super) fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), hint: None, usage: false }
    }

    /// The user asked for something that makes no sense.
    pub(super) fn usage(what: impl Into<String>) -> Self {
        Self { usage: true, ..Self::new(what) }
    }

    /// What to do.
    pub(super) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// Prints the lines.
    pub(super) fn print(&self) {
        print_error(&self.what, self.hint.as_deref());
    }
}

/// Prints an error and gives the exit status that goes with it.
pub(super) fn report(error: &anyhow::Error) -> ExitCode {
    // Whoever read our output has seen enough.
    if error.chain().any(is_broken_pipe) {
        return ExitCode::SUCCESS;
    }
    let failure = error.downcast_ref::<Failure>();
    print_error(&format!("{error:#}"), failure.and_then(|failure| failure.hint.as_deref()));
    let wrong_address =
        matches!(error.downcast_ref::<ListenError>(), Some(ListenError::NoAddress { .. }));
    if wrong_address || failure.is_some_and(|failure| failure.usage) {
        ExitCode::from(2)
    } else {
        ExitCode::FAILURE
    }
}

fn is_broken_pipe(cause: &(dyn std::error::Error + 'static)) -> bool {
    let io = cause.downcast_ref::<io::Error>().map(io::Error::kind);
    let json = cause.downcast_ref::<serde_json::Error>().and_then(serde_json::Error::io_error_kind);
    io.or(json) == Some(ErrorKind::BrokenPipe)
}

fn print_error(what: &str, hint: Option<&str>) {
    use io::Write as _;
    // Where there is no stderr there is nobody to tell.
    let mut stderr = io::stderr().lock();
    let _ = writeln!(stderr, "error: {}", escape(what, PATH_LIMIT));
    if let Some(hint) = hint {
        let _ = writeln!(stderr, "hint: {}", escape(hint, PATH_LIMIT));
    }
}
