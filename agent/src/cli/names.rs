//! The options that say where names of pods and containers are looked up.

use std::path::{Path, PathBuf};

use clap::Args;

use super::{config::Config, failure::Failure};
use crate::names::settings::{CriSocket, NamesSettings};

#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Names of pods and containers")]
pub(super) struct NamesArgs {
    /// Socket of the container runtime, which is asked by CRI what it calls containers; or none
    /// [default: those of containerd, cri-o, k3s and cri-dockerd that are there]
    #[arg(long, value_name = "PATH", env = "GOROSCOPE_CRI_SOCKET", hide_env_values = true)]
    cri_socket: Option<CriSocket>,
    /// Where the host's file system is; the sockets, and the folders of the kubelet, Docker and
    /// Podman, are looked for below it [default: /]
    #[arg(long, value_name = "PATH", env = "GOROSCOPE_HOST_ROOT", hide_env_values = true)]
    host_root: Option<PathBuf>,
}

impl NamesArgs {
    /// What the options and the file come to.
    pub(super) fn settings(&self, config: &Config) -> Result<NamesSettings, Failure> {
        let cri = self.cri_socket.clone().or_else(|| config.cri_socket.clone());
        let in_file = config.host_root.as_ref().map(|path| PathBuf::from(&path.0));
        let host_root = self.host_root.clone().or(in_file);
        let host_root = host_root.unwrap_or_else(|| Path::new("/").to_owned());
        if !host_root.is_absolute() {
            return Err(Failure::usage(format!(
                "--host-root {}: the whole path is needed",
                host_root.display()
            ))
            .hint("give where the host's / is mounted, as --host-root /host"));
        }
        Ok(NamesSettings { cri: cri.unwrap_or_default(), host_root })
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::{
        args::{Cli, Command},
        value::Text,
    };

    fn settings(line: &[&str], config: &Config) -> Result<NamesSettings, String> {
        let line = ["goroscope", "ps"].iter().chain(line);
        let Command::Ps(args) = Cli::try_parse_from(line).unwrap().command else {
            panic!("not ps")
        };
        args.names.settings(config).map_err(|error| error.to_string())
    }

    #[test]
    fn options_win_over_the_file() {
        assert_eq!(settings(&[], &Config::default()), Ok(NamesSettings::default()));
        let config = Config {
            cri_socket: Some(CriSocket::Off),
            host_root: Some(Text("/host".into())),
            ..Config::default()
        };
        let from_file = settings(&[], &config).unwrap();
        assert_eq!((from_file.cri, from_file.host_root), (CriSocket::Off, "/host".into()));
        let line = ["--cri-socket", "unix:///run/a.sock", "--host-root", "/other"];
        let from_line = settings(&line, &config).unwrap();
        assert_eq!(from_line.cri, CriSocket::At("/run/a.sock".into()));
        assert_eq!(from_line.host_root, Path::new("/other"));
    }

    #[test]
    fn whole_paths_only() {
        let error = settings(&["--host-root", "host"], &Config::default()).unwrap_err();
        assert!(error.contains("the whole path"), "{error}");
        let line = ["goroscope", "ps", "--cri-socket", "a.sock"];
        let error = Cli::try_parse_from(line).unwrap_err().to_string();
        assert!(error.contains("a.sock") && error.contains("the whole path"), "{error}");
    }
}
