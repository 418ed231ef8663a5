//! Which goroutines of a dump are wanted.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use super::args::OnlyArgs;
use crate::{
    cli::{failure::Failure, value::Text},
    model::dump::{Goroutine, Place},
};

/// What is asked of goroutines; what is empty asks nothing.
pub(super) struct Only {
    states: Vec<&'static str>,
    reasons: Vec<String>,
    functions: Names,
    sites: Names,
    min_wait: Option<f64>,
}

impl Only {
    pub(super) fn new(args: &OnlyArgs) -> Result<Self, Failure> {
        Ok(Self {
            states: args.state.iter().map(|state| state.0.as_str()).collect(),
            reasons: args.reason.iter().map(|reason| reason.0.clone()).collect(),
            functions: Names::new(&args.function)?,
            sites: Names::new(&args.site)?,
            min_wait: args.min_wait.map(|wait| wait.0.as_secs_f64()),
        })
    }

    /// Whether a goroutine meets all.
    pub(super) fn admits(&self, goroutine: &Goroutine) -> bool {
        let any = |asked: &[String], said: Option<&str>| {
            asked.is_empty() || said.is_some_and(|said| asked.iter().any(|a| a == said))
        };
        let created_by = goroutine.created_by.as_ref();
        (self.states.is_empty() || self.states.contains(&&*goroutine.state))
            && any(&self.reasons, goroutine.wait_reason.as_deref())
            && self.min_wait.is_none_or(|least| goroutine.wait_seconds.is_some_and(|w| w >= least))
            && (self.functions.is_empty()
                || goroutine.stack.iter().any(|frame| self.functions.has(&frame.place.function)))
            && (self.sites.is_empty() || created_by.is_some_and(|place| self.is_site(place)))
    }

    fn is_site(&self, place: &Place) -> bool {
        self.sites.has(&place.function) || self.sites.has(&place.location())
    }
}

/// Names that are asked for.
struct Names {
    globs: GlobSet,
    /// The patterns as they are: names of generic functions look like globs.
    plain: Vec<String>,
}

impl Names {
    fn new(patterns: &[Text]) -> Result<Self, Failure> {
        let mut globs = GlobSetBuilder::new();
        let wrong = |glob: &str, why: &globset::Error| {
            Failure::usage(format!("{glob:?} is no glob: {}", why.kind())).hint(
                "in a glob ? * [a-z] {one,two} have a meaning; put \\ before one that has none",
            )
        };
        for Text(pattern) in patterns {
            let glob = GlobBuilder::new(pattern).literal_separator(false).build();
            globs.add(glob.map_err(|error| wrong(pattern, &error))?);
        }
        Ok(Self {
            globs: globs.build().map_err(|error| wrong("", &error))?,
            plain: patterns.iter().map(|pattern| pattern.0.clone()).collect(),
        })
    }

    fn is_empty(&self) -> bool {
        self.plain.is_empty()
    }

    fn has(&self, name: &str) -> bool {
        self.plain.iter().any(|plain| plain == name) || self.globs.is_match(name)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::model::dump::Frame;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        only: OnlyArgs,
    }

    fn only(options: &[&str]) -> Result<Only, Failure> {
        let options = [""].iter().chain(options);
        Only::new(&Command::try_parse_from(options).unwrap().only)
    }

    fn goroutine() -> Goroutine {
        let place =
            |function: &str| Place { function: function.into(), file: "/a/b.go".into(), line: 7 };
        let frame = |function| Frame { place: place(function), ..Frame::default() };
        Goroutine {
            state: "waiting".into(),
            wait_reason: Some("chan receive".into()),
            wait_seconds: Some(90.0),
            created_by: Some(place("main.(*Pool[...]).start")),
            stack: [frame("net/http.(*conn).serve"), frame("main.work")].into(),
            ..Goroutine::default()
        }
    }

    #[test]
    fn what_is_not_asked_admits_all() {
        assert!(only(&[]).unwrap().admits(&Goroutine::default()));
    }

    #[test]
    fn each_question_is_answered() {
        for (options, admitted) in [
            (["--state", "waiting"], true),
            (["--state", "running,waiting"], true),
            (["--state", "running"], false),
            (["--reason", "chan receive"], true),
            (["--reason", "chan send,select"], false),
            (["--function", "net/http.*"], true),
            (["--function", "main.work"], true),
            (["--function", "work"], false),
            (["--min-wait", "90s"], true),
            (["--min-wait", "2m"], false),
            (["--site", "main.(*Pool[...]).start"], true),
            (["--site", "b.go:7"], true),
            (["--site", "*.go:8"], false),
        ] {
            assert_eq!(only(&options).unwrap().admits(&goroutine()), admitted, "{options:?}");
        }
        let asked = ["--min-wait", "0s", "--site", "*", "--reason", "select"];
        assert!(!only(&asked).unwrap().admits(&goroutine()));
        assert!(!only(&["--min-wait", "0s"]).unwrap().admits(&Goroutine::default()));
    }

    #[test]
    fn what_is_no_glob_is_refused() {
        assert!(only(&["--site", "main.[a"]).is_err());
    }
}
