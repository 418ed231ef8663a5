//! Opens the addresses to serve on.

use std::{
    fmt, fs,
    io::{self, ErrorKind},
    net::SocketAddr,
    os::{
        fd::OwnedFd,
        linux::net::SocketAddrExt as _,
        unix::{
            fs::{FileTypeExt as _, MetadataExt as _},
            net::{UnixListener as StdUnixListener, UnixStream as StdUnixStream},
        },
    },
    path::{Path, PathBuf},
};

use rustix::{
    fs::Mode,
    io::Errno,
    net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, sockopt},
};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

/// Who may connect to a unix socket: its user and group.
const SOCKET_MODE: Mode = Mode::from_raw_mode(0o660);
/// Connections that the kernel keeps waiting on a unix socket.
const BACKLOG: i32 = 128;

/// An open address. A unix socket's file is removed when it is dropped.
#[derive(Debug)]
pub struct Listener(Inner);

#[derive(Debug)]
enum Inner {
    Tcp { listener: TcpListener, address: SocketAddr },
    Unix { listener: UnixListener, path: PathBuf, _file: Option<SocketFile> },
}

/// A connection.
#[derive(Debug)]
pub(super) enum Connection {
    /// Over TCP.
    Tcp(TcpStream),
    /// Over a unix socket.
    Unix(UnixStream),
}

/// Why an address could not be opened: what, and the way out.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// It is no address.
    #[error(
        "cannot listen on \"{address}\": not an address; give HOST:PORT, as 127.0.0.1:4676 or \
         [::1]:4676, or unix:PATH"
    )]
    NoAddress {
        /// As it was given.
        address: String,
    },
    /// Another process has it.
    #[error(
        "cannot listen on {address}: the address is in use, perhaps by another goroscope; end \
         that, or choose another address with --listen"
    )]
    InUse {
        /// As it was given.
        address: String,
    },
    /// There is a file at the path, and it is not a socket.
    #[error(
        "cannot listen on unix:{}: the file is there and is no socket; choose another path with \
         --listen", path.display()
    )]
    NotASocket {
        /// The path.
        path: PathBuf,
    },
    /// The port is for those with more rights.
    #[error(
        "cannot listen on {address}: this port is for root and those with CAP_NET_BIND_SERVICE; \
         choose another with --listen, or have systemd open it by goroscope.socket"
    )]
    Privileged {
        /// As it was given.
        address: String,
    },
    /// What was handed over is no socket to listen on.
    #[error(
        "cannot listen on the handed over descriptor {what}: {why}; sockets that systemd opens for \
         goroscope are named by ListenStream= in goroscope.socket"
    )]
    HandedOver {
        /// Its number and name.
        what: String,
        /// What is wrong with it.
        why: String,
    },
    /// The kernel refused.
    #[error("cannot listen on {address}: {source}; choose another address with --listen")]
    Refused {
        /// As it was given.
        address: String,
        /// What the kernel said.
        source: io::Error,
    },
}

impl Listener {
    /// Opens `address`: `HOST:PORT`, `[IPV6]:PORT`, or `unix:PATH`. Needs a tokio runtime.
    ///
    /// A unix socket that nobody answers on any more, as a killed agent leaves it, is replaced.
    ///
    /// # Errors
    ///
    /// [`ListenError`], with a text for the user.
    pub async fn bind(address: &str) -> Result<Self, ListenError> {
        match address.strip_prefix("unix:") {
            Some("") => Err(ListenError::NoAddress { address: address.to_owned() }),
            Some(path) => bind_unix(address, Path::new(path)).map(Self),
            None => bind_tcp(address).await.map(Self),
        }
    }

