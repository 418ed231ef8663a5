//! Zig, from the Python wheel `ziglang`: a C compiler and linker that brings musl, for each
//! architecture.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};
use goroscope_tests::cache;

use super::wheel::{self, Partial};
use crate::command;

const VERSION: &str = "0.17.1";

/// What it can compile for: the first part of the target's name in Rust and in Zig.
const ARCHITECTURES: [&str; 2] = ["x86_64", "aarch64"];

/// Zig under the names that a build wants to call.
pub(crate) struct Zig {
    folder: PathBuf,
}

impl Zig {
    /// The C compiler for Linux with musl on this architecture.
    pub(crate) fn compiler(&self, architecture: &str) -> PathBuf {
        self.folder.join(format!("bin/{architecture}-linux-musl-cc"))
    }

    /// What makes static libraries.
    pub(crate) fn archiver(&self) -> PathBuf {
        self.folder.join("bin/ar")
    }

    /// The version, as Zig has it.
    pub(crate) const fn version() -> &'static str {
        VERSION
    }
}

/// Installs Zig, unless this version is there.
pub(super) fn install() -> Result<Zig> {
    let all = cache::folder()?.join("zig");
    let zig = Zig { folder: all.join(VERSION) };
    if zig.archiver().is_file() {
        return Ok(zig);
    }
    println!("installing Zig {VERSION} (wheel ziglang) into {}", zig.folder.display());
    fs::create_dir_all(&all).with_context(|| format!("creating {}", all.display()))?;
    let partial = Partial(all.join(format!(".{VERSION}.{}", std::process::id())));
    let unpacked = wheel::unpack("ziglang", VERSION, &partial.0).context(
        "binaries that run everywhere are linked by Zig, for which this machine's compiler does \
         not do",
    )?;
    executable(&unpacked.join("ziglang/zig"))?;
    let says =
        command::output(std::process::Command::new(unpacked.join("ziglang/zig")).arg("version"))?;
    ensure!(says == VERSION, "the wheel of {VERSION} holds {says:?}");
    let names = unpacked.join("bin");
    fs::create_dir(&names).with_context(|| format!("creating {}", names.display()))?;
    for architecture in ARCHITECTURES {
        let name = format!("{architecture}-linux-musl-cc");
        script(&names.join(name), &compiler(&zig.folder, architecture))?;
    }
    script(&names.join("ar"), &archiver(&zig.folder))?;
    if zig.folder.exists() {
        fs::remove_dir_all(&zig.folder)
            .with_context(|| format!("replacing {}", zig.folder.display()))?;
    }
    fs::rename(&unpacked, &zig.folder)
        .with_context(|| format!("renaming to {}", zig.folder.display()))
        .map(|()| zig)
}

/// Rust and its build scripts name targets as LLVM does, which Zig does not understand; and it passes
/// over the one word for a program that can be anywhere and needs no loader.
fn compiler(folder: &Path, architecture: &str) -> String {
    format!(
        r#"{}
for word do
    shift
    case "$word" in
        --target=* | -m64) ;;
        -static-pie) set -- "$@" -static -pie ;;
        *) set -- "$@" "$word" ;;
    esac
done
exec "$zig/ziglang/zig" cc -target {architecture}-linux-musl "$@"
"#,
        beginning(folder)
    )
}

fn archiver(folder: &Path) -> String {
    format!("{}\nexec \"$zig/ziglang/zig\" ar \"$@\"\n", beginning(folder))
}

/// What Zig compiles for itself, its C library among it, stays beside it.
fn beginning(folder: &Path) -> String {
    let folder = folder.to_string_lossy().replace('\'', r"'\''");
    format!(
        "#!/bin/sh\nset -eu\nzig='{folder}'\n\
         export ZIG_GLOBAL_CACHE_DIR=\"$zig/cache\" ZIG_LOCAL_CACHE_DIR=\"$zig/cache\""
    )
}

fn script(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("writing {}", path.display()))?;
    executable(path)
}

fn executable(path: &Path) -> Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
        .with_context(|| format!("making {} executable", path.display()))
}
