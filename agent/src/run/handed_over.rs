//! Sockets that whoever started the agent has opened for it: sd_listen_fds(3).

use std::{
    env,
    os::fd::{FromRawFd as _, OwnedFd, RawFd},
};

/// The first of them.
const FIRST: RawFd = 3;
/// More are a mistake.
const MOST: RawFd = 64;
const PID: &str = "LISTEN_PID";
const COUNT: &str = "LISTEN_FDS";
const NAMES: &str = "LISTEN_FDNAMES";

/// A socket, not looked at yet.
#[derive(Debug)]
pub(super) struct HandedOver {
    pub(super) socket: OwnedFd,
    /// Its number and name, for the user.
    pub(super) what: String,
}

/// Why they cannot be taken.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum HandOverError {
    /// The variable says nothing that makes sense.
    #[error(
        "{COUNT}={0}: not a number of sockets, from 0 to {MOST}; it is set by who starts the agent, \
         as systemd for goroscope.socket"
    )]
    Count(String),
    /// There is no such descriptor.
    #[error("{COUNT} says that there is a socket with number {0}, and there is none")]
    Missing(RawFd),
}

/// Takes them, and the variables that name them out of the environment. To be called once, while
/// the process has one thread.
pub(super) fn take() -> Result<Vec<HandedOver>, HandOverError> {
    let [pid, count, names] = [PID, COUNT, NAMES].map(|name| {
        let value = env::var_os(name).map(|value| value.to_string_lossy().into_owned());
        // SAFETY: no other thread reads the environment, because there is none yet.
        unsafe { env::remove_var(name) };
        value
    });
    let names = names.unwrap_or_default();
    let numbers = numbers(pid.as_deref(), count.as_deref(), std::process::id())?;
    let names = names.split(':').map(Some).chain(std::iter::repeat(None));
    numbers.zip(names).map(|(number, name)| own(number, name)).collect()
}

/// Those that are meant for this process: a child inherits the variables of its parent.
fn numbers(
    pid: Option<&str>,
    count: Option<&str>,
    own: u32,
) -> Result<std::ops::Range<RawFd>, HandOverError> {
    let (Some(pid), Some(count)) = (pid, count) else { return Ok(FIRST..FIRST) };
    if pid.parse() != Ok(own) {
        return Ok(FIRST..FIRST);
    }
    let number = count.parse().ok().filter(|number| (0..=MOST).contains(number));
    let number = number.ok_or_else(|| HandOverError::Count(count.to_owned()))?;
    Ok(FIRST..FIRST.saturating_add(number))
}

fn own(number: RawFd, name: Option<&str>) -> Result<HandedOver, HandOverError> {
    // SAFETY: it reads a flag of a descriptor, if there is one.
    let flags = unsafe { libc::fcntl(number, libc::F_GETFD) };
    if flags < 0 {
        return Err(HandOverError::Missing(number));
    }
    // SAFETY: it is open, and by the convention it is ours; it is taken once.
    let socket = unsafe { OwnedFd::from_raw_fd(number) };
    // It fails only for what is not open.
    let _set = rustix::io::fcntl_setfd(&socket, rustix::io::FdFlags::CLOEXEC);
    let what = match name.filter(|name| !name.is_empty()) {
        Some(name) => format!("{number} ({name})"),
        None => number.to_string(),
    };
    Ok(HandedOver { socket, what })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_meant_for_this_process() {
        assert_eq!(numbers(Some("7"), Some("2"), 7), Ok(3..5));
        assert_eq!(numbers(Some("8"), Some("2"), 7), Ok(3..3));
        assert_eq!(numbers(Some("x"), Some("2"), 7), Ok(3..3));
        assert_eq!(numbers(None, Some("2"), 7), Ok(3..3));
        assert_eq!(numbers(Some("7"), None, 7), Ok(3..3));
        assert_eq!(numbers(Some("7"), Some("0"), 7), Ok(3..3));
        for count in ["-1", "65", "two", "99999999999"] {
            let error = numbers(Some("7"), Some(count), 7).unwrap_err();
            assert_eq!(error, HandOverError::Count(count.to_owned()));
        }
    }
}
