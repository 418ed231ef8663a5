//! `/proc/PID/status`: the process a thread belongs to, and its ids in nested pid namespaces.

use super::{
    error::DiscoverError,
    identity::Pid,
    proc_fs::{ProcFs, parse},
};

/// Pid namespaces nest no deeper: `MAX_PID_NS_LEVEL`,
/// <https://github.com/torvalds/linux/blob/v6.12/kernel/pid_namespace.c#L81>.
const NAMESPACE_LIMIT: usize = 33;

/// What the file says, as far as it is used here (proc_pid_status(5)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The process (thread-group leader).
    pub leader: Pid,
    /// Its id in each pid namespace, from that of `/proc` to its own; may be empty.
    pub namespace_pids: Vec<Pid>,
}

impl Status {
    /// Takes the text apart; the error says what is wrong with it.
    ///
    /// # Errors
    /// Where the leader is missing.
    pub fn parse(text: &[u8]) -> Result<Self, &'static str> {
        // The kernel escapes line ends in the name, so no name can forge a line.
        let value =
            |key: &[u8]| text.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(key));
        let leader = value(b"Tgid:").and_then(parse).ok_or("it has no thread-group id")?;
        let namespace_pids = value(b"NSpid:")
            .unwrap_or_default()
            .split(u8::is_ascii_whitespace)
            .filter_map(parse)
            .take(NAMESPACE_LIMIT)
            .map(Pid)
            .collect();
        Ok(Self { leader: Pid(leader), namespace_pids })
    }
}

impl ProcFs {
    /// Of a process or thread.
    ///
    /// # Errors
    /// Of the process.
    pub fn status(&self, pid: Pid) -> Result<Status, DiscoverError> {
        let path = self.dir(pid).join("status");
        let text = self.read(pid, &path)?;
        Status::parse(&text).map_err(|what| DiscoverError::Malformed { pid, path, what })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_namespaces() {
        let status = Status::parse(b"Name:\tx\nTgid:\t7\nPid:\t9\nNSpid:\t9\t5\t1\n").unwrap();
        assert_eq!(status.leader, Pid(7));
        assert_eq!(status.namespace_pids, [Pid(9), Pid(5), Pid(1)]);
    }

    #[test]
    fn hostile() {
        assert!(Status::parse(b"").is_err());
        assert!(Status::parse(b"Tgid:\tx\n").is_err());
        assert!(Status::parse(b"Name:\tTgid:\t7\n").is_err());
        let many = format!("Tgid: 1\nNSpid: {}", "1 ".repeat(10_000));
        assert_eq!(Status::parse(many.as_bytes()).unwrap().namespace_pids.len(), NAMESPACE_LIMIT);
        let wrong = Status::parse(b"Tgid:\t1\nNSpid:\t-1\t99999999999\tx\t4\n").unwrap();
        assert_eq!(wrong.namespace_pids, [Pid(4)]);
    }
}
