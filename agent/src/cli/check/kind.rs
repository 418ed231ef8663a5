//! Whose goroutine it is, by the functions that started it.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use crate::model::site::SiteName;

/// Waits for signals, in a program that handles some.
const SIGNALS: &str = "os/signal.loop";
/// Goroutines that are left by design and do no harm, by the function they were started with (or,
/// for a wrapper that the compiler makes, its beginning).
///
/// Those of the standard library that
/// [goleak](https://github.com/uber-go/goleak/blob/v1.3.0/options.go) leaves out; and the writer of
/// an idle HTTP connection: if its connection is really stuck, so is the reader, which counts.
const KNOWN: [&str; 5] = [
    "runtime/pprof.profileWriter",
    "runtime/trace.Start.",
    "runtime/trace.(*traceMultiplexer)",
    "runtime/trace.(*recorder)",
    "net/http.(*persistConn).writeLoop",
];

/// Whose goroutine it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// It runs `main.main`.
    Main,
    /// It runs a test, a benchmark, or a part of either.
    Test,
    /// It waits for signals.
    Signals,
    /// It is left by design, or the user allows it.
    Allowed,
    /// Any other of the program.
    Program,
}

impl Kind {
    /// Judges by the names of its creation site.
    pub(super) fn of(site: &SiteName, allowed: &Allowed) -> Self {
        let start = site.start.as_str();
        let named = |known: &&str| {
            start == *known
                || start
                    .strip_prefix(*known)
                    .is_some_and(|rest| known.ends_with(['.', ')']) || rest.starts_with(['.', '-']))
        };
        // What package testing starts is a test, or waits for one.
        if start == "runtime.main" {
            Self::Main
        } else if start.starts_with("testing.") {
            Self::Test
        } else if start == SIGNALS {
            Self::Signals
        } else if KNOWN.iter().any(named) || allowed.has(site) {
            Self::Allowed
        } else {
            Self::Program
        }
    }
}

/// Functions whose goroutines the user allows to stay.
#[derive(Clone, Debug, Default)]
pub(crate) struct Allowed {
    globs: GlobSet,
    /// The patterns as they are: names of generic functions look like globs.
    names: Vec<String>,
}

impl Allowed {
    /// Takes patterns for the function with the `go` statement, or the function started.
    ///
    /// # Errors
    /// The pattern that is none, and why.
    pub(crate) fn new(patterns: &[String]) -> Result<Self, (String, String)> {
        let mut globs = GlobSetBuilder::new();
        for pattern in patterns {
            let glob = GlobBuilder::new(pattern).literal_separator(false).build();
            globs.add(glob.map_err(|error| (pattern.clone(), error.kind().to_string()))?);
        }
        let globs = globs.build().map_err(|error| (String::new(), error.kind().to_string()))?;
        Ok(Self { globs, names: patterns.to_vec() })
    }

    fn has(&self, site: &SiteName) -> bool {
        [&site.created_by, &site.start]
            .into_iter()
            .any(|name| self.globs.is_match(name) || self.names.contains(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(created_by: &str, start: &str, allowed: &[&str]) -> Kind {
        let patterns: Vec<String> = allowed.iter().map(|text| (*text).to_owned()).collect();
        let (created_by, start) = (created_by.to_owned(), start.to_owned());
        let site = SiteName { created_by, start, ..SiteName::default() };
        Kind::of(&site, &Allowed::new(&patterns).unwrap())
    }

    #[test]
    fn by_the_function_started() {
        assert_eq!(kind("", "runtime.main", &[]), Kind::Main);
        assert_eq!(kind("testing.(*T).Run", "testing.(*T).Run.gowrap1", &[]), Kind::Test);
        assert_eq!(kind("testing.(*T).Run", "testing.tRunner", &[]), Kind::Test);
        assert_eq!(kind("os/signal.Notify.func1.1", "os/signal.loop", &[]), Kind::Signals);
        let writer = "net/http.(*persistConn).writeLoop";
        assert_eq!(kind("x", writer, &[]), Kind::Allowed);
        assert_eq!(kind("x", &format!("{writer}-fm"), &[]), Kind::Allowed);
        assert_eq!(kind("x", "os/signal.looper", &[]), Kind::Program);
        assert_eq!(kind("main.main", "main.main.func1", &[]), Kind::Program);
        assert_eq!(kind("testingx.f", "testingx.g", &[]), Kind::Program);
    }

    #[test]
    fn patterns_are_for_either_function() {
        let create = |pattern| kind("a/b.(*pool).grow", "a/b.work[...]", &[pattern]);
        for pattern in ["a/b.*", "*.(*pool).grow", "a/b.work[...]", "*/b.work*", "*grow"] {
            assert_eq!(create(pattern), Kind::Allowed, "{pattern}");
        }
        for pattern in ["b.*", "grow", "a/c.*", "a/b.(*pool)"] {
            assert_eq!(create(pattern), Kind::Program, "{pattern}");
        }
        assert_eq!(Allowed::new(&["a[".to_owned()]).unwrap_err().0, "a[");
    }
}
