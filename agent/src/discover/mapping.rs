//! `/proc/PID/maps`: which files a process has mapped to run code from, and where.

use std::{
    ffi::OsString,
    fs::{self, File},
    io::{BufRead as _, BufReader, Read as _},
    os::unix::ffi::{OsStrExt as _, OsStringExt as _},
    path::{Path, PathBuf},
};

use super::{error::DiscoverError, identity::Pid, proc_fs::ProcFs};

/// Most bytes of the text that are looked at: some 600 000 mappings, ten times the kernel's
/// default limit (`vm.max_map_count`).
const TEXT_LIMIT: u64 = 64 << 20;
/// A line holds a path of up to 4096 bytes, each of which may be written as four.
const LINE_LIMIT: usize = 20 * 1024;
/// Most mappings that are returned.
const MAPPING_LIMIT: usize = 4096;

/// A part of a file that a process can run code from (proc_pid_maps(5)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// First address in the process.
    pub start: u64,
    /// Address in the process behind the last.
    pub end: u64,
    /// Offset in the file of the first byte.
    pub offset: u64,
    /// Permissions, as `r-xp`.
    pub permissions: [u8; 4],
    /// Major and minor number of the device. Of a file in an overlay or on btrfs it is not the one
    /// that stat(2) gives.
    pub device: (u32, u32),
    /// Inode on it.
    pub inode: u64,
    /// Path as the kernel has it, with ` (deleted)` where it was deleted.
    pub path: PathBuf,
}

impl Mapping {
    /// Takes a line apart; `None` where it has another form, or is not of a file.
    fn parse(line: &[u8]) -> Option<Self> {
        let (range, rest) = word(line)?;
        let (permissions, rest) = word(rest)?;
        let (offset, rest) = word(rest)?;
        let (device, rest) = word(rest)?;
        let (inode, rest) = word(rest)?;
        let (start, end) = pair(range, b'-')?;
        let (major, minor) = pair(device, b':')?;
        let path = rest.trim_ascii_start();
        let mapping = Self {
            start,
            end,
            offset: hex(offset)?,
            permissions: permissions.try_into().ok()?,
            device: (u32::try_from(major).ok()?, u32::try_from(minor).ok()?),
            inode: std::str::from_utf8(inode).ok()?.parse().ok()?,
            path: unescape(path),
        };
        (mapping.inode != 0 && mapping.start < mapping.end && !path.is_empty()).then_some(mapping)
    }

    /// Code may run from it.
    #[must_use]
    pub fn is_executable(&self) -> bool {
        self.permissions.contains(&b'x')
    }
}

/// The first word of a line, and what follows the blank behind it.
fn word(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = line.iter().position(|byte| *byte == b' ')?;
    Some((line.get(..end)?, line.get(end.checked_add(1)?..)?))
}

fn pair(text: &[u8], between: u8) -> Option<(u64, u64)> {
    let at = text.iter().position(|byte| *byte == between)?;
    Some((hex(text.get(..at)?)?, hex(text.get(at.checked_add(1)?..)?)?))
}

fn hex(text: &[u8]) -> Option<u64> {
    u64::from_str_radix(std::str::from_utf8(text).ok()?, 16).ok()
}

/// The kernel writes a line end in a path as `\012`, and nothing else in a special way.
fn unescape(path: &[u8]) -> PathBuf {
    const LINE_END: &[u8] = b"\\012";
    let mut plain = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((first, others)) = rest.split_first() {
        if let Some(behind) = rest.strip_prefix(LINE_END) {
            plain.push(b'\n');
            rest = behind;
        } else {
            plain.push(*first);
            rest = others;
        }
    }
    OsString::from_vec(plain).into()
}

impl ProcFs {
    /// The executable mappings of files, in ascending order of address.
    ///
    /// # Errors
    /// Of the process.
    pub fn mappings(&self, pid: Pid) -> Result<Vec<Mapping>, DiscoverError> {
        let path = self.live_dir(pid)?.join("maps");
        executable_mappings(&path).map_err(|error| DiscoverError::from_io(pid, path, error))
    }

    /// Those of its own executable. They are told by the path, which the kernel writes alike in
    /// `maps` and `exe`; device and inode are not what fstat(2) gives on every file system.
    ///
    /// # Errors
    /// Of the process.
    pub fn exe_mappings(&self, pid: Pid) -> Result<Vec<Mapping>, DiscoverError> {
        let link = self.live_dir(pid)?.join("exe");
        let exe = fs::read_link(&link).map_err(|error| DiscoverError::from_io(pid, link, error))?;
        let mut mappings = self.mappings(pid)?;
        mappings
            .retain(|mapping| mapping.path.as_os_str().as_bytes() == exe.as_os_str().as_bytes());
        Ok(mappings)
    }
}

