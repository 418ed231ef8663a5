//! Large Go programs as they are in the world.

use std::{fs, path::PathBuf};

use anyhow::{Context as _, Result};
use goroscope_tests::{
    cache, debian,
    toolchain::{Go, NEWEST},
};

use crate::command;

/// A program, and how the table names it.
pub(super) struct Program {
    pub(super) name: String,
    pub(super) path: PathBuf,
}

/// Packages of Debian with large programs, and where those are in them.
const DEBIAN: [(&str, &str); 5] = [
    ("containerd", "usr/bin/containerd"),
    ("docker.io", "usr/sbin/dockerd"),
    ("packer", "usr/bin/packer"),
    ("prometheus", "usr/bin/prometheus"),
    ("rclone", "usr/bin/rclone"),
];

/// All of them, and what is missing, with the reason.
pub(super) fn all() -> Result<(Vec<Program>, Vec<String>)> {
    let (mut programs, mut missing) = (Vec::new(), Vec::new());
    for (package, path) in DEBIAN {
        match debian::package(package) {
            Ok(folder) => {
                programs
                    .push(Program { name: format!("Debian's {package}"), path: folder.join(path) });
            }
            Err(error) => missing.push(format!("{package} ({error:#})")),
        }
    }
    let go = Go::find(NEWEST)?;
    programs.push(Program { name: "`go` of its release".to_owned(), path: go.root.join("bin/go") });
    for (name, flags) in [
        ("Go's compiler with DWARF", ""),
        ("the same, DWARF not compressed", "-compressdwarf=false"),
    ] {
        programs.push(Program { name: name.to_owned(), path: compiler(&go, flags)? });
    }
    Ok((programs, missing))
}

/// Go's compiler, built as programs are by default: that of the release has no DWARF.
fn compiler(go: &Go, flags: &str) -> Result<PathBuf> {
    let folder = cache::folder()?.join("compiler").join(go.to_string());
    let path = folder.join(format!("compile{flags}"));
    let _lock = cache::lock("compiler")?;
    if path.is_file() {
        return Ok(path);
    }
    println!("building Go's compiler ({flags}) into {}", folder.display());
    fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
    let partial = folder.join(".partial");
    let mut build = go.command()?;
    // The toolchain's own modules are vendored.
    build.current_dir(go.root.join("src")).env("GOFLAGS", "").env("CGO_ENABLED", "0");
    build.args(["build", "-buildvcs=false", &format!("-ldflags={flags}"), "-o"]);
    command::output(build.arg(&partial).arg("cmd/compile"))?;
    fs::rename(&partial, &path).with_context(|| format!("renaming {}", partial.display()))?;
    Ok(path)
}
