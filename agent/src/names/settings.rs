//! Where names are looked up.

use std::{
    path::{Path, PathBuf},
    str::FromStr,
};

/// Where runtimes have their sockets, below the host's root: containerd, cri-o, k3s, and what speaks
/// CRI for Docker.
const USUAL: [&str; 4] = [
    "run/containerd/containerd.sock",
    "run/crio/crio.sock",
    "run/k3s/containerd/containerd.sock",
    "var/run/cri-dockerd.sock",
];

/// Which container runtimes are asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum CriSocket {
    /// Those whose sockets are where they usually are.
    #[default]
    Usual,
    /// The one with this socket.
    At(PathBuf),
    /// None.
    Off,
}

/// Where names are looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamesSettings {
    /// Which container runtimes are asked.
    pub cri: CriSocket,
    /// Where the host's file system is.
    pub host_root: PathBuf,
}

impl Default for NamesSettings {
    fn default() -> Self {
        Self { cri: CriSocket::Usual, host_root: PathBuf::from("/") }
    }
}

impl NamesSettings {
    /// The sockets to ask.
    #[must_use]
    pub fn sockets(&self) -> Vec<PathBuf> {
        match &self.cri {
            CriSocket::Usual => USUAL.iter().map(|path| self.host_root.join(path)).collect(),
            CriSocket::At(path) => vec![path.clone()],
            CriSocket::Off => Vec::new(),
        }
    }

    /// Whether a socket was asked for by its path.
    #[must_use]
    pub fn is_explicit(&self) -> bool {
        matches!(self.cri, CriSocket::At(_))
    }
}

impl FromStr for CriSocket {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "none" {
            return Ok(Self::Off);
        }
        // As the kubelet and crictl have it, too.
        let path = text.strip_prefix("unix://").or_else(|| text.strip_prefix("unix:"));
        let path = Path::new(path.unwrap_or(text));
        if path.is_absolute() {
            Ok(Self::At(path.to_owned()))
        } else {
            Err("the whole path of a socket is needed, or \"none\"".to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets() {
        let at = |path: &str| Ok(CriSocket::At(path.into()));
        assert_eq!("none".parse(), Ok(CriSocket::Off));
        assert_eq!("/run/a.sock".parse(), at("/run/a.sock"));
        assert_eq!("unix:///run/a.sock".parse(), at("/run/a.sock"));
        assert_eq!("unix:/run/a.sock".parse(), at("/run/a.sock"));
        for wrong in ["", "a.sock", "tcp://127.0.0.1:1", "None", "unix:a"] {
            assert!(wrong.parse::<CriSocket>().is_err(), "{wrong}");
        }
        let settings = NamesSettings { host_root: "/host".into(), ..NamesSettings::default() };
        assert_eq!(settings.sockets()[1], Path::new("/host/run/crio/crio.sock"));
        let settings = NamesSettings { cri: "/x".parse().unwrap(), ..settings };
        assert_eq!(settings.sockets(), [Path::new("/x")]);
    }
}
