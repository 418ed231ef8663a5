//! Where two dumps come from.

use std::{
    fs::File,
    io::{self, IsTerminal as _, Write as _},
    path::Path,
    thread,
    time::Duration,
};

use super::{args::DiffArgs, text::Sides};
use crate::{
    cli::{dump, failure::Failure},
    discover::identity::Pid,
    dumps::{self, ParseError},
    model::dump::Dump,
    show::plural::plural,
};

const DEFAULT_INTERVAL: Duration = Duration::from_secs(10);
/// A name for standard input.
const STANDARD_INPUT: &str = "-";
/// A wait that is longer is announced.
const LONG: Duration = Duration::from_secs(1);

/// Where two dumps come from.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Source<'a> {
    Files(&'a Path, &'a Path),
    Process(Pid, Duration),
}

impl<'a> Source<'a> {
    pub(super) fn new(args: &'a DiffArgs) -> Result<Self, Failure> {
        let DiffArgs { first, second, interval, .. } = args;
        if let Some(second) = second {
            if [first, second].iter().all(|file| **file == *STANDARD_INPUT) {
                return Err(Failure::usage("both dumps cannot come from standard input")
                    .hint("write one of them to a file first"));
            }
            return Ok(Self::Files(first, second));
        }
        let pid = first.to_str().and_then(|text| text.parse().ok()).filter(|pid| *pid > 0);
        let Some(pid) = pid else {
            let what = format!("{} is no process id, and there is no second file", first.display());
            return Err(Failure::usage(what).hint(
                "give two files, or the id of a process: goroscope diff 4242 --interval 10s",
            ));
        };
        let interval = interval.map_or(DEFAULT_INTERVAL, |interval| interval.0);
        Ok(Self::Process(Pid(pid), interval))
    }

    /// Reads the files, or takes the dumps.
    pub(super) fn take(self) -> Result<Sides, Failure> {
        match self {
            Self::Files(before, after) => Ok(Sides {
                names: [before, after].map(|file| file.display().to_string()),
                before: read(before)?,
                after: read(after)?,
            }),
            Self::Process(pid, interval) => {
                let mut dumper = dump::open(pid)?;
                let mut take = || {
                    let dump = dumper.dump(&|goroutine| !goroutine.system);
                    dump.map_err(|error| dump::failed(&error))
                };
                let before = take()?;
                announce(&before, interval);
                thread::sleep(interval);
                let names = [format!("process {pid}"), format!("{interval:?} later")];
                Ok(Sides { names, before, after: take()? })
            }
        }
    }
}

fn announce(before: &Dump, interval: Duration) {
    let mut stderr = io::stderr().lock();
    if interval > LONG && stderr.is_terminal() {
        let count = plural(before.goroutines.len() as u64, "goroutine");
        // Where there is no stderr there is nobody to tell.
        let _ = writeln!(stderr, "{count}; the second dump follows in {interval:?}");
    }
}

fn read(path: &Path) -> Result<Dump, Failure> {
    let cannot = |why: &dyn std::fmt::Display| {
        Failure::new(format!("cannot read a dump from {}: {why}", path.display()))
    };
    let dump = if *path == *STANDARD_INPUT {
        dumps::read(io::stdin().lock())
    } else {
        let file = File::open(path).map_err(|error| cannot(&error).hint(MISSING))?;
        if file.metadata().is_ok_and(|known| known.is_dir()) {
            return Err(cannot(&"it is a folder").hint(MISSING));
        }
        dumps::read(file)
    };
    dump.map_err(|error| {
        let hint = match error {
            ParseError::Picture => "give it as json, text, pprof or folded",
            ParseError::Io(_) => MISSING,
            ParseError::OtherProfile { .. } => {
                "Go has that of goroutines at /debug/pprof/goroutine"
            }
            _ => {
                "a dump is what `goroscope dump` writes, Go's own (debug=2), or its profile of \
                 goroutines"
            }
        };
        cannot(&error).hint(hint)
    })
}

const MISSING: &str = "give the paths of two files that you may read";

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        args: DiffArgs,
    }

    fn args(words: &[&str]) -> Result<DiffArgs, clap::Error> {
        Ok(Command::try_parse_from([""].iter().chain(words))?.args)
    }

    #[test]
    fn files_or_a_process() {
        let files = args(&["1", "2"]).unwrap();
        let paths = [PathBuf::from("1"), PathBuf::from("2")];
        assert_eq!(Source::new(&files).unwrap(), Source::Files(&paths[0], &paths[1]));
        let process = args(&["42", "--interval", "500ms"]).unwrap();
        let expected = Source::Process(Pid(42), Duration::from_millis(500));
        assert_eq!(Source::new(&process).unwrap(), expected);
        let process = args(&["42"]).unwrap();
        assert_eq!(Source::new(&process).unwrap(), Source::Process(Pid(42), DEFAULT_INTERVAL));
        for wrong in [&["file"][..], &["0"], &["-", "-"], &["file", "--interval", "1s"]] {
            assert!(Source::new(&args(wrong).unwrap()).is_err(), "{wrong:?}");
        }
    }
}