fn executable_mappings(path: &Path) -> std::io::Result<Vec<Mapping>> {
    let mut text = BufReader::new(File::open(path)?.take(TEXT_LIMIT));
    let mut mappings = Vec::new();
    let mut line = Vec::new();
    while mappings.len() < MAPPING_LIMIT {
        line.clear();
        // A line without an end, as only a made-up tree has it, is cut and comes out as several
        // lines, none of which has the form of one.
        let limit = u64::try_from(LINE_LIMIT).unwrap_or(u64::MAX);
        if text.by_ref().take(limit).read_until(b'\n', &mut line)? == 0 {
            break;
        }
        let line = line.strip_suffix(b"\n").unwrap_or(&line);
        mappings.extend(Mapping::parse(line).filter(Mapping::is_executable));
    }
    Ok(mappings)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::discover::made_up::MadeUp;

    const MAPS: &str = "\
00400000-00401000 r--p 00000000 fd:01 1234                               /opt/a b\n\
00401000-00500000 r-xp 00001000 fd:01 1234                               /opt/a b\n\
7f0000000000-7f0000001000 r-xp 00002000 00:1f 99                         /lib/x\\012y (deleted)\n\
7f0000001000-7f0000002000 rwxp 00000000 00:00 0 \n\
7ffc00000000-7ffc00021000 rw-p 00000000 00:00 0                          [stack]\n\
7ffc00100000-7ffc00102000 r-xp 00000000 00:00 0                          [vdso]\n";

    #[test]
    fn executable_mappings_of_files() {
        let tree = MadeUp::new();
        tree.process(5, "/opt/a b", "/").file("5/maps", MAPS);
        let mappings = tree.procfs().mappings(Pid(5)).unwrap();
        assert_eq!(mappings.len(), 2);
        assert_eq!(
            mappings[0],
            Mapping {
                start: 0x40_1000,
                end: 0x50_0000,
                offset: 0x1000,
                permissions: *b"r-xp",
                device: (0xfd, 1),
                inode: 1234,
                path: "/opt/a b".into(),
            }
        );
        assert_eq!(mappings[1].path, Path::new("/lib/x\ny (deleted)"));
        assert_eq!(tree.procfs().exe_mappings(Pid(5)).unwrap(), mappings[..1]);
    }

    #[test]
    fn through_a_live_thread() {
        let tree = MadeUp::new();
        tree.stat(5, "go", 'Z', 1).file("5/maps", "").thread(5, 6, 'S').file("5/task/6/maps", MAPS);
        assert_eq!(tree.procfs().mappings(Pid(5)).unwrap().len(), 2);
    }

    #[test]
    fn hostile() {
        for line in [
            "",
            " ",
            "-",
            "1-2",
            "1-2 r-xp 0 0:0 5",
            "2-1 r-xp 0 0:0 5 /x",
            "1-2 r-xpp 0 0:0 5 /x",
            "1-2 r-xp 0 0 5 /x",
            "1-2 r-xp g 0:0 5 /x",
            "1-2 r-xp 0 0:0 -5 /x",
            "1-2 r-xp 0 1ffffffff:0 5 /x",
            "11111111111111111-2 r-xp 0 0:0 5 /x",
        ] {
            assert_eq!(Mapping::parse(line.as_bytes()), None, "{line:?}");
        }
        let tree = MadeUp::new();
        tree.process(5, "/x", "/").file("5/maps", vec![b'a'; 1 << 20]);
        assert_eq!(tree.procfs().mappings(Pid(5)).unwrap(), []);
        tree.file("5/maps", "1-2 r-xp 0 0:0 5 /x\n".repeat(10_000));
        assert_eq!(tree.procfs().mappings(Pid(5)).unwrap().len(), MAPPING_LIMIT);
    }

    #[test]
    fn of_this_very_process() {
        let procfs = ProcFs::new("/proc");
        let mappings = procfs.exe_mappings(Pid(std::process::id())).unwrap();
        let own = usize::try_from(mappings[0].start).unwrap()
            ..usize::try_from(mappings[mappings.len() - 1].end).unwrap();
        assert!(own.contains(&(executable_mappings as *const () as usize)));
    }
}
