//! A distribution as small as can be, in a folder: a shell, a `systemctl` that writes down what it is
//! asked for, and the folders that a distribution has. It is a package itself, so that RPM there
//! knows what is whose, and what the package to test needs is looked for and found.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use goroscope_tests::{debian, requires};
use tempfile::TempDir;

use super::{output, rpm};

/// The unit whose fate `systemctl` writes down beside the words that it is given.
const UNIT: &str = "/usr/lib/systemd/system/goroscope.service";
/// What is asked of systemd, a line each.
const ASKED: &str = "asked";
/// Where RPM keeps its own records there.
const DATABASE: &str = "/var/lib/rpm";
/// Folders that are there before the package is: of `filesystem`, of systemd, of the shells.
const FOLDERS: [&str; 10] = [
    "etc/default",
    "usr/bin",
    "usr/lib/systemd/system",
    "usr/share/bash-completion/completions",
    "usr/share/doc",
    "usr/share/fish/vendor_completions.d",
    "usr/share/licenses",
    "usr/share/man/man1",
    "usr/share/zsh/site-functions",
    "var/tmp",
];
/// What of it is no file of a package.
const APART: [&str; 3] = [ASKED, "dev", "var/lib"];

/// How systemd does there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Systemd {
    /// It does what it is asked for.
    Runs,
    /// It is installed and does not run, as where an image is made.
    Refuses,
    /// It is not installed.
    Missing,
}

/// A file, as far as a package tells what it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// Kind and permissions.
    pub(super) mode: u32,
    /// User and group.
    pub(super) owner: (u32, u32),
    /// Bytes, of what is no folder.
    pub(super) size: Option<u64>,
}

/// All files of it, by path.
pub(super) type Tree = BTreeMap<PathBuf, Entry>;

/// Something that systemd was asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Asked {
    /// The first line of goroscope's unit then; `gone` where there was none.
    pub(super) unit: String,
    /// The words.
    pub(super) words: String,
}

/// What RPM said, without Debian's warning of it.
#[derive(Debug)]
pub(super) struct Said {
    /// Whether it succeeded.
    pub(super) success: bool,
    /// Both of its outputs.
    pub(super) text: String,
}

/// Whether one can be made here.
///
/// # Errors
/// What is missing.
pub(super) fn usable() -> Result<(), String> {
    requires::root()?;
    requires::command("cp")?;
    rpm::query("rpmbuild").map(drop)?;
    busybox().map_err(|error| format!("needs a static shell: {error:#}"))?;
    let tried = Command::new("chroot").args(["/", "true"]).stdin(Stdio::null()).output();
    let tried = tried.map_err(|error| format!("needs chroot: {error}"))?;
    let said = String::from_utf8_lossy(&tried.stderr);
    tried.status.success().then_some(()).ok_or_else(|| format!("no chroot: {}", said.trim()))
}

fn busybox() -> Result<PathBuf> {
    let files = debian::package("busybox-static")?;
    let found = ["bin/busybox", "usr/bin/busybox"].map(|path| files.join(path));
    found.into_iter().find(|path| path.is_file()).context("the package has no busybox")
}

/// The distribution; gone when dropped.
pub(super) struct Distribution {
    folder: TempDir,
}

impl Distribution {
    /// Makes one.
    ///
    /// # Errors
    /// What could not be made.
    pub(super) fn make(systemd: Systemd) -> Result<Self> {
        let system = Self { folder: tempfile::tempdir()? };
        let files = system.folder.path().join("files");
        for folder in FOLDERS {
            fs::create_dir_all(files.join(folder))?;
        }
        fs::copy(busybox()?, files.join("usr/bin/busybox"))?;
        for command in ["sh", "rmdir"] {
            symlink("busybox", files.join("usr/bin").join(command))?;
        }
        symlink("usr/bin", files.join("bin"))?;
        if systemd != Systemd::Missing {
            let path = files.join("usr/bin/systemctl");
            fs::write(&path, systemctl(systemd))?;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
        }
        let package = system.build(&files)?;
        fs::create_dir_all(system.path(DATABASE))?;
        let said = system.rpm(&["--install"], Some(&package))?;
        ensure!(said.success, "the distribution cannot be installed: {}", said.text);
        // No device: those need not work where folders for a while lie.
        fs::create_dir(system.path("/dev"))?;
        fs::write(system.path("/dev/null"), "")?;
        Ok(system)
    }