    /// Takes a socket that somebody else opened: TCP or unix, and listening already. Needs a tokio
    /// runtime. The file of a unix socket is left to whoever made it. `what` names it to the user.
    ///
    /// # Errors
    ///
    /// [`ListenError::HandedOver`].
    pub fn handed_over(socket: OwnedFd, what: &str) -> Result<Self, ListenError> {
        let wrong =
            |why: &str| ListenError::HandedOver { what: what.to_owned(), why: why.to_owned() };
        let refused = |error: io::Error| wrong(&error.to_string());
        let kind = match sockopt::socket_type(&socket) {
            Err(Errno::NOTSOCK) => return Err(wrong("it is no socket")),
            kind => kind.map_err(|error| refused(error.into()))?,
        };
        if kind != SocketType::STREAM {
            return Err(wrong("it is no stream socket"));
        }
        if !sockopt::socket_acceptconn(&socket).map_err(|error| refused(error.into()))? {
            return Err(wrong("it is a connection, and does not listen"));
        }
        rustix::io::ioctl_fionbio(&socket, true).map_err(|error| refused(error.into()))?;
        match sockopt::socket_domain(&socket).map_err(|error| refused(error.into()))? {
            AddressFamily::INET | AddressFamily::INET6 => {
                let listener = TcpListener::from_std(socket.into()).map_err(refused)?;
                let address = listener.local_addr().map_err(refused)?;
                Ok(Self(Inner::Tcp { listener, address }))
            }
            AddressFamily::UNIX => {
                let listener = StdUnixListener::from(socket);
                let address = listener.local_addr().map_err(refused)?;
                let name = address.as_abstract_name();
                let name = name.map(|name| format!("@{}", String::from_utf8_lossy(name)));
                let path = address.as_pathname().map(Path::to_owned);
                let path = path.or(name.map(PathBuf::from)).unwrap_or_default();
                let listener = UnixListener::from_std(listener).map_err(refused)?;
                Ok(Self(Inner::Unix { listener, path, _file: None }))
            }
            _ => Err(wrong("it is neither of TCP nor a unix socket")),
        }
    }

    /// The TCP address, with the port that the kernel chose where port 0 was asked for.
    #[must_use]
    pub fn tcp_address(&self) -> Option<SocketAddr> {
        match &self.0 {
            Inner::Tcp { address, .. } => Some(*address),
            Inner::Unix { .. } => None,
        }
    }

    /// Waits for a connection.
    pub(super) async fn accept(&self) -> io::Result<Connection> {
        match &self.0 {
            Inner::Tcp { listener, .. } => {
                let (stream, _) = listener.accept().await?;
                Ok(Connection::Tcp(stream))
            }
            Inner::Unix { listener, .. } => {
                let (stream, _) = listener.accept().await?;
                Ok(Connection::Unix(stream))
            }
        }
    }
}

/// `http://127.0.0.1:4676` or `unix:/run/goroscope.sock`
impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Inner::Tcp { address, .. } => write!(f, "http://{address}"),
            Inner::Unix { path, .. } => write!(f, "unix:{}", path.display()),
        }
    }
}

async fn bind_tcp(address: &str) -> Result<Inner, ListenError> {
    let given = || address.to_owned();
    let well_formed = address.rsplit_once(':').is_some_and(|(host, port)| {
        let bare_ipv6 = host.contains(':') && !host.starts_with('[');
        !host.is_empty() && !bare_ipv6 && port.parse::<u16>().is_ok()
    });
    if !well_formed {
        return Err(ListenError::NoAddress { address: given() });
    }
    let refused = |source: io::Error| match source.kind() {
        ErrorKind::AddrInUse => ListenError::InUse { address: given() },
        ErrorKind::PermissionDenied => ListenError::Privileged { address: given() },
        _ => ListenError::Refused { address: given(), source },
    };
    let listener = TcpListener::bind(address).await.map_err(refused)?;
    let address = listener.local_addr().map_err(refused)?;
    Ok(Inner::Tcp { listener, address })
}

fn bind_unix(address: &str, path: &Path) -> Result<Inner, ListenError> {
    let given = || address.to_owned();
    let refused = |source: io::Error| match source.kind() {
        ErrorKind::AddrInUse => ListenError::InUse { address: given() },
        _ => ListenError::Refused { address: given(), source },
    };
    remove_stale(address, path)?;
    let listener = open_unix(path).map_err(refused)?;
    let file = SocketFile { path: path.to_owned(), id: id_of(path).map_err(refused)? };
    // The mask of the process may have taken the group's rights; they are only added here, the
    // file never had more than these.
    rustix::fs::chmod(path, SOCKET_MODE).map_err(|error| refused(error.into()))?;
    let listener = UnixListener::from_std(listener).map_err(refused)?;
    Ok(Inner::Unix { listener, path: path.to_owned(), _file: Some(file) })
}

fn open_unix(path: &Path) -> io::Result<StdUnixListener> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    // bind(2) gives the file the mode of the socket, so there is no moment at which others could
    // connect, see unix_bind_bsd():
    // https://github.com/torvalds/linux/blob/v6.12/net/unix/af_unix.c
    rustix::fs::fchmod(&socket, SOCKET_MODE)?;
    rustix::net::bind(&socket, &SocketAddrUnix::new(path)?)?;
    rustix::net::listen(&socket, BACKLOG)?;
    Ok(socket.into())
}

