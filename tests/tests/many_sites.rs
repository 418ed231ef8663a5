//! Fifty thousand creation sites exhaust neither the agent nor Prometheus: the largest have series of
//! their own, the others are one, and no goroutine is missing from the sums.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use goroscope_tests::{
    agent::Agent,
    many_sites::{ManySites, Started},
    poll,
    proc::resident_bytes,
    prometheus::Scrape,
    prometheus_server::{self, PrometheusServer},
    requires,
    sites::Sum,
    skip_unless,
    toolchain::NEWEST,
};

const SITES: u32 = 50_000;
const TOP: usize = 50;
/// More than it takes, less than it would be harmful to take. This is an agent that was not optimized.
const MEMORY: u64 = 256 << 20;
/// All series of an agent that watches one process.
const SERIES: f64 = 2000.0;
const PATIENCE: Duration = Duration::from_secs(60);

fn sum(scrape: &Scrape, name: &str) -> u64 {
    scrape.series(name, &[]).filter_map(|sample| sample.count()).sum()
}

#[test]
fn fifty_thousand_sites_are_some_series_and_right_sums() -> Result<()> {
    const NAME: &str = "fifty_thousand_sites_are_some_series_and_right_sums";
    skip_unless!(NAME, requires::kernel().and_then(|()| requires::go(NEWEST)));
    skip_unless!(
        NAME,
        prometheus_server::program("prometheus").map(drop).map_err(|error| format!("{error:#}"))
    );
    let program = ManySites::build(SITES)?;
    let mut target = program.start()?;
    let pid = target.pid();
    let agent = Agent::start(&["--pid", &pid.to_string(), "--probes", "always"])?;
    agent.wait_probed(pid)?;
    target.say("go")?;
    let Started { goroutines } = target.hear()?;
    // The main goroutine as well.
    ensure!(goroutines == program.goroutines + 1, "{goroutines}: {}", program.goroutines);

    let scrape = poll::until("a look has come to its end", PATIENCE, || {
        let scrape = agent.scrape()?;
        let seen = sum(&scrape, "goroscope_goroutines_by_state");
        Ok((seen == goroutines).then_some(scrape))
    })?;
    ensure!(sum(&scrape, "goroscope_goroutines") == goroutines);
    for family in ["", "_created_total", "_exited_total"] {
        let name = format!("goroscope_site_goroutines{family}");
        let series = scrape.series(&name, &[]).count();
        ensure!(series == TOP + 1, "{series} series of {name}");
    }
    // The runtime's own have sites, too.
    let sites = agent.sites(pid)?;
    let system: u64 = sites.iter().filter(|site| site.system).map(|site| site.live).sum();
    let in_series = sum(&scrape, "goroscope_site_goroutines");
    ensure!(in_series == goroutines + system, "{in_series} and {goroutines} + {system}");
    let named = sites.iter().filter(|site| site.line.is_some()).count();
    ensure!(named >= usize::try_from(SITES)?, "{named} sites have names");
    for (location, number) in &program.large {
        let labels = [("location", location.as_str())];
        let live = scrape.count("goroscope_site_goroutines", &labels)?;
        ensure!(live == *number, "{location}: {live} of {number}");
    }

    // Births that had no room in the kernel's table are counted for the process.
    let losses = sum(&scrape, "goroscope_site_events_lost_total");
    let hits = sum(&scrape, "goroscope_probe_hits_total");
    let counted = Sum::of(&agent.sites(pid)?, |_| true);
    ensure!(losses > 0 && hits >= goroutines - 1, "{losses} losses, {hits} hits");
    ensure!(hits <= counted.created + counted.exited + losses, "{hits}, {counted:?}, {losses}");
    let created = sum(&scrape, "goroscope_site_goroutines_created_total");
    ensure!(created + losses >= goroutines - 1, "{created} born at sites, {losses} at none");

    exhausts_no_prometheus(&agent)?;
    let resident = resident_bytes(agent.pid())?;
    ensure!(resident < MEMORY, "the agent takes {} MiB", resident >> 20);
    target.quit()?;
    Ok(())
}

fn exhausts_no_prometheus(agent: &Agent) -> Result<()> {
    let config = prometheus_server::scraping(agent.address(), Duration::from_secs(1));
    let prometheus = PrometheusServer::start(&config, &[])?;
    let last = "goroscope_site_goroutines{location=\"other\"}";
    poll::until("it has scraped", PATIENCE, || {
        Ok(prometheus.query(last)?.first().copied().filter(|number| *number > 0.0))
    })?;
    let series = prometheus.query("count({__name__=~\"goroscope_.*\"})")?;
    let series = series.first().copied().context("nothing is counted")?;
    ensure!(series < SERIES, "{series} series");
    let whole = prometheus.query("sum(goroscope_site_goroutines)")?;
    ensure!(whole.first().is_some_and(|sum| *sum >= f64::from(SITES)), "{whole:?}");
    Ok(())
}
