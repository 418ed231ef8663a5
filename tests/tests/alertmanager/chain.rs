//! The whole chain: the agent, Debian's Prometheus with the rules as they are shipped, Debian's
//! Alertmanager, and a webhook that is told.
//!
//! Only the example's intervals of 15 s are made 1 s. The rule's own minute is waited for.

use std::{fs, time::Duration};

use anyhow::{Context as _, Result, ensure};
use goroscope_tests::{
    agent::Agent,
    debian,
    fixture::{self, Mode},
    poll,
    prometheus_server::{self, PrometheusServer},
    requires, skip_unless,
    speaker::Speaker,
    toolchain::{Go, NEWEST},
    workspace,
};

use crate::{
    fake::{Fake, alerts_in},
    real::{Alertmanager, LEAK, last},
    watched::{PATIENCE, text},
};

/// A leak is confirmed after three quarters of a minute, and the rule wants it to hold for one more;
/// generous, for a busy machine.
const TOLD: Duration = Duration::from_secs(300);
/// The leaks of the program: function with the `go` statement, place, function started.
const LEAKS: [[&str; 3]; 2] = [
    ["main.lookup", "main.go:52", "main.lookup.func1"],
    ["main.(*topic).subscribe", "main.go:69", "main.(*topic).subscribe.gowrap1"],
];

/// The shipped example, with the agent and the Alertmanager of this test.
fn configuration(agent: &str, alertmanager: &str) -> Result<String> {
    let path = workspace::root().join("deploy/prometheus/prometheus.yml");
    let mut config =
        fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    for (from, to) in [
        ("scrape_interval: 15s", "scrape_interval: 1s"),
        ("evaluation_interval: 15s", "evaluation_interval: 1s"),
        ("127.0.0.1:4676", agent),
    ] {
        ensure!(config.contains(from), "the example has no {from}");
        config = config.replace(from, to);
    }
    Ok(format!(
        "{config}alerting:\n  alertmanagers:\n    - static_configs:\n        - targets: ['{alertmanager}']\n"
    ))
}

#[test]
fn a_leak_comes_through_prometheus_by_name_and_is_called_off() -> Result<()> {
    const NAME: &str = "a_leak_comes_through_prometheus_by_name_and_is_called_off";
    skip_unless!(NAME, requires::kernel().and_then(|()| requires::go(NEWEST)));
    skip_unless!(
        NAME,
        debian::package("prometheus-alertmanager")
            .and_then(|_| prometheus_server::program("prometheus"))
            .map(drop)
            .map_err(|error| format!("{error:#}"))
    );
    let webhook = Fake::start()?;
    let alertmanager = Alertmanager::start(&webhook)?;
    let path = fixture::build("leak", &Go::find(NEWEST)?, Mode::Normal)?;
    let mut program = Speaker::start(&path, &[] as &[&str])?;
    let pid = program.pid().to_string();
    let agent = Agent::start(&["--pid", &pid])?;
    let instance = agent.address().to_string();
    let config = configuration(&instance, &alertmanager.address().to_string())?;
    let rules = workspace::root().join("deploy/prometheus/goroscope.rules.yml");
    let prometheus = PrometheusServer::start(&config, &[&rules])?;
    let logs = || {
        let agent = agent.log().join("\n");
        format!("{agent}\n{}\n{}", prometheus.log(), alertmanager.log())
    };
    agent.wait_read(program.pid())?;
    program.say("go")?;
    for [created_by, location, start] in LEAKS {
        let told =
            poll::until(&format!("{created_by} is told"), TOLD, || Ok(last(&webhook, created_by)));
        let alert = told.with_context(logs)?;
        for (pointer, value) in [
            ("/status", "firing"),
            ("/labels/pid", pid.as_str()),
            ("/labels/exe", "leak"),
            ("/labels/instance", instance.as_str()),
            ("/labels/severity", "warning"),
            ("/labels/location", location),
            ("/labels/start", start),
        ] {
            ensure!(text(&alert, pointer)? == value, "{pointer} of {alert}");
        }
        for annotation in ["summary", "description"] {
            let words = text(&alert, &format!("/annotations/{annotation}"))?;
            ensure!(words.contains(created_by) && words.contains(location), "{alert}");
        }
        ensure!(text(&alert, "/annotations/runbook_url")?.contains(LEAK), "{alert}");
    }
    program.quit()?;
    for [created_by, ..] in LEAKS {
        let over = poll::until(&format!("{created_by} is over"), PATIENCE, || {
            let last = last(&webhook, created_by);
            Ok(last.filter(|alert| text(alert, "/status").is_ok_and(|status| status == "resolved")))
        });
        over.with_context(logs)?;
    }
    // Of nothing else was it said that it leaks.
    for received in webhook.received() {
        for alert in alerts_in(&received) {
            let named = LEAKS.iter().any(|[created_by, ..]| {
                text(&alert, "/labels/created_by").is_ok_and(|named| named == *created_by)
            });
            ensure!(named || text(&alert, "/labels/alertname")? != LEAK, "{alert}");
        }
    }
    Ok(())
}
