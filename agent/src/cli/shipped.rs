//! The configuration file that is shipped: it says nothing as it is, and names every key.

use std::collections::BTreeSet;

use clap::{CommandFactory as _, Parser as _};

use super::{
    args::{Cli, Command},
    config::Config,
    settings,
};
use crate::run::settings::AgentSettings;

const SHIPPED: &str = include_str!("../../../deploy/systemd/goroscope.yml");

/// With the comments removed from all lines that are none by nature: prose begins with "# " and a
/// word, a key right behind the sign, and what is below a key is indented by two and more.
fn uncommented() -> String {
    let line = |line: &str| {
        let bare = line.strip_prefix('#').unwrap_or(line);
        let is_prose = bare.starts_with(' ') && !bare.starts_with("  ");
        if is_prose { line.to_owned() } else { bare.to_owned() }
    };
    SHIPPED.lines().map(line).collect::<Vec<_>>().join("\n")
}

fn agent(config: &Config) -> AgentSettings {
    let Command::Agent(args) = Cli::try_parse_from(["goroscope", "agent"]).unwrap().command else {
        panic!("not agent")
    };
    settings::agent(&args, config, false).unwrap()
}

#[test]
fn as_it_is_it_says_nothing() {
    assert_eq!(Config::parse(SHIPPED).unwrap(), Config::default());
}

#[test]
fn without_comment_signs_it_is_valid_and_its_values_are_the_defaults() {
    let text = uncommented();
    let config = Config::parse(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let (told, by_default) = (agent(&config), agent(&Config::default()));
    assert_eq!(told.listen, by_default.listen);
    assert_eq!(told.probes, by_default.probes);
    assert_eq!((told.top_sites, told.limits), (by_default.top_sites, by_default.limits));
    assert_eq!(told.scan_interval, by_default.scan_interval);
    assert_eq!(told.probe_budget, by_default.probe_budget);
    assert_eq!(told.goroutine_scan_budget, by_default.goroutine_scan_budget);
    assert_eq!(told.http_dumps, by_default.http_dumps);
    let one = "alerts:\n  alertmanagers: [http://127.0.0.1:9093]\n";
    let by_default = agent(&Config::parse(one).unwrap()).notify.unwrap();
    let told = told.notify.unwrap();
    assert_eq!(told.rules, by_default.rules);
    assert_eq!((told.interval, told.resend), (by_default.interval, by_default.resend));
    assert_eq!(told.alertmanagers.len(), 3);
}

#[test]
fn it_names_every_key_of_the_agent() {
    let text = uncommented();
    let keys: BTreeSet<&str> = text
        .lines()
        .filter(|line| line.starts_with(|c: char| c.is_ascii_lowercase()))
        .filter_map(|line| Some(line.split_once(':')?.0))
        .collect();
    let cli = Cli::command();
    let agent = cli.get_subcommands().find(|command| command.get_name() == "agent").unwrap();
    let options = cli.get_arguments().chain(agent.get_arguments());
    let options =
        options.filter_map(|argument| argument.get_long()).map(|name| name.replace('-', "_"));
    // Those that a file cannot say of itself, and one that has a place below a key.
    let elsewhere = ["config", "help", "version", "alertmanager"];
    let expected: BTreeSet<String> = options
        .filter(|name| !elsewhere.contains(&name.as_str()))
        .chain(["alerts".into()])
        .collect();
    assert_eq!(keys, expected.iter().map(String::as_str).collect());
}