    /// Makes a package of these files.
    fn build(&self, files: &Path) -> Result<PathBuf> {
        let folder = self.folder.path();
        let specification = folder.join("distribution.spec");
        let text = format!(
            "Name: distribution\nVersion: 1\nRelease: 1\nSummary: What is there before\n\
             License: none\nAutoReqProv: no\nProvides: /bin/sh\n%description\nNone.\n\
             %install\ncp -a '{}/.' '%{{buildroot}}'\n%files\n%defattr(-,root,root)\n/\n",
            files.display()
        );
        fs::write(&specification, text)?;
        let mut build = rpm::query("rpmbuild").map_err(anyhow::Error::msg)?;
        build.args(["-bb", "--nodeps", "--quiet"]);
        for (name, value) in [
            ("_topdir", folder.join("build").display().to_string()),
            ("_tmppath", folder.display().to_string()),
            ("_rpmdir", folder.display().to_string()),
            ("_rpmfilename", "distribution.rpm".to_owned()),
            ("_binary_payload", "w.ufdio".to_owned()),
            ("_build_id_links", "none".to_owned()),
            ("__os_install_post", "%{nil}".to_owned()),
            ("__spec_install_pre", "%{nil}".to_owned()),
            ("debug_package", "%{nil}".to_owned()),
        ] {
            build.arg("--define").arg(format!("{name} {value}"));
        }
        output(build.arg(&specification))?;
        Ok(folder.join("distribution.rpm"))
    }

    /// A folder beside the system, for files.
    pub(super) fn beside(&self) -> &Path {
        self.folder.path()
    }

    /// Where a file of the system lies.
    pub(super) fn path(&self, inside: &str) -> PathBuf {
        self.folder.path().join("root").join(inside.trim_start_matches('/'))
    }

    /// Runs `rpm` on the system, on a package's file if one is given.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub(super) fn rpm(&self, arguments: &[&str], file: Option<&Path>) -> Result<Said> {
        let mut rpm = rpm::command("rpm", Path::new(DATABASE)).map_err(anyhow::Error::msg)?;
        rpm.arg("--root").arg(self.path("/")).arg("--nosignature").args(arguments).args(file);
        let done = rpm.stdin(Stdio::null()).output().context("starting rpm")?;
        let debian = ["rpm: RPM should not be used directly", "rpm: However assuming you know"];
        let mut text = String::new();
        for output in [done.stdout, done.stderr] {
            for line in String::from_utf8_lossy(&output).lines() {
                if !debian.iter().any(|warning| line.starts_with(warning)) {
                    text.push_str(line);
                    text.push('\n');
                }
            }
        }
        Ok(Said { success: done.status.success(), text })
    }

    /// Runs a program of the system, inside it.
    ///
    /// # Errors
    /// Where it fails.
    pub(super) fn run(&self, program: &str, arguments: &[&str]) -> Result<String> {
        let mut inside = Command::new("chroot");
        output(inside.arg(self.path("/")).arg(program).args(arguments))
    }

    /// What systemd has been asked for since this was last called.
    ///
    /// # Errors
    /// Where it was not written down as meant.
    pub(super) fn asked(&self) -> Result<Vec<Asked>> {
        let path = self.path(ASKED);
        let text = if path.exists() { fs::read_to_string(&path)? } else { String::new() };
        fs::write(&path, "")?;
        let parse = |line: &str| {
            let (unit, words) = line.split_once('|').with_context(|| line.to_owned())?;
            Ok(Asked { unit: unit.to_owned(), words: words.to_owned() })
        };
        text.lines().map(parse).collect()
    }

    /// All that is there now.
    ///
    /// # Errors
    /// What cannot be read.
    pub(super) fn tree(&self) -> Result<Tree> {
        let top = self.path("/");
        let mut tree = Tree::new();
        let mut open = vec![PathBuf::new()];
        while let Some(folder) = open.pop() {
            for entry in fs::read_dir(top.join(&folder))? {
                let path = folder.join(entry?.file_name());
                if APART.iter().any(|apart| path == Path::new(apart)) {
                    continue;
                }
                let meta = fs::symlink_metadata(top.join(&path))?;
                let size = (!meta.is_dir()).then_some(meta.len());
                let owner = (meta.uid(), meta.gid());
                tree.insert(Path::new("/").join(&path), Entry { mode: meta.mode(), owner, size });
                if meta.is_dir() {
                    open.push(path);
                }
            }
        }
        Ok(tree)
    }
}

/// Writes down what it is asked for, and what the unit is at that time. Only of the shell's own words.
fn systemctl(systemd: Systemd) -> String {
    let end = match systemd {
        Systemd::Refuses => "echo refused; echo 'System has not been booted' >&2; exit 1",
        Systemd::Runs | Systemd::Missing => "exit 0",
    };
    format!(
        "#!/bin/sh\nunit=gone\nif [ -e {UNIT} ]; then read -r unit <{UNIT}; fi\n\
         echo \"$unit|$*\" >>/{ASKED}\n{end}\n"
    )
}
