//! The options of what is served over HTTP, and to whom.

use std::path::PathBuf;

use clap::{Args, builder::BoolishValueParser};

use super::{config::Config, value::HostName};
use crate::serve::gate::GateSettings;

#[derive(Debug, Default, Args)]
#[command(next_help_heading = "The daemon")]
pub(super) struct HttpArgs {
    /// Give out the stacks of all goroutines to whoever may ask: on the page, and at
    /// /api/v1/processes/{pid}/dump [default: no]
    #[arg(
        long,
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        value_parser = BoolishValueParser::new(),
        env = "GOROSCOPE_HTTP_DUMPS",
        hide_env_values = true
    )]
    pub(super) http_dumps: Option<bool>,
    /// TLS, users and their passwords, client certificates: YAML, in the form of the Prometheus
    /// exporters; taken anew when it changes. As --web-config /etc/goroscope/web.yml
    /// [default: none]
    #[arg(long, value_name = "FILE", env = "GOROSCOPE_WEB_CONFIG", hide_env_values = true)]
    pub(super) web_config: Option<PathBuf>,
    /// Name by which browsers may call this server, besides addresses, localhost and the host's
    /// own name; * for any; repeatable. As --http-host goroscope.example.com
    #[arg(
        long,
        value_name = "NAME",
        value_delimiter = ',',
        env = "GOROSCOPE_HTTP_HOST",
        hide_env_values = true
    )]
    pub(super) http_host: Vec<HostName>,
}

impl HttpArgs {
    /// What the options and the file come to.
    pub(super) fn settings(&self, config: &Config) -> GateSettings {
        let from_file = || Some(config.web_config.as_ref()?.0.clone().into());
        let hosts = if self.http_host.is_empty() { &config.http_host } else { &self.http_host };
        GateSettings {
            web_config: self.web_config.clone().or_else(from_file),
            hosts: hosts.iter().map(|name| name.0.clone()).collect(),
        }
    }

    /// Whether stacks are given out.
    pub(super) fn dumps(&self, config: &Config) -> bool {
        self.http_dumps.or(config.http_dumps).unwrap_or(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::value::Text;

    #[test]
    fn options_win_over_the_file() {
        let config = Config {
            web_config: Some(Text("/file".into())),
            http_host: vec!["a".parse().unwrap()],
            http_dumps: Some(true),
            ..Config::default()
        };
        let none = HttpArgs::default();
        assert_eq!(none.settings(&Config::default()), GateSettings::default());
        let from_file = none.settings(&config);
        assert_eq!(
            (from_file.web_config, from_file.hosts),
            (Some("/file".into()), vec!["a".into()])
        );
        assert!(none.dumps(&config));
        let given = HttpArgs {
            web_config: Some("/line".into()),
            http_host: vec!["b".parse().unwrap(), "*".parse().unwrap()],
            http_dumps: Some(false),
        };
        let from_line = given.settings(&config);
        assert_eq!(from_line.web_config, Some("/line".into()));
        assert_eq!(from_line.hosts, ["b", "*"]);
        assert!(!given.dumps(&config));
    }
}
