//! Go's own goroutine dump: the text of `runtime.Stack`, and of `/debug/pprof/goroutine?debug=2`.

use crate::figures::Tally;

/// A goroutine of a dump.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dumped {
    /// What it does or waits for, without for how long.
    pub state: String,
    /// `function file.go:line` of the `go` statement; none for the main goroutine.
    pub site: Option<String>,
}

/// The goroutines of a dump, in its order: the one that made it comes first.
#[must_use]
pub fn parse(dump: &str) -> Vec<Dumped> {
    dump.split("\n\n").filter_map(goroutine).collect()
}

fn goroutine(section: &str) -> Option<Dumped> {
    let mut lines = section.trim().lines();
    let head = lines.next()?.strip_prefix("goroutine ")?;
    let (state, _) = head.split_once('[')?.1.rsplit_once(']')?;
    let state = state.split(", ").next()?.to_owned();
    let mut site = None;
    while let Some(line) = lines.next() {
        if let Some(creator) = line.strip_prefix("created by ") {
            let creator = creator.split(" in goroutine ").next()?;
            let (path, _) = lines.next()?.trim().split_once(" +")?;
            let location = path.rsplit('/').next().unwrap_or(path);
            site = Some(format!("{creator} {location}"));
        }
    }
    Some(Dumped { state, site })
}

/// Goroutines by state.
#[must_use]
pub fn states(dump: &[Dumped]) -> Tally {
    let mut tally = Tally::new();
    for goroutine in dump {
        *tally.entry(goroutine.state.clone()).or_default() += 1;
    }
    tally
}

/// Goroutines by the `go` statement that started them, those that one did.
#[must_use]
pub fn sites(dump: &[Dumped]) -> Tally {
    let mut tally = Tally::new();
    for site in dump.iter().filter_map(|goroutine| goroutine.site.clone()) {
        *tally.entry(site).or_default() += 1;
    }
    tally
}

#[cfg(test)]
mod tests {
    use super::*;

    const DUMP: &str = "goroutine 1 [chan receive, 2 minutes, locked to thread]:\n\
        main.main()\n\t/src/a b/main.go:5 +0x10\n\n\
        goroutine 7 [select (no cases)]:\n\
        main.(*T).run(0xc000, {0x1, 0x2})\n\t/src/main.go:9 +0x11\n\
        created by main.start.func1 in goroutine 1\n\t/src/main.go:7 +0x2f\n";

    #[test]
    fn states_and_sites_are_read() {
        let dump = parse(DUMP);
        let state = |state: &str| (state.to_owned(), 1);
        assert_eq!(states(&dump), Tally::from([state("chan receive"), state("select (no cases)")]));
        assert_eq!(sites(&dump), Tally::from([("main.start.func1 main.go:7".to_owned(), 1)]));
    }
}