/// Removes a socket that nobody answers on.
fn remove_stale(address: &str, path: &Path) -> Result<(), ListenError> {
    let refused = |source| ListenError::Refused { address: address.to_owned(), source };
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(refused(error)),
    };
    if !found.file_type().is_socket() {
        return Err(ListenError::NotASocket { path: path.to_owned() });
    }
    match StdUnixStream::connect(path) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(refused)
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        // It answers, or is there in a way that is not ours to judge (another kind of socket).
        _ => Err(ListenError::InUse { address: address.to_owned() }),
    }
}

/// The file of a unix socket, removed when dropped, unless another has taken its place.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    /// Device and inode.
    id: (u64, u64),
}

/// Device and inode of the file at `path`.
fn id_of(path: &Path) -> io::Result<(u64, u64)> {
    let found = fs::symlink_metadata(path)?;
    Ok((found.dev(), found.ino()))
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if id_of(&self.path).is_ok_and(|now| now == self.id)
            && let Err(error) = fs::remove_file(&self.path)
        {
            tracing::warn!(path = %self.path.display(), %error, "the socket could not be removed");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[tokio::test]
    async fn what_is_no_address_is_said_to_be_none() {
        for address in
            ["", "4676", ":4676", "localhost", "127.0.0.1:", "1.2.3.4:99999", "::1:4676", "unix:"]
        {
            let error = Listener::bind(address).await.unwrap_err();
            assert!(matches!(error, ListenError::NoAddress { .. }), "{address}: {error}");
            assert!(error.to_string().contains("127.0.0.1:4676"), "{error}");
        }
    }

    #[tokio::test]
    async fn port_in_use() {
        let first = Listener::bind("127.0.0.1:0").await.unwrap();
        let address = first.tcp_address().unwrap().to_string();
        let error = Listener::bind(&address).await.unwrap_err();
        assert!(matches!(error, ListenError::InUse { .. }));
        let text = error.to_string();
        assert!(text.contains(&address) && text.contains("--listen"), "{text}");
        drop(first);
        Listener::bind(&address).await.unwrap();
    }

    #[tokio::test]
    async fn an_address_of_another_host_is_refused_by_name() {
        let error = Listener::bind("192.0.2.1:4676").await.unwrap_err();
        assert!(error.to_string().contains("192.0.2.1:4676: "), "{error}");
    }

    #[tokio::test]
    async fn unix_socket_lives_as_long_as_its_listener() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let address = format!("unix:{}", path.display());
        let listener = Listener::bind(&address).await.unwrap();
        assert_eq!(listener.to_string(), address);
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o660);
        let error = Listener::bind(&address).await.unwrap_err();
        assert!(matches!(error, ListenError::InUse { .. }), "{error}");
        drop(listener);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_stale_socket_is_replaced_and_anything_else_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let stale = folder.path().join("stale");
        drop(StdUnixListener::bind(&stale).unwrap());
        assert!(stale.exists());
        Listener::bind(&format!("unix:{}", stale.display())).await.unwrap();

        let file = folder.path().join("file");
        fs::write(&file, "precious").unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&stale, &link).unwrap();
        for path in [&file, &link, &folder.path().to_owned()] {
            let error = Listener::bind(&format!("unix:{}", path.display())).await.unwrap_err();
            assert!(matches!(error, ListenError::NotASocket { .. }), "{error}");
        }
        assert_eq!(fs::read_to_string(&file).unwrap(), "precious");
    }

    #[tokio::test]
    async fn paths_that_cannot_be_sockets() {
        let long = format!("unix:/{}", "a".repeat(200));
        for address in [long.as_str(), "unix:/nonexistent/folder/s"] {
            let error = Listener::bind(address).await.unwrap_err();
            assert!(matches!(error, ListenError::Refused { .. }), "{error}");
        }
    }

    #[tokio::test]
    async fn the_socket_of_a_successor_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let address = format!("unix:{}", path.display());
        let first = Listener::bind(&address).await.unwrap();
        fs::remove_file(&path).unwrap();
        let second = Listener::bind(&address).await.unwrap();
        drop(first);
        assert!(path.exists());
        drop(second);
        assert!(!path.exists());
    }
}
