//! Asks the kernel for its BPF objects, with bpf(2).

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Error,
    os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd, RawFd},
};

use anyhow::{Context as _, Result, bail};

use crate::proc;

// Commands and the layout of `union bpf_attr`:
// https://github.com/torvalds/linux/blob/v6.18/include/uapi/linux/bpf.h#L927
const MAP_CREATE: libc::c_long = 0;
const MAP_GET_NEXT_KEY: libc::c_long = 4;
const PROG_GET_FD_BY_ID: libc::c_long = 13;
const MAP_GET_FD_BY_ID: libc::c_long = 14;
const OBJ_GET_INFO_BY_FD: libc::c_long = 15;
const LINK_GET_FD_BY_ID: libc::c_long = 30;
const MAP_TYPE_HASH: &str = "1";
// Where `struct bpf_prog_info` and `struct bpf_map_info` have the name (there: lines 6631, 6673).
const PROG_NAME: usize = 64;
const MAP_NAME: usize = 24;
const NAME_LENGTH: usize = 16;

/// The part of `union bpf_attr` that the commands here use.
#[repr(C, align(8))]
#[derive(Default)]
struct Attributes {
    words: [u32; 16],
}

impl Attributes {
    /// Puts a pointer into the two words from `word` on.
    fn set_pointer(&mut self, word: usize, pointer: u64) {
        for (half, bytes) in pointer.to_ne_bytes().chunks_exact(4).enumerate() {
            if let (Some(slot), Ok(bytes)) = (self.words.get_mut(word + half), bytes.try_into()) {
                *slot = u32::from_ne_bytes(bytes);
            }
        }
    }
}

fn bpf(command: libc::c_long, attributes: &mut Attributes) -> std::io::Result<RawFd> {
    let size = size_of::<Attributes>();
    // SAFETY: the attributes are plain integers that outlive the call; pointers in them are made
    // by the callers from buffers that outlive it, too.
    let result =
        unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_mut(attributes), size) };
    match RawFd::try_from(result) {
        Ok(value) if value >= 0 => Ok(value),
        _ => Err(Error::last_os_error()),
    }
}

fn open(command: libc::c_long, attributes: &mut Attributes) -> std::io::Result<OwnedFd> {
    let raw = bpf(command, attributes)?;
    // SAFETY: the kernel has just made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(raw) })
}

/// Whether this process may make a BPF map at all.
///
/// # Errors
/// The kernel's answer.
pub fn usable() -> std::io::Result<()> {
    let mut attributes = Attributes::default();
    // An array (2) of one element of four bytes.
    for (word, value) in attributes.words.iter_mut().zip([2, 4, 4, 1]) {
        *word = value;
    }
    open(MAP_CREATE, &mut attributes).map(drop)
}

/// Ids of the BPF objects that a process holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Objects {
    /// Programs.
    pub programs: BTreeSet<u32>,
    /// Maps.
    pub maps: BTreeSet<u32>,
    /// Links.
    pub links: BTreeSet<u32>,
}

impl Objects {
    /// Those whose descriptors the process has open.
    ///
    /// # Errors
    /// Where the process is gone.
    pub fn of(pid: u32) -> Result<Self> {
        let mut objects = Self::default();
        for info in proc::fdinfo(pid)? {
            let id = |name: &str| info.get(name).and_then(|value| value.parse::<u32>().ok());
            if let Some(link) = id("link_id") {
                objects.links.insert(link);
            } else if info.contains_key("map_type") {
                objects.maps.extend(id("map_id"));
            }
            objects.programs.extend(id("prog_id"));
        }
        Ok(objects)
    }

