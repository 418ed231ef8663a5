//! `/proc/PID/stat`: state, parent, flags, threads and start of a process or thread.

use super::{
    error::DiscoverError,
    identity::{Pid, StartTime},
    proc_fs::{ProcFs, parse},
};

/// Part of the kernel: `PF_KTHREAD`, <https://github.com/torvalds/linux/blob/v6.12/include/linux/sched.h#L1727>.
const PF_KTHREAD: u32 = 0x0020_0000;
/// Forked, but has not yet run exec: `PF_FORKNOEXEC`, the same file.
const PF_FORKNOEXEC: u32 = 0x0000_0040;

/// What the line says, as far as it is used here (proc_pid_stat(5)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stat {
    /// Name of the thread, bytes that are no UTF-8 replaced.
    pub comm: String,
    /// State, as a letter.
    pub state: u8,
    /// The process that gets its exit status.
    pub parent: Pid,
    /// The kernel's `PF_…` flags.
    pub flags: u32,
    /// Number of threads of the process.
    pub threads: u64,
    /// When it started.
    pub start: StartTime,
    /// Where its stack began when the program that it runs was loaded: another after each exec,
    /// where the kernel lays out addresses at random. 0 or 1 where that is not ours to know.
    pub stack_start: u64,
}

impl Stat {
    /// Takes the line apart; the error says what is wrong with it.
    ///
    /// # Errors
    /// Where a field is missing or is no number.
    pub fn parse(line: &[u8]) -> Result<Self, &'static str> {
        // The name stands in parentheses and may itself hold parentheses, blanks and line ends:
        // what follows it cannot, so the last parenthesis is the one that ends it.
        let open = line.iter().position(|byte| *byte == b'(').ok_or("it has no name")?;
        let close = line.iter().rposition(|byte| *byte == b')').ok_or("its name has no end")?;
        let comm = line.get(open.saturating_add(1)..close).ok_or("its name has no end")?;
        let rest = line.get(close.saturating_add(1)..).unwrap_or_default();
        let fields: Vec<&[u8]> =
            rest.split(u8::is_ascii_whitespace).filter(|field| !field.is_empty()).collect();
        // Counted as in the manual, where the state is field 3.
        let field = |number: usize| fields.get(number.saturating_sub(3)).copied();
        let state = match field(3) {
            Some([state]) => *state,
            _ => return Err("its state is not one letter"),
        };
        Ok(Self {
            comm: String::from_utf8_lossy(comm).into_owned(),
            state,
            parent: Pid(field(4).and_then(parse).ok_or("its parent (field 4) is no number")?),
            flags: field(9).and_then(parse).ok_or("its flags (field 9) are no number")?,
            threads: field(20).and_then(parse).ok_or("its threads (field 20) are no number")?,
            start: StartTime(field(22).and_then(parse).ok_or("its start (field 22) is no number")?),
            stack_start: field(28).and_then(parse).unwrap_or(0),
        })
    }

    /// The thread has exited.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        matches!(self.state, b'Z' | b'X' | b'x')
    }

    /// It is part of the kernel and has no program.
    #[must_use]
    pub fn is_kernel_thread(&self) -> bool {
        self.flags & PF_KTHREAD != 0
    }

    /// It was forked and still runs the program of its parent.
    #[must_use]
    pub fn has_not_execed(&self) -> bool {
        self.flags & PF_FORKNOEXEC != 0
    }
}

impl ProcFs {
    /// Of a process, that is of its main thread.
    ///
    /// # Errors
    /// Of the process.
    pub fn stat(&self, pid: Pid) -> Result<Stat, DiscoverError> {
        self.stat_at(pid, self.dir(pid).join("stat"))
    }

    /// Of one thread of a process.
    ///
    /// # Errors
    /// Of the process.
    pub fn thread_stat(&self, pid: Pid, thread: Pid) -> Result<Stat, DiscoverError> {
        self.stat_at(pid, self.thread_dir(pid, thread).join("stat"))
    }

    fn stat_at(&self, pid: Pid, path: std::path::PathBuf) -> Result<Stat, DiscoverError> {
        let line = self.read(pid, &path)?;
        Stat::parse(&line).map_err(|what| DiscoverError::Malformed { pid, path, what })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::discover::made_up::{MadeUp, stat_line};

    #[test]
    fn plain() {
        let stat = Stat::parse(stat_line(12, "bash", 'S', 3, 0x40_0100, 4711).as_bytes()).unwrap();
        assert_eq!(stat.comm, "bash");
        assert_eq!(stat.state, b'S');
        assert_eq!(stat.parent, Pid(3));
        assert_eq!(stat.threads, 5);
        assert_eq!(stat.start, StartTime(4711));
        assert!(!stat.is_dead() && !stat.is_kernel_thread() && !stat.has_not_execed());
    }

    #[test]
    fn names_that_look_like_fields() {
        for comm in ["a b", "a) S 1 2 3", "((", "))", ") (", "", "x\ny", "ü✓"] {
            let line = stat_line(12, comm, 'R', 3, 0, 99);
            let stat = Stat::parse(line.as_bytes()).unwrap();
            assert_eq!((stat.comm.as_str(), stat.start), (comm, StartTime(99)));
        }
    }

    #[test]
    fn names_that_are_no_utf8() {
        let line = stat_line(12, "XX", 'R', 3, 0, 99).replace("XX", "@");
        let mut line = line.into_bytes();
        let at = line.iter().position(|byte| *byte == b'@').unwrap();
        line[at] = 0xff;
        assert_eq!(Stat::parse(&line).unwrap().comm, "\u{fffd}");
    }

    #[test]
    fn hostile() {
        let whole = stat_line(12, "x", 'R', 3, 0, 99);
        for broken in [
            String::new(),
            "12".into(),
            "12 (x".into(),
            ")(".into(),
            "12 (x)".into(),
            "12 (x) SS 1".into(),
            whole.replace(" 99 ", " -99 "),
            whole.replace(" 99 ", " 99999999999999999999999 "),
            whole.replace(" 99 ", " 9x9 "),
            whole.chars().take(40).collect(),
        ] {
            assert!(Stat::parse(broken.as_bytes()).is_err(), "{broken:?}");
        }
    }

    #[test]
    fn flags() {
        let parse = |flags| Stat::parse(stat_line(1, "x", 'Z', 0, flags, 1).as_bytes()).unwrap();
        assert!(parse(0x0020_8040).is_kernel_thread());
        assert!(parse(0x0040_0040).has_not_execed());
        assert!(parse(0).is_dead());
    }

    #[test]
    fn errors_name_the_file() {
        let tree = MadeUp::new();
        tree.file("5/stat", "what is this?");
        let error = tree.procfs().stat(Pid(5)).unwrap_err();
        assert!(error.to_string().contains("5/stat"), "{error}");
        assert!(tree.procfs().stat(Pid(6)).unwrap_err().is_gone());
    }

    #[test]
    fn a_huge_file_is_cut() {
        let tree = MadeUp::new();
        tree.file("5/stat", vec![b'('; 4 << 20]);
        assert!(matches!(
            tree.procfs().stat(Pid(5)),
            Err(DiscoverError::Malformed { pid: Pid(5), .. })
        ));
    }
}
