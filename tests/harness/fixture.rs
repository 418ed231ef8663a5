//! The Go programs under `tests/fixtures`, built once per program, Go release and mode.

use std::{
    collections::BTreeMap,
    fmt, fs,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};

use crate::{cache, toolchain::Go, workspace};

/// How a fixture is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// As `go build` does by default.
    Normal,
    /// Without symbol table and DWARF: `-ldflags="-s -w"`.
    Stripped,
    /// Position-independent: `-buildmode=pie`.
    Pie,
}

impl Mode {
    /// Every mode.
    pub const ALL: [Self; 3] = [Self::Normal, Self::Stripped, Self::Pie];

    fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Normal => &[],
            Self::Stripped => &["-ldflags=-s -w"],
            Self::Pie => &["-buildmode=pie"],
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Normal => "normal",
            Self::Stripped => "stripped",
            Self::Pie => "pie",
        })
    }
}

/// The fixtures' source folder.
#[must_use]
pub fn sources() -> PathBuf {
    workspace::root().join("tests/fixtures")
}

/// The folder of the built fixtures of the present sources.
///
/// # Errors
/// Where the sources cannot be read.
pub fn built() -> Result<PathBuf> {
    let mut files = BTreeMap::new();
    collect(&sources(), &mut files)?;
    let mut hasher = DefaultHasher::new();
    files.hash(&mut hasher);
    Ok(cache::folder()?.join("fixtures").join(format!("{:016x}", hasher.finish())))
}

fn collect(folder: &Path, files: &mut BTreeMap<PathBuf, Vec<u8>>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("listing {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else {
            let bytes = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
            let name = path.strip_prefix(sources()).unwrap_or(&path).to_path_buf();
            files.insert(name, bytes);
        }
    }
    Ok(())
}

/// Builds the program in `tests/fixtures/<program>`, unless it has been built, and gives its path.
///
/// # Errors
/// Where the Go compiler reports one; its message is in the error.
pub fn build(program: &str, go: &Go, mode: Mode) -> Result<PathBuf> {
    let arguments: Vec<&str> =
        ["build", "-buildvcs=false"].iter().chain(mode.arguments()).copied().collect();
    make(program, program, go, mode, &arguments)
}

/// Builds the tests of the package in `tests/fixtures/<package>`, as `go test` does.
///
/// # Errors
/// As [`build`].
pub fn build_tests(package: &str, go: &Go) -> Result<PathBuf> {
    make(package, &format!("{package}.test"), go, Mode::Normal, &["test", "-c"])
}

fn make(package: &str, name: &str, go: &Go, mode: Mode, arguments: &[&str]) -> Result<PathBuf> {
    let path = built()?.join(go.to_string()).join(mode.to_string()).join(name);
    if path.is_file() {
        return Ok(path);
    }
    let _lock = cache::lock(&format!("fixture-{}-{go}-{mode}", name.replace('/', "-")))?;
    if path.is_file() {
        return Ok(path);
    }
    let folder = path.parent().context("a program has a folder")?;
    fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
    let file = path.file_name().context("a program has a name")?.to_string_lossy();
    let partial = folder.join(format!(".{file}.{}", std::process::id()));
    let output = go
        .command()?
        .current_dir(sources())
        .env("CGO_ENABLED", if package == "cgo" { "1" } else { "0" })
        .args(arguments)
        .arg("-o")
        .arg(&partial)
        .arg(format!("./{package}"))
        .output()
        .with_context(|| format!("starting {go}"))?;
    if !output.status.success() {
        bail!(
            "building the fixture {name} with {go} ({mode}) failed:\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    fs::rename(&partial, &path).with_context(|| format!("renaming {}", partial.display()))?;
    Ok(path)
}
