//! What the kernel says of a process, in `/proc`.

use std::{collections::BTreeMap, fs, path::PathBuf};

use anyhow::{Context as _, Result};

fn read(path: PathBuf) -> Result<String> {
    fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))
}

/// Ids of the threads.
///
/// # Errors
/// Where the process is gone.
pub fn threads(pid: u32) -> Result<Vec<u32>> {
    let mut threads = Vec::new();
    for entry in fs::read_dir(format!("/proc/{pid}/task")).context("listing threads")? {
        threads.extend(entry?.file_name().to_str().and_then(|name| name.parse::<u32>().ok()));
    }
    Ok(threads)
}

/// Id of the thread of this name.
///
/// # Errors
/// Where there is none.
pub fn thread_named(pid: u32, name: &str) -> Result<u32> {
    for thread in threads(pid)? {
        if read(format!("/proc/{pid}/task/{thread}/comm").into())?.trim() == name {
            return Ok(thread);
        }
    }
    anyhow::bail!("process {pid} has no thread {name}")
}

/// Context switches of all threads alive: voluntary and not.
///
/// # Errors
/// Where the process is gone.
pub fn switches(pid: u32) -> Result<(u64, u64)> {
    let mut sum = (0, 0);
    for thread in threads(pid)? {
        let status = fields(&read(format!("/proc/{pid}/task/{thread}/status").into())?);
        let count = |name: &str| status.get(name).and_then(|value| value.parse::<u64>().ok());
        sum.0 += count("voluntary_ctxt_switches").context("no voluntary_ctxt_switches")?;
        sum.1 += count("nonvoluntary_ctxt_switches").context("no nonvoluntary_ctxt_switches")?;
    }
    Ok(sum)
}

/// Run-queue delay of all threads alive, in nanoseconds: the second field of `schedstat`
/// (<https://docs.kernel.org/scheduler/sched-stats.html>).
///
/// # Errors
/// Where the process is gone, or the kernel does not keep it.
pub fn run_delay(pid: u32) -> Result<u64> {
    let mut sum = 0;
    for thread in threads(pid)? {
        let line = read(format!("/proc/{pid}/task/{thread}/schedstat").into())?;
        sum += line.split_ascii_whitespace().nth(1).context("no run delay")?.parse::<u64>()?;
    }
    Ok(sum)
}

/// Resident memory, in bytes.
///
/// # Errors
/// Where the process is gone.
pub fn resident_bytes(pid: u32) -> Result<u64> {
    status_bytes(pid, "VmRSS")
}

/// The most resident memory that it ever had, in bytes.
///
/// # Errors
/// Where the process is gone.
pub fn most_resident_bytes(pid: u32) -> Result<u64> {
    status_bytes(pid, "VmHWM")
}

fn status_bytes(pid: u32, name: &str) -> Result<u64> {
    let status = fields(&read(format!("/proc/{pid}/status").into())?);
    let line = status.get(name).with_context(|| format!("no {name}"))?;
    Ok(line.trim_end_matches(" kB").trim().parse::<u64>()? * 1024)
}

/// User and system time used, in clock ticks.
///
/// # Errors
/// Where the process is gone.
pub fn cpu_ticks(pid: u32) -> Result<u64> {
    let stat = read(format!("/proc/{pid}/stat").into())?;
    let (_, after) = stat.rsplit_once(") ").context("a malformed stat")?;
    let fields: Vec<&str> = after.split_ascii_whitespace().collect();
    let tick = |index: usize| fields.get(index).and_then(|field| field.parse::<u64>().ok());
    Ok(tick(11).context("no utime")? + tick(12).context("no stime")?)
}

/// Number of open file descriptors.
///
/// # Errors
/// Where the process is gone.
pub fn open_fds(pid: u32) -> Result<usize> {
    Ok(fs::read_dir(format!("/proc/{pid}/fd")).context("listing descriptors")?.count())
}

/// `name: value` lines of each open file descriptor (proc_pid_fdinfo(5)).
///
/// # Errors
/// Where the process is gone.
pub fn fdinfo(pid: u32) -> Result<Vec<BTreeMap<String, String>>> {
    let mut all = Vec::new();
    for entry in fs::read_dir(format!("/proc/{pid}/fdinfo")).context("listing descriptors")? {
        // A descriptor may be closed while the list is read.
        if let Ok(text) = fs::read_to_string(entry?.path()) {
            all.push(fields(&text));
        }
    }
    Ok(all)
}

fn fields(text: &str) -> BTreeMap<String, String> {
    text.lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        .collect()
}
