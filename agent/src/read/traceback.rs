//! Which calls on a stack Go's own goroutine dump shows, and under which names.
//!
//! `showfuncinfo` in <https://github.com/golang/go/blob/go1.26.0/src/runtime/traceback.go>, and
//! `showframe` of the releases before 1.21, for programs that do not ask for more (`GOTRACEBACK`).

use super::release::Minor;
use crate::inspect::Call;

/// The rules of a release, on the way from the innermost call to the outermost.
#[derive(Clone, Debug)]
pub struct Traceback {
    minor: Minor,
    /// A wrapper that called the last function is shown.
    wrapper_is_shown: bool,
    is_first: bool,
}

impl Traceback {
    /// Begins at the innermost call of a stack.
    #[must_use]
    pub fn new(minor: Minor) -> Self {
        Self { minor, wrapper_is_shown: false, is_first: true }
    }

    /// Whether the next call is shown.
    pub fn shows(&mut self, name: &str, is_wrapper: bool) -> bool {
        let hidden = is_wrapper && !self.wrapper_is_shown;
        // One that called a panic instead of what it wraps says something.
        self.wrapper_is_shown =
            matches!(name, "runtime.gopanic" | "runtime.sigpanic" | "runtime.panicwrap");
        let shown = !hidden && self.is_of_interest(name);
        self.is_first &= !shown;
        shown
    }

    fn is_of_interest(&self, name: &str) -> bool {
        match name {
            "runtime.gopanic" => !self.is_first,
            "runtime.runFinalizers" | "runtime.runCleanups" => true,
            _ => match name.strip_prefix("runtime.") {
                Some(rest) => self.is_exported(rest),
                None => name.contains('.'),
            },
        }
    }

    /// `isExportedRuntime`, of a name without the package.
    fn is_exported(&self, name: &str) -> bool {
        let capital = |text: &str| text.starts_with(|first: char| first.is_ascii_uppercase());
        if !self.minor.shows_exported_methods() {
            return capital(name);
        }
        match name.rsplit_once('.') {
            None => capital(name),
            Some((receiver, method)) => {
                let pointed = receiver.strip_prefix("(*").and_then(|rest| rest.strip_suffix(')'));
                let receiver = pointed.filter(|inner| !inner.is_empty()).unwrap_or(receiver);
                capital(method) && (receiver.is_empty() || capital(receiver))
            }
        }
    }

    /// Whether the function is shown that created a goroutine.
    #[must_use]
    pub fn shows_creator(minor: Minor, name: &str) -> bool {
        Self { is_first: false, ..Self::new(minor) }.shows(name, false)
    }

    /// The name under which a call is shown.
    #[must_use]
    pub fn shown_name(call: &Call) -> &str {
        if call.name == "runtime.gopanic" { "panic" } else { &call.place.function }
    }
}
