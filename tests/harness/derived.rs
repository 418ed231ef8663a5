//! Files in `deploy` that are made of others there. Kustomize and Helm read no file outside of their
//! own folders, and neither makes a resource of a file of rules.

use anyhow::Result;

use crate::shipped::{BOARDS, read};

const RULES: &str = "deploy/prometheus/goroscope.rules.yml";
const CHART: &str = "deploy/helm/goroscope/files";

/// A file that is made of another.
#[derive(Debug)]
pub struct Derived {
    /// Below the workspace's folder.
    pub path: String,
    /// What it must hold.
    pub content: String,
}

/// All of them.
///
/// # Errors
/// Where what they are made of cannot be read.
pub fn all() -> Result<Vec<Derived>> {
    let rules = read(RULES)?;
    let mut derived = vec![
        Derived {
            path: "deploy/kubernetes/overlays/prometheusrule/prometheusrule.yaml".to_owned(),
            content: prometheus_rule(&rules),
        },
        Derived { path: format!("{CHART}/goroscope.rules.yml"), content: rules },
    ];
    for board in BOARDS {
        let content = read(&format!("deploy/grafana/{board}"))?;
        derived.push(Derived { path: format!("{CHART}/{board}"), content });
    }
    Ok(derived)
}

fn prometheus_rule(rules: &str) -> String {
    let mut text = format!(
        "# Written by `cargo xtask deploy` from {RULES}.\n\
         apiVersion: monitoring.coreos.com/v1\n\
         kind: PrometheusRule\n\
         metadata:\n  \
           name: goroscope\n  \
           labels:\n    \
             app.kubernetes.io/name: goroscope\n\
         spec:\n"
    );
    for line in rules.lines() {
        if !line.is_empty() {
            text.push_str("  ");
            text.push_str(line);
        }
        text.push('\n');
    }
    text
}
