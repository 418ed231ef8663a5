//! The socket over which a service manager is told how the agent does: sd_notify(3).

use std::{
    ffi::{OsStr, OsString},
    os::{fd::OwnedFd, unix::ffi::OsStrExt as _},
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use rustix::{
    io::Errno,
    net::{AddressFamily, SendFlags, SocketAddrUnix, SocketFlags, SocketType},
    time::{ClockId, clock_gettime},
};

/// What it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// It serves, and knows what runs on the host; or a reload is over.
    Ready,
    /// The configuration is being read.
    Reloading,
    /// It is about to end.
    Stopping,
    /// It is alive.
    Watchdog,
    /// One line about how it does.
    Status(String),
}

impl Word {
    fn line(&self) -> String {
        match self {
            Self::Ready => "READY=1".to_owned(),
            Self::Reloading => {
                let now = clock_gettime(ClockId::Monotonic);
                let micros = i128::from(now.tv_sec) * 1_000_000 + i128::from(now.tv_nsec) / 1_000;
                format!("RELOADING=1\nMONOTONIC_USEC={micros}")
            }
            Self::Stopping => "STOPPING=1".to_owned(),
            Self::Watchdog => "WATCHDOG=1".to_owned(),
            // A second line would be a word of its own.
            Self::Status(text) => format!("STATUS={}", text.replace('\n', " ")),
        }
    }
}

/// The way to the service manager.
pub(super) struct NotifySocket {
    socket: OwnedFd,
    address: SocketAddrUnix,
    is_broken: AtomicBool,
}

impl NotifySocket {
    /// To the address that the environment names; `None` where nobody wants to be told, or cannot.
    pub(super) fn from_environment() -> Option<Self> {
        let address = std::env::var_os("NOTIFY_SOCKET")?;
        Self::to(&address)
            .inspect_err(|error| {
                tracing::warn!(?address, %error, "NOTIFY_SOCKET: the service manager is not told");
            })
            .ok()
    }

    fn to(address: &OsStr) -> Result<Self, Errno> {
        // `@name` is in the kernel's own namespace of names, and no file.
        let address = match address.as_bytes() {
            [b'@', name @ ..] => SocketAddrUnix::new_abstract_name(name)?,
            [b'/', ..] => SocketAddrUnix::new(address)?,
            _ => return Err(Errno::AFNOSUPPORT),
        };
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::DGRAM, flags, None)?;
        Ok(Self { socket, address, is_broken: AtomicBool::new(false) })
    }

    /// Says these; where nobody hears them that is logged once. Never waits.
    pub(super) fn tell(&self, words: &[Word]) {
        let lines: Vec<String> = words.iter().map(Word::line).collect();
        let message = lines.join("\n");
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        let sent = rustix::net::sendto(&self.socket, message.as_bytes(), flags, &self.address);
        let was_broken = self.is_broken.swap(sent.is_err(), Ordering::Relaxed);
        if let (Err(error), false) = (sent, was_broken) {
            tracing::warn!(%error, "NOTIFY_SOCKET: the service manager does not hear the agent");
        }
    }
}

/// How often the service manager wants to hear that the agent lives; `None` where it does not.
pub(super) fn watchdog() -> Option<Duration> {
    let variable = |name| std::env::var_os(name);
    watchdog_of(variable("WATCHDOG_USEC"), variable("WATCHDOG_PID"), std::process::id())
}

/// Whoever the variables are meant for: a child inherits those of its parent.
fn watchdog_of(micros: Option<OsString>, pid: Option<OsString>, own: u32) -> Option<Duration> {
    let number = |text: OsString| text.to_str()?.parse::<u64>().ok();
    if pid.is_some_and(|pid| number(pid) != Some(own.into())) {
        return None;
    }
    micros.and_then(number).filter(|micros| *micros > 0).map(Duration::from_micros)
}

#[cfg(test)]
mod tests {
    use std::os::{
        linux::net::SocketAddrExt as _,
        unix::net::{SocketAddr, UnixDatagram},
    };

    use super::*;

    fn heard(socket: &UnixDatagram) -> String {
        socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let mut buffer = [0; 512];
        let length = socket.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    }

    #[test]
    fn files_and_abstract_names() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let file = UnixDatagram::bind(&path).unwrap();
        NotifySocket::to(path.as_os_str()).unwrap().tell(&[Word::Ready]);
        assert_eq!(heard(&file), "READY=1");

        let name = format!("goroscope-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let abstract_name = UnixDatagram::bind_addr(&address).unwrap();
        let socket = NotifySocket::to(OsStr::new(&format!("@{name}"))).unwrap();
        socket.tell(&[Word::Watchdog, Word::Status("a\nREADY=1".to_owned())]);
        assert_eq!(heard(&abstract_name), "WATCHDOG=1\nSTATUS=a READY=1");
        socket.tell(&[Word::Reloading]);
        let reloading = heard(&abstract_name);
        let time = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap();
        assert!(time.parse::<u64>().unwrap() > 0);
    }

    #[test]
    fn nobody_there_does_no_harm() {
        for address in ["", "relative", "vsock:2:1", &format!("/{}", "a".repeat(200))] {
            assert!(NotifySocket::to(OsStr::new(address)).is_err(), "{address}");
        }
        let socket = NotifySocket::to(OsStr::new("/nonexistent/notify")).unwrap();
        socket.tell(&[Word::Ready]);
        socket.tell(&[Word::Ready]);
        assert!(socket.is_broken.into_inner());
    }

    #[test]
    fn a_manager_that_does_not_read_holds_nobody_up() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let _deaf = UnixDatagram::bind(&path).unwrap();
        let socket = NotifySocket::to(path.as_os_str()).unwrap();
        for _ in 0..10_000 {
            socket.tell(&[Word::Watchdog]);
        }
        assert!(socket.is_broken.into_inner());
    }

    #[test]
    fn watchdogs_of_others_are_not_ours() {
        let of = |micros: &str, pid: Option<&str>| {
            watchdog_of(Some(micros.into()), pid.map(Into::into), 7)
        };
        assert_eq!(of("30000000", None), Some(Duration::from_secs(30)));
        assert_eq!(of("30000000", Some("7")), Some(Duration::from_secs(30)));
        assert_eq!(of("30000000", Some("8")), None);
        assert_eq!(of("0", None), None);
        assert_eq!(of("soon", Some("7")), None);
        assert_eq!(watchdog_of(None, None, 7), None);
    }
}
