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
    /// Both.
    PieStripped,
    /// With cgo, linked by Go's own linker where that can do it.
    Cgo,
    /// With cgo, linked by the C compiler's linker, without symbol table and DWARF.
    CgoExternal,
    /// As that, position-independent.
    CgoExternalPie,
    /// With cgo, and with the C library linked in.
    Static,
    /// Without the folders of the sources: `-trimpath`.
    Trimpath,
    /// With DWARF that is not compressed.
    PlainDwarf,
}

impl Mode {
    /// The three that differ in how the probes are placed and named.
    pub const USUAL: [Self; 3] = [Self::Normal, Self::Stripped, Self::Pie];
    /// Those that differ in how the runtime's records are found.
    pub const LAID_OUT: [Self; 8] = [
        Self::Normal,
        Self::Stripped,
        Self::Pie,
        Self::PieStripped,
        Self::Cgo,
        Self::CgoExternal,
        Self::Static,
        Self::Trimpath,
    ];

    fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Normal | Self::Cgo => &[],
            Self::Stripped => &["-ldflags=-s -w"],
            Self::Pie => &["-buildmode=pie"],
            Self::PieStripped => &["-buildmode=pie", "-ldflags=-s -w"],
            Self::CgoExternal => &["-ldflags=-linkmode=external -s -w"],
            Self::CgoExternalPie => &["-buildmode=pie", "-ldflags=-linkmode=external -s -w"],
            Self::Static => &["-ldflags=-linkmode=external -extldflags=-static"],
            Self::Trimpath => &["-trimpath"],
            Self::PlainDwarf => &["-ldflags=-compressdwarf=false"],
        }
    }

    /// Whether C is compiled in.
    #[must_use]
    pub fn cgo(self) -> bool {
        matches!(self, Self::Cgo | Self::CgoExternal | Self::CgoExternalPie | Self::Static)
    }

    /// Whether there is neither a symbol table nor DWARF.
    #[must_use]
    pub fn stripped(self) -> bool {
        matches!(
            self,
            Self::Stripped | Self::PieStripped | Self::CgoExternal | Self::CgoExternalPie
        )
    }

    /// Whether it is position-independent.
    #[must_use]
    pub fn pie(self) -> bool {
        matches!(self, Self::Pie | Self::PieStripped | Self::CgoExternalPie)
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Normal => "normal",
            Self::Stripped => "stripped",
            Self::Pie => "pie",
            Self::PieStripped => "pie-stripped",
            Self::Cgo => "cgo",
            Self::CgoExternal => "cgo-external",
            Self::CgoExternalPie => "cgo-external-pie",
            Self::Static => "static",
            Self::Trimpath => "trimpath",
            Self::PlainDwarf => "plain-dwarf",
        })
    }
}

/// This machine's architecture, in Go's words.
#[must_use]
pub fn host_arch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
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

/// What is built of a package.
#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    Program,
    Tests,
}

/// Builds the program in `tests/fixtures/<program>`, unless it has been built, and gives its path.
///
/// # Errors
/// Where the Go compiler reports one; its message is in the error.
pub fn build(program: &str, go: &Go, mode: Mode) -> Result<PathBuf> {
    build_for(host_arch(), program, go, mode)
}

/// As [`build`], for an architecture in Go's words; a program of another one does not run here.
///
/// # Errors
/// As there.
pub fn build_for(arch: &str, program: &str, go: &Go, mode: Mode) -> Result<PathBuf> {
    make(arch, program, What::Program, go, mode)
}

/// Builds the tests of the package in `tests/fixtures/<package>`, as `go test` does.
///
/// # Errors
/// As [`build`].
pub fn build_tests(package: &str, go: &Go) -> Result<PathBuf> {
    make(host_arch(), package, What::Tests, go, Mode::Normal)
}

fn make(arch: &str, package: &str, what: What, go: &Go, mode: Mode) -> Result<PathBuf> {
    let kind = if arch == host_arch() { mode.to_string() } else { format!("{mode}-{arch}") };
    let (name, verb): (_, &[&str]) = match what {
        What::Program => (package.to_owned(), &["build", "-buildvcs=false"]),
        What::Tests => (format!("{package}.test"), &["test", "-c"]),
    };
    let path = built()?.join(go.to_string()).join(&kind).join(&name);
    if path.is_file() {
        return Ok(path);
    }
    let _lock = cache::lock(&format!("fixture-{}-{go}-{kind}", name.replace('/', "-")))?;
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
        .env("GOARCH", arch)
        .env("CGO_ENABLED", if package == "cgo" || mode.cgo() { "1" } else { "0" })
        .args(verb)
        .args(mode.arguments())
        .arg("-o")
        .arg(&partial)
        .arg(format!("./{package}"))
        .output()
        .with_context(|| format!("starting {go}"))?;
    if !output.status.success() {
        bail!(
            "building the fixture {name} with {go} ({kind}) failed:\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    fs::rename(&partial, &path).with_context(|| format!("renaming {}", partial.display()))?;
    Ok(path)
}