    /// Those of them that the kernel still has.
    #[must_use]
    pub fn remaining(&self) -> Self {
        let exists = |command: libc::c_long| {
            move |id: &u32| {
                let mut attributes = Attributes::default();
                attributes.words[0] = *id;
                open(command, &mut attributes).is_ok()
            }
        };
        Self {
            programs: self.programs.iter().copied().filter(exists(PROG_GET_FD_BY_ID)).collect(),
            maps: self.maps.iter().copied().filter(exists(MAP_GET_FD_BY_ID)).collect(),
            links: self.links.iter().copied().filter(exists(LINK_GET_FD_BY_ID)).collect(),
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.programs.is_empty() && self.maps.is_empty() && self.links.is_empty()
    }
}

/// Number of keys in each hash map that a process holds, by the map's name.
///
/// # Errors
/// Where the process is gone, or the kernel refuses.
pub fn hash_map_keys(pid: u32) -> Result<BTreeMap<String, usize>> {
    let mut seen = BTreeSet::new();
    let mut keys = BTreeMap::new();
    for info in proc::fdinfo(pid)? {
        let field = |name: &str| info.get(name).and_then(|value| value.parse::<u32>().ok());
        if info.get("map_type").map(String::as_str) != Some(MAP_TYPE_HASH) {
            continue;
        }
        let (Some(id), Some(size)) = (field("map_id"), field("key_size")) else { continue };
        if seen.insert(id) {
            *keys.entry(name(MAP_GET_FD_BY_ID, id, MAP_NAME)?).or_default() +=
                count_keys(id, size)?;
        }
    }
    Ok(keys)
}

/// The name of the object of this id; `at` is where its information has it.
fn name(command: libc::c_long, id: u32, at: usize) -> Result<String> {
    let mut attributes = Attributes::default();
    attributes.words[0] = id;
    let object = open(command, &mut attributes).with_context(|| format!("BPF object {id}"))?;
    let mut info = vec![0_u8; at + NAME_LENGTH];
    let mut attributes = Attributes::default();
    attributes.words[0] = u32::try_from(object.as_raw_fd())?;
    attributes.words[1] = u32::try_from(info.len())?;
    attributes.set_pointer(2, info.as_mut_ptr() as u64);
    bpf(OBJ_GET_INFO_BY_FD, &mut attributes).with_context(|| format!("BPF object {id}"))?;
    let name = info.get(at..).unwrap_or_default().split(|byte| *byte == 0).next();
    Ok(String::from_utf8_lossy(name.unwrap_or_default()).into_owned())
}

fn count_keys(map: u32, key_size: u32) -> Result<usize> {
    let mut attributes = Attributes::default();
    attributes.words[0] = map;
    let map = open(MAP_GET_FD_BY_ID, &mut attributes).context("opening a map of the agent")?;
    let size = usize::try_from(key_size)?;
    let mut key = vec![0_u8; size];
    let mut next = vec![0_u8; size];
    for count in 0..10_000_000 {
        let mut attributes = Attributes::default();
        attributes.words[0] = u32::try_from(map.as_raw_fd())?;
        attributes.set_pointer(2, if count == 0 { 0 } else { key.as_ptr() as u64 });
        attributes.set_pointer(4, next.as_mut_ptr() as u64);
        if let Err(error) = bpf(MAP_GET_NEXT_KEY, &mut attributes) {
            if error.raw_os_error() == Some(libc::ENOENT) {
                return Ok(count);
            }
            return Err(error).context("reading the keys of a map");
        }
        std::mem::swap(&mut key, &mut next);
    }
    bail!("a map without end")
}

/// How long a program has run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunTime {
    /// The program's name: the first 15 characters of its function's.
    pub name: String,
    /// Total run time, in nanoseconds, while [`Statistics`] were on.
    pub nanoseconds: u64,
    /// Runs, likewise.
    pub runs: u64,
}

/// Run times of the programs that a process holds, by the kernel's own statistics.
///
/// # Errors
/// Where the process is gone, or the kernel refuses.
pub fn run_times(pid: u32) -> Result<Vec<RunTime>> {
    let mut times = Vec::new();
    for info in proc::fdinfo(pid)? {
        let field = |name: &str| info.get(name).and_then(|value| value.parse::<u64>().ok());
        if let (Some(id), Some(nanoseconds), Some(runs)) =
            (field("prog_id"), field("run_time_ns"), field("run_cnt"))
        {
            let name = name(PROG_GET_FD_BY_ID, u32::try_from(id)?, PROG_NAME)?;
            times.push(RunTime { name, nanoseconds, runs });
        }
    }
    Ok(times)
}

/// Switches the kernel's run-time statistics on; back to what they were when dropped.
#[derive(Debug)]
pub struct Statistics {
    before: String,
}

const STATISTICS: &str = "/proc/sys/kernel/bpf_stats_enabled";

impl Statistics {
    /// Switches them on.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub fn on() -> Result<Self> {
        let before = fs::read_to_string(STATISTICS).with_context(|| STATISTICS.to_owned())?;
        fs::write(STATISTICS, "1").with_context(|| STATISTICS.to_owned())?;
        Ok(Self { before })
    }
}

impl Drop for Statistics {
    fn drop(&mut self) {
        let _ = fs::write(STATISTICS, self.before.trim());
    }
}
