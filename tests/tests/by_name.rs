//! Each creation site carries the name that Go's own goroutine dump shows behind "created by", its
//! file and line, and the function started.

use std::{collections::BTreeMap, process::ExitCode, time::Duration};

use anyhow::{Context as _, Result, ensure};
use goroscope_tests::{
    agent::Agent,
    fixture::{self, Mode},
    poll, requires,
    sites::Site,
    skip,
    speaker::Speaker,
    toolchain::{Go, VERSIONS},
};
use libtest_mimic::{Arguments, Failed, Trial};
use serde::Deserialize;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let mut trials = Vec::new();
    for version in VERSIONS {
        for mode in Mode::USUAL {
            let name = format!("names::go{version}::{mode}");
            trials.push(Trial::test(name.clone(), move || test(&name, version, mode)));
        }
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn test(name: &str, version: &'static str, mode: Mode) -> Result<(), Failed> {
    if let Err(reason) = requires::kernel().and_then(|()| requires::go(version)) {
        skip::note(name, &reason);
        return Ok(());
    }
    compare(version, mode).map_err(|error| format!("{error:#}").into())
}

#[derive(Deserialize)]
struct Dump {
    dump: String,
    started: usize,
}

/// Where a goroutine was created: name, file, line.
type Place = (String, String, u32);

/// A goroutine of the dump.
#[derive(Debug)]
struct Dumped {
    place: Place,
    /// The function started, where the dump shows it: in a goroutine that has not run yet.
    start: Option<String>,
}

fn compare(version: &'static str, mode: Mode) -> Result<()> {
    let path = fixture::build("names", &Go::find(version)?, mode)?;
    let mut target = Speaker::start(&path, &[] as &[&str])?;
    let agent = Agent::start(&["--pid", &target.pid().to_string()])?;
    agent.wait_read(target.pid())?;
    agent.wait_probed(target.pid())?;
    target.say("go")?;
    let dump: Dump = target.hear()?;
    let dumped: Vec<Dumped> = dump.dump.split("\n\n").filter_map(goroutine).collect();
    ensure!(
        dumped.len() == dump.started,
        "{} goroutines in the dump, {} were started:\n{}",
        dumped.len(),
        dump.started,
        dump.dump
    );
    let shown = dumped.iter().filter(|goroutine| goroutine.start.is_some()).count();
    ensure!(shown > 0, "the dump shows no goroutine that has not run yet:\n{}", dump.dump);
    let mut expected: BTreeMap<Place, u64> = BTreeMap::new();
    for goroutine in &dumped {
        *expected.entry(goroutine.place.clone()).or_default() += 1;
    }

    let place = |site: &Site| -> Option<Place> {
        Some((site.created_by().to_owned(), site.file.clone()?, site.line?))
    };
    // By the runtime's table, and by the probes; both without the main goroutine.
    let mut sites = Vec::new();
    let counts = |sites: &[Site], count: fn(&Site) -> u64| -> Result<BTreeMap<Place, u64>> {
        let mut counts = BTreeMap::new();
        for site in sites.iter().filter(|site| site.start() != "runtime.main") {
            let place = place(site).with_context(|| format!("a site without a name: {site:?}"))?;
            *counts.entry(place).or_default() += count(site);
        }
        Ok(counts)
    };
    let mut found = [BTreeMap::new(), BTreeMap::new()];
    let counted = poll::until("the sites are counted", Duration::from_secs(5), || {
        sites = agent.sites(target.pid())?;
        sites.retain(|site| !site.system);
        found = [counts(&sites, |site| site.live)?, counts(&sites, |site| site.created)?];
        Ok(found.iter().all(|found| *found == expected).then_some(()))
    });
    for (who, found) in ["the runtime's table", "the probes"].into_iter().zip(&found) {
        ensure!(*found == expected, "by the dump {expected:#?}, by {who} {found:#?}");
    }
    counted?;
    for goroutine in &dumped {
        let Some(start) = &goroutine.start else { continue };
        let known = sites.iter().any(|site| {
            place(site).as_ref() == Some(&goroutine.place) && site.start() == start.as_str()
        });
        ensure!(known, "no site at {:?} starts {start}: {sites:#?}", goroutine.place);
    }
    target.quit()?;
    Ok(())
}

/// One section of a dump; `None` for the main goroutine, which no `go` statement created.
fn goroutine(section: &str) -> Option<Dumped> {
    let mut lines = section.lines();
    let state = lines.next()?.split_once('[')?.1;
    let mut bottom = None;
    while let Some(line) = lines.next() {
        if let Some(creator) = line.strip_prefix("created by ") {
            let name = creator.split_once(" in goroutine").map_or(creator, |(name, _)| name);
            let (file, line) = lines.next()?.trim().split_once(" +")?.0.rsplit_once(':')?;
            let place = (name.to_owned(), file.to_owned(), line.parse().ok()?);
            let fresh = state.starts_with("runnable") || state.starts_with("coroutine");
            return Some(Dumped { place, start: bottom.filter(|_| fresh) });
        }
        if let Some((name, _)) = line.rsplit_once('(')
            && !line.starts_with('\t')
            && name != "runtime.goexit"
        {
            bottom = Some(name.to_owned());
        }
    }
    None
}
