//! Becoming somebody else: commands that run as another user, with no or few capabilities.

use std::{
    ffi::OsStr,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result};
use tempfile::TempDir;

/// Users that no system has.
pub const SOMEBODY: u32 = 54_321;
/// Another one.
pub const SOMEBODY_ELSE: u32 = 54_322;

/// `program` as this user, with these capabilities (in setpriv's words, as `sys_ptrace`) and no
/// others, now or ever; pipes as `Agent` and `Speaker` want them.
#[must_use]
pub fn command(user: u32, capabilities: &[&str], program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    let id = user.to_string();
    let wanted: String = capabilities.iter().map(|name| format!(",+{name}")).collect();
    command.args(["--reuid", &id, "--regid", &id, "--clear-groups", "--no-new-privs"]);
    for set in ["--inh-caps", "--ambient-caps", "--bounding-set"] {
        command.arg(format!("{set}=-all{wanted}"));
    }
    command.arg("--").arg(program);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// A command that becomes what `original` would have been, as another user.
#[must_use]
pub fn as_user(user: u32, capabilities: &[&str], original: &Command) -> Command {
    let program: &OsStr = original.get_program();
    let mut command = command(user, capabilities, Path::new(program));
    command.args(original.get_args());
    command
}

/// Copies of programs where every user can read and run them.
///
/// # Errors
/// Where they cannot be copied.
pub fn public_copies(programs: &[&Path]) -> Result<(TempDir, Vec<PathBuf>)> {
    let folder = tempfile::tempdir()?;
    let open = || fs::Permissions::from_mode(0o755);
    fs::set_permissions(folder.path(), open())?;
    let mut copies = Vec::new();
    for program in programs {
        let copy = folder.path().join(program.file_name().context("a program has a name")?);
        fs::copy(program, &copy).with_context(|| format!("copying {}", program.display()))?;
        fs::set_permissions(&copy, open())?;
        copies.push(copy);
    }
    Ok((folder, copies))
}

/// Processes that are no children of ours may be read by their own user.
///
/// # Errors
/// What keeps them.
pub fn yama_allows() -> Result<(), String> {
    match fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope") {
        Ok(scope) if scope.trim() != "0" => Err(format!(
            "Yama (kernel.yama.ptrace_scope={}) keeps users from reading their own processes",
            scope.trim()
        )),
        _ => Ok(()),
    }
}
