//! The document `docs/leak-recall.md`.

use std::fmt::Write as _;

use goroscope_tests::{
    kernels::{Left, Run},
    toolchain::NEWEST,
};

/// All kernels that were run.
#[derive(Default)]
pub(super) struct Table {
    rows: Vec<(String, u32, Run)>,
}

/// What was found of a kernel's `go` statements.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Found {
    All,
    Some,
    None,
}

impl Found {
    fn of(run: &Run, found: impl Fn(&Left) -> bool) -> Self {
        let all = run.left().count();
        match run.left().filter(|left| found(left)).count() {
            0 => Self::None,
            count if count == all => Self::All,
            _ => Self::Some,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::All => "found",
            Self::Some => "in part",
            Self::None => "**missed**",
        }
    }
}

/// Who looks.
type Looks = (&'static str, fn(&Left) -> bool);
const CHECK: Looks = ("`goroscope check`", |left| left.by_check > 0);
const STRICT: Looks = ("`goroscope check --strict`", |left| left.by_check + left.by_strict > 0);
const GO: Looks = ("Go's `goroutineleak` profile", |left| left.by_go > 0);

/// What came of a run, for the terminal.
pub(super) fn words(run: &Run) -> String {
    let sites = run.left().count();
    let count = |(_, found): Looks| run.left().filter(|left| found(left)).count();
    format!("{sites} statements left goroutines, check {}, Go {}", count(CHECK), count(GO))
}

impl Table {
    pub(super) fn add(&mut self, name: &str, runs: u32, run: Run) {
        self.rows.push((name.to_owned(), runs, run));
    }

    /// Those that leaked, and could be looked at.
    fn leaked(&self) -> impl Iterator<Item = &(String, u32, Run)> {
        self.rows.iter().filter(|(_, _, run)| run.left().next().is_some() && !run.spoiled)
    }

    pub(super) fn document(&self) -> String {
        let mut text = format!(
            "# Kernels of real leaks\n\n\
             Written by `cargo xtask bench leaks`.\n\n\
             The {} kernels in `src/runtime/testdata/testgoroutineleakprofile/goker` of Go {NEWEST} are \
             what is left of bugs in CockroachDB, etcd, gRPC, Kubernetes, Moby and others \
             ([GoBench](https://lujie.ac.cn/files/papers/GoBench.pdf)). They are taken from the \
             toolchain and run with `goroscope check`, without options. Where a kernel would write \
             Go's profile it stays for some seconds; then it writes what Go itself knows of \
             all goroutines, and which of them Go's `goroutineleak` profile finds, and ends. So both \
             are about the same goroutines.\n\n\
             What is to be found are the `go` statements whose goroutines are blocked at that moment, \
             by Go's own dump: waiting for a channel, a lock, a condition or a group. A kernel is \
             found where all of them are named with function, file and line, missed where none is. \
             What `check` names and Go's dump does not have is a wrong line. Kernels that leak by \
             chance are run until they do.\n\n",
            self.rows.len()
        );
        text += &self.sums();
        text += "\n| kernel | left blocked | at `go` statements | `check` | Go's profile | wrong lines | runs |\n\
                 |---|---:|---:|---|---|---:|---:|\n";
        for (name, runs, run) in &self.rows {
            let goroutines: u64 = run.left().map(|left| left.blocked).sum();
            let (sites, wrong) = (run.left().count(), run.wrong().count());
            let word = |(_, found): Looks| match (sites, run.spoiled) {
                (0, _) => "did not leak",
                (_, true) => "no use",
                _ => Found::of(run, found).word(),
            };
            let (check, go) = (word(CHECK), word(GO));
            // Writing to a string does not fail.
            let _ = writeln!(
                text,
                "| {name} | {goroutines} | {sites} | {check} | {go} | {wrong} | {runs} |"
            );
        }
        text + &self.exceptions()
    }

    fn sums(&self) -> String {
        let wrong: usize = self.rows.iter().map(|(_, _, run)| run.wrong().count()).sum();
        let mut text = format!(
            "{} of {} kernels leaked. `check` named {} no goroutine was left at.\n\n\
             | | found | in part | missed | `go` statements |\n|---|---:|---:|---:|---:|\n",
            self.leaked().count(),
            self.rows.len(),
            if wrong == 1 { "1 line".to_owned() } else { format!("{wrong} lines that") },
        );
        for (who, found) in [CHECK, STRICT, GO] {
            let count = |wanted| {
                self.leaked().filter(|(_, _, run)| Found::of(run, found) == wanted).count()
            };
            let all = || self.leaked().flat_map(|(_, _, run)| run.left());
            let (named, sites) = (all().filter(|left| found(left)).count(), all().count());
            let _ = writeln!(
                text,
                "| {who} | {} | {} | {} | {named} of {sites} |",
                count(Found::All),
                count(Found::Some),
                count(Found::None)
            );
        }
        text
    }

    /// What was not found, and what was named wrongly.
    fn exceptions(&self) -> String {
        let mut text = String::new();
        let missed = |(_, found): Looks| {
            let mut list = Vec::new();
            for (name, _, run) in self.leaked() {
                let missed = |left: &&Left| left.blocked > 0 && !found(left);
                let sites = run.sites.iter().filter(|(_, left)| missed(left));
                list.extend(sites.map(|(site, left)| {
                    format!("- {name}: `{site}`, {} left blocked\n", left.blocked)
                }));
            }
            list.concat()
        };
        for who in [CHECK, STRICT, GO] {
            let list = missed(who);
            let list = if list.is_empty() { "Nothing.\n".to_owned() } else { list };
            let _ = write!(text, "\n## Missed by {}\n\n{list}", who.0);
        }
        let wrong = self.rows.iter().flat_map(|(name, _, run)| {
            run.wrong().map(move |site| format!("- {name}: `{site}`\n"))
        });
        let wrong = wrong.collect::<String>();
        if !wrong.is_empty() {
            let _ = write!(text, "\n## Wrong lines\n\n{wrong}");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_found_in_part_is_told_from_what_is_missed() {
        let left = |by_check, by_go| Left { blocked: 2, by_go, by_check, by_strict: 1 };
        let site = |name: &str, left| (name.to_owned(), left);
        let mut table = Table::default();
        let sites = [site("main.A a.go:1", left(2, 0)), site("main.A a.go:2", left(0, 0))];
        table.add("A", 1, Run { sites: sites.into(), spoiled: false });
        let none = Left { blocked: 0, by_check: 1, ..Left::default() };
        let sites = [site("main.B b.go:1", left(1, 2)), site("main.B b.go:2", none)];
        table.add("B", 3, Run { sites: sites.into(), spoiled: false });
        table.add("C", 10, Run::default());
        let text = table.document();
        for line in [
            "| A | 4 | 2 | in part | **missed** | 0 | 1 |",
            "| B | 2 | 1 | found | found | 1 | 3 |",
            "| C | 0 | 0 | did not leak | did not leak | 0 | 10 |",
            "| `goroscope check` | 1 | 1 | 0 | 2 of 3 |",
            "| `goroscope check --strict` | 2 | 0 | 0 | 3 of 3 |",
            "- A: `main.A a.go:2`, 2 left blocked",
            "- B: `main.B b.go:2`",
        ] {
            assert!(text.contains(line), "{line}: {text}");
        }
    }
}
