//! Each creation site carries the name that Go's own goroutine dump shows behind "created by", its
//! file and line, and the function started.

use std::{collections::BTreeMap, process::ExitCode, time::Duration};

use anyhow::{Context as _, Result, ensure};
use goroscope_tests::{
    agent::Agent,
    fixture::{self, Mode},
    poll, requires, skip,
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
    let mut expected: BTreeMap<&Place, u64> = BTreeMap::new();
    for goroutine in &dumped {
        *expected.entry(&goroutine.place).or_default() += 1;
    }

    let mut sites = Vec::new();
    let counted = poll::until("the sites are counted", Duration::from_secs(3), || {
        sites = agent.sites(target.pid())?;
        sites.retain(|site| !site.system);
        let born: u64 = sites.iter().map(|site| site.created).sum();
        Ok((born == u64::try_from(dumped.len())?).then_some(()))
    });
    let place = |site: &goroscope_tests::sites::Site| -> Option<Place> {
        Some((site.created_by().to_owned(), site.file.clone()?, site.line?))
    };
    let mut found: BTreeMap<Place, u64> = BTreeMap::new();
    for site in &sites {
        let place = place(site).with_context(|| format!("a site without a name: {site:?}"))?;
        *found.entry(place).or_default() += site.live;
    }
    let found: BTreeMap<&Place, u64> = found.iter().map(|(place, live)| (place, *live)).collect();
    ensure!(found == expected, "by the dump {expected:#?}, by the agent {found:#?}");
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
