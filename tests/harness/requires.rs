//! What a test needs of the host; each check is `Ok` or the reason for skipping.

use std::path::Path;

use crate::{bpf, chromium::Chromium, toolchain::Go};

/// Root, BPF, BTF and uprobes: what the agent needs to do all it can.
///
/// # Errors
/// What is missing.
pub fn kernel() -> Result<(), String> {
    root()?;
    bpf::usable().map_err(|error| format!("the kernel refuses bpf(2): {error}"))?;
    for (path, what) in [
        ("/sys/kernel/btf/vmlinux", "the kernel has no BTF"),
        ("/sys/bus/event_source/devices/uprobe/type", "the kernel has no uprobes"),
    ] {
        if !Path::new(path).exists() {
            return Err(format!("{what} ({path} is missing)"));
        }
    }
    Ok(())
}

/// Root.
///
/// # Errors
/// That it is needed.
pub fn root() -> Result<(), String> {
    rustix::process::geteuid().is_root().then_some(()).ok_or_else(|| "needs root".to_owned())
}

/// A Go toolchain.
///
/// # Errors
/// That it is missing.
pub fn go(version: &'static str) -> Result<(), String> {
    Go::find(version).map(drop).map_err(|error| error.to_string())
}

/// A browser, and what drives it.
///
/// # Errors
/// Why there is none.
pub fn chromium() -> Result<(), String> {
    Chromium::find().map(drop).map_err(|error| format!("no Chromium: {error:#}"))
}

/// A C compiler, for cgo.
///
/// # Errors
/// That it is missing.
pub fn c_compiler() -> Result<(), String> {
    command("gcc").map_err(|_| "needs a C compiler (gcc) for cgo".to_owned())
}

/// A command on the `PATH`.
///
/// # Errors
/// That it is missing.
pub fn command(name: &str) -> Result<(), String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).any(|folder| folder.join(name).is_file());
    found.then_some(()).ok_or_else(|| format!("{name} is not installed"))
}
