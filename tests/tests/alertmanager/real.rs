//! Alertmanager itself, as Debian ships it: what it is told comes out of it again.

use std::{
    fs::{self, File},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use goroscope_tests::{
    agent::Agent,
    debian,
    fixture::{self, Mode},
    http, poll,
    process::Guard,
    requires, skip_unless,
    speaker::Speaker,
    toolchain::{Go, NEWEST},
};
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    fake::{Alerts as _, Fake, alerts_in},
    watched::{PATIENCE, text},
};

/// A leak must have held for a while before it is confirmed.
const JUDGED: Duration = Duration::from_secs(240);
pub(super) const LEAK: &str = "GoroscopeLeakConfirmed";

/// Alertmanager, which tells everything to a webhook.
pub(super) struct Alertmanager {
    _guard: Guard,
    address: SocketAddr,
    folder: TempDir,
}

impl Alertmanager {
    pub(super) fn start(webhook: &Fake) -> Result<Self> {
        let package = debian::package("prometheus-alertmanager")?;
        let folder = tempfile::tempdir()?;
        let config = folder.path().join("alertmanager.yml");
        let text = format!(
            "route:\n  receiver: hook\n  group_by: [alertname, pid, created_by]\n  \
             group_wait: 1s\n  group_interval: 1s\nreceivers:\n  - name: hook\n    \
             webhook_configs:\n      - url: {}/hook\n",
            webhook.url()
        );
        fs::write(&config, text)?;
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let log = File::create(folder.path().join("log"))?;
        // It looks for its templates below /usr/share, where they are for this process only.
        let script = r#"mount --bind "$0/usr/share" /usr/share && exec "$0/usr/bin/prometheus-alertmanager" "$@""#;
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "sh", "-c", script])
            .arg(package)
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .arg("--cluster.listen-address=")
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        let guard = Guard::start(&mut command)?;
        let alertmanager = Self { _guard: guard, address, folder };
        let ready = poll::until("Alertmanager is ready", PATIENCE, || {
            Ok((http::get(address, "/-/ready", &[])?.status == 200).then_some(()))
        });
        ready.with_context(|| alertmanager.log())?;
        Ok(alertmanager)
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

/// What the webhook was told last of this alert with this function.
pub(super) fn last(webhook: &Fake, created_by: &str) -> Option<Value> {
    let alerts = webhook.alerts("created_by", created_by);
    alerts
        .into_iter()
        .rfind(|alert| text(alert, "/labels/alertname").is_ok_and(|name| name == LEAK))
}

#[test]
fn a_leak_is_told_by_name_and_called_off_when_it_is_over() -> Result<()> {
    const NAME: &str = "a_leak_is_told_by_name_and_called_off_when_it_is_over";
    skip_unless!(NAME, requires::go(NEWEST));
    skip_unless!(
        NAME,
        debian::package("prometheus-alertmanager").map(drop).map_err(|error| format!("{error:#}"))
    );
    let webhook = Fake::start()?;
    let alertmanager = Alertmanager::start(&webhook)?;
    let path = fixture::build("leak", &Go::find(NEWEST)?, Mode::Normal)?;
    let mut program = Speaker::start(&path, &[] as &[&str])?;
    let (pid, url) = (program.pid(), format!("http://{}", alertmanager.address));
    let pid_text = pid.to_string();
    let told = ["--probes", "off", "--alertmanager", &url, "--node-name", "node-7"];
    let agent = Agent::start(&[&["--pid", pid_text.as_str()][..], &told].concat())?;
    agent.wait_read(pid)?;
    program.say("go")?;
    for (created_by, location, start, reason) in [
        ("main.lookup", "main.go:52", "main.lookup.func1", "chan send"),
        (
            "main.(*topic).subscribe",
            "main.go:69",
            "main.(*topic).subscribe.gowrap1",
            "chan receive",
        ),
    ] {
        let alert = poll::until(&format!("{created_by} is told"), JUDGED, || {
            Ok(last(&webhook, created_by))
        });
        let alert =
            alert.with_context(|| format!("{}\n{}", agent.log().join("\n"), alertmanager.log()))?;
        for (pointer, value) in [
            ("/status", "firing"),
            ("/labels/pid", pid.to_string().as_str()),
            ("/labels/exe", "leak"),
            ("/labels/instance", "node-7"),
            ("/labels/location", location),
            ("/labels/start", start),
            ("/labels/wait_reason", reason),
        ] {
            ensure!(text(&alert, pointer)? == value, "{pointer} of {alert}");
        }
        ensure!(text(&alert, "/annotations/description")?.contains(created_by), "{alert}");
    }
    program.quit()?;
    for created_by in ["main.lookup", "main.(*topic).subscribe"] {
        let over = poll::until(&format!("{created_by} is over"), PATIENCE, || {
            let last = last(&webhook, created_by);
            Ok(last.filter(|alert| text(alert, "/status").is_ok_and(|status| status == "resolved")))
        });
        over.with_context(|| format!("{}\n{}", agent.log().join("\n"), alertmanager.log()))?;
    }
    // Nothing else in that program leaks.
    let received = webhook.received();
    let alerts = received.iter().flat_map(alerts_in);
    for alert in
        alerts.filter(|alert| text(alert, "/labels/alertname").is_ok_and(|name| name == LEAK))
    {
        let created_by = text(&alert, "/labels/created_by")?;
        ensure!(["main.lookup", "main.(*topic).subscribe"].contains(&created_by), "{alert}");
    }
    Ok(())
}
