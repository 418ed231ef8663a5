//! A machine of our own: Debian with its kernel and its systemd, in qemu. Commands go to it and output
//! comes back over a port that is no network. It is emulated: KVM is not there everywhere, and where
//! it is there it need not work.

use std::{
    fs::{self, File},
    hash::{DefaultHasher, Hash as _, Hasher as _},
    io::{BufRead as _, BufReader, Write as _},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use tempfile::TempDir;

use crate::{cache, debian, poll, process::Guard, requires};

/// How long it may take to start.
const BOOT: Duration = Duration::from_secs(300);
/// How long a command may take there.
const PATIENCE: Duration = Duration::from_secs(240);
/// What is installed beside what Debian holds essential.
const PACKAGES: &str =
    "systemd,systemd-sysv,udev,dbus,kmod,linux-image-cloud-amd64,initramfs-tools,zstd,apparmor";
/// What the machine does when it has started. What is on the second disk can change without the
/// system being made anew.
const UNIT: &str = "[Unit]
Description=What the test wants done
After=multi-user.target
[Service]
Type=simple
ExecStart=/bin/sh -c 'mkdir -p /payload && mount -o ro /dev/vdb /payload && exec /bin/sh /payload/guest.sh'
StandardOutput=journal+console
[Install]
WantedBy=multi-user.target
";
/// Nothing to wait for, nobody to log in, and no profiles but those that a test loads.
const MASKED: [&str; 4] = [
    "getty@tty1.service",
    "systemd-networkd-wait-online.service",
    "apt-daily.timer",
    "apparmor.service",
];
/// Takes commands, a line each, until there are no more; gives output and status back.
const SCRIPT: &str = r#"exec 3<>/dev/virtio-ports/goroscope
echo ready >&3
while IFS= read -r line <&3; do
    ( eval "$line" ) </dev/null >/run/guest.output 2>&1
    status=$?
    printf '%s %s\n' "$status" "$(base64 -w 0 /run/guest.output)" >&3
done
"#;

/// What a command there came to.
#[derive(Debug)]
pub struct Outcome {
    /// The exit status.
    pub status: i32,
    /// Standard output and standard error.
    pub output: String,
}

/// Whether such a machine can be had here.
///
/// # Errors
/// What is missing.
pub fn usable() -> Result<(), String> {
    if std::env::consts::ARCH != "x86_64" {
        return Err("the machine in qemu is made for x86-64 only".to_owned());
    }
    // Its system is made in a folder that belongs to root, and its packages' scripts run there.
    requires::root()?;
    requires::command("mke2fs").map_err(|reason| format!("{reason} (Debian: e2fsprogs)"))?;
    debian::usable()?;
    qemu().map(drop).map_err(|error| format!("no qemu: {error:#}"))
}

/// The folder with qemu.
fn qemu() -> Result<PathBuf> {
    debian::with_needs("qemu-system", &["qemu-system-x86"])
}

fn libraries(folder: &Path) -> Result<std::ffi::OsString> {
    let triplet = "x86_64-linux-gnu";
    Ok(std::env::join_paths([
        folder.join("usr/lib").join(triplet),
        folder.join("lib").join(triplet),
    ])?)
}

/// The system of this release: disk, kernel, what is loaded first. Made at first use, and anew where
/// what is put into it has changed.
struct System {
    folder: PathBuf,
}

impl System {
    fn find(suite: &str) -> Result<Self> {
        let all = cache::folder()?.join("guest");
        let mut hasher = DefaultHasher::new();
        (PACKAGES, UNIT, MASKED).hash(&mut hasher);
        let name = format!("{suite}-{:016x}", hasher.finish());
        let system = Self { folder: all.join(&name) };
        if system.disk().is_file() {
            return Ok(system);
        }
        let _lock = cache::lock(&format!("guest-{suite}"))?;
        if system.disk().is_file() {
            return Ok(system);
        }
        let partial = all.join(format!(".{name}.partial"));
        if partial.exists() {
            let mounts = fs::read_to_string("/proc/self/mounts")?;
            let below = format!(" {}/", partial.display());
            ensure!(!mounts.contains(&below), "something is mounted below {}", partial.display());
            fs::remove_dir_all(&partial)
                .with_context(|| format!("removing {}", partial.display()))?;
        }
        fs::create_dir_all(&partial).with_context(|| format!("creating {}", partial.display()))?;
        make(suite, &partial)?;
        fs::rename(&partial, &system.folder)
            .with_context(|| format!("renaming {}", partial.display()))?;
        Ok(system)
    }

    fn disk(&self) -> PathBuf {
        self.folder.join("disk")
    }
}

/// Installs Debian into a folder and makes a disk of it.
fn make(suite: &str, folder: &Path) -> Result<()> {
    eprintln!("making a system of Debian {suite} in {}: some minutes", folder.display());
    let tools = debian::package("mmdebstrap")?.join("usr/bin");
    let root = folder.join("root");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path =
        std::env::join_paths([tools.clone()].into_iter().chain(std::env::split_paths(&path)))?;
    // It mounts the host's /proc, /sys and devices there for a while: where nobody else sees them, and
    // they are gone with it whatever ends it.
    let mut install = Command::new("unshare");
    install
        .args(["--mount", "--propagation", "private"])
        .arg(tools.join("mmdebstrap"))
        .env("PATH", path)
        .args(["--quiet", "--mode=root", "--variant=minbase", "--format=directory"])
        .args(["--aptopt=APT::Sandbox::User \"root\"", "--dpkgopt=force-unsafe-io"])
        .args(
            ["doc", "man", "locale"]
                .map(|name| format!("--dpkgopt=path-exclude=/usr/share/{name}/*")),
        )
        .arg(format!("--include={PACKAGES}"))
        .arg(suite)
        .arg(&root);
    run(&mut install).context("installing Debian")?;
    let units = root.join("etc/systemd/system");
    fs::write(units.join("guest.service"), UNIT)?;
    let wants = units.join("multi-user.target.wants");
    fs::create_dir_all(&wants)?;
    std::os::unix::fs::symlink("../guest.service", wants.join("guest.service"))?;
    for unit in MASKED {
        let mask = units.join(unit);
        if !mask.exists() {
            std::os::unix::fs::symlink("/dev/null", mask)?;
        }
    }
    for (prefix, name) in [("vmlinuz-", "kernel"), ("initrd.img-", "initrd")] {
        let found = fs::read_dir(root.join("boot"))?
            .filter_map(Result::ok)
            .find(|entry| entry.file_name().to_str().is_some_and(|name| name.starts_with(prefix)));
        let found = found.with_context(|| format!("no {prefix}… in the system"))?.path();
        fs::rename(found, folder.join(name))?;
    }
    let disk = folder.join("disk.partial");
    File::create(&disk)?.set_len(1 << 30)?;
    let mut format = Command::new("mke2fs");
    format.args(["-q", "-t", "ext4", "-O", "^has_journal", "-d"]).arg(&root).arg(&disk);
    run(&mut format).context("making its disk")?;
    fs::remove_dir_all(&root).with_context(|| format!("removing {}", root.display()))?;
    Ok(fs::rename(disk, folder.join("disk"))?)
}

/// The machine; off when dropped.
pub struct Guest {
    _machine: Guard,
    folder: TempDir,
    port: BufReader<UnixStream>,
}

impl Guest {
    /// Starts a machine with this release of Debian. It finds these files, under these names, in
    /// `/payload`.
    ///
    /// # Errors
    /// Where it cannot be made or does not start; what it printed is in the error.
    pub fn start(suite: &str, payload: &[(&str, &Path)]) -> Result<Self> {
        let system = System::find(suite)?;
        let folder = tempfile::tempdir()?;
        let files = folder.path().join("payload");
        fs::create_dir(&files)?;
        fs::write(files.join("guest.sh"), SCRIPT)?;
        let mut size = 8 << 20;
        for (name, from) in payload {
            size += fs::copy(from, files.join(name))
                .with_context(|| format!("copying {}", from.display()))?;
        }
        let disk = folder.path().join("payload.disk");
        File::create(&disk)?.set_len(size * 5 / 4)?;
        let mut format = Command::new("mke2fs");
        run(format.args(["-q", "-t", "ext4", "-d"]).arg(&files).arg(&disk))?;
        let socket = folder.path().join("port");
        let mut machine = start(&system, folder.path(), &disk, &socket)?;
        let mut guest = None;
        let started = poll::until("the machine has started", BOOT, || {
            if let Some(status) = machine.ended()? {
                bail!("qemu has ended ({status})");
            }
            let stream = UnixStream::connect(&socket)?;
            stream.set_read_timeout(Some(BOOT))?;
            guest = Some(BufReader::new(stream));
            Ok(Some(()))
        });
        let console = || fs::read_to_string(folder.path().join("console")).unwrap_or_default();
        started.with_context(console)?;
        let mut port = guest.context("no port")?;
        let mut line = String::new();
        port.read_line(&mut line).with_context(console)?;
        ensure!(line == "ready\n", "the machine says {line:?}:\n{}", console());
        Ok(Self { _machine: machine, folder, port })
    }

    /// Runs a line of shell there.
    ///
    /// # Errors
    /// Where the machine does not answer.
    pub fn run(&mut self, command: &str) -> Result<Outcome> {
        ensure!(!command.contains('\n'), "one line only: {command:?}");
        let mut answer = String::new();
        let stream = self.port.get_mut();
        stream.set_read_timeout(Some(PATIENCE))?;
        writeln!(stream, "{command}")?;
        let read = self.port.read_line(&mut answer);
        let (status, output) = match (read, answer.trim_end_matches('\n').split_once(' ')) {
            (Ok(_), Some(parts)) => parts,
            (read, _) => bail!("no answer to {command:?} ({read:?}):\n{}", self.console()),
        };
        let output = BASE64.decode(output).with_context(|| format!("the answer {output:?}"))?;
        let output = String::from_utf8_lossy(&output).into_owned();
        Ok(Outcome { status: status.parse()?, output })
    }

    /// As [`Guest::run`], for what must succeed; gives its output, trimmed.
    ///
    /// # Errors
    /// Where it fails; with its output.
    pub fn sh(&mut self, command: &str) -> Result<String> {
        let outcome = self.run(command)?;
        let Outcome { status, output } = outcome;
        ensure!(status == 0, "`{command}` failed ({status}):\n{output}");
        Ok(output.trim().to_owned())
    }

    /// Repeats a command until its output is as it should be, and gives that.
    ///
    /// # Errors
    /// Where it is not in time; with the last output.
    pub fn until(
        &mut self,
        what: &str,
        limit: Duration,
        command: &str,
        enough: impl Fn(&str) -> bool,
    ) -> Result<String> {
        let deadline = Instant::now() + limit;
        loop {
            let outcome = self.run(command)?;
            if enough(&outcome.output) {
                return Ok(outcome.output);
            }
            ensure!(
                Instant::now() < deadline,
                "not within {limit:?}: {what}; `{command}` gives\n{}",
                outcome.output
            );
            std::thread::sleep(Duration::from_millis(300));
        }
    }

    /// What a server there answers.
    ///
    /// # Errors
    /// Where it does not with status 200.
    pub fn get(&mut self, address: &str, path: &str) -> Result<String> {
        let (host, port) = address.split_once(':').context("HOST:PORT")?;
        // bash can, and nothing else that is installed.
        let Outcome { status, output: answer } = self.run(&format!(
            "bash -c 'exec 4<>/dev/tcp/{host}/{port} && printf \"GET {path} HTTP/1.0\\r\\nHost: {host}\\r\\n\\r\\n\" >&4 && cat <&4'"
        ))?;
        ensure!(status == 0, "{address} is not reached:\n{answer}");
        let (head, body) = answer.split_once("\r\n\r\n").context("no answer of HTTP")?;
        ensure!(head.contains(" 200 "), "{path}: {head}");
        Ok(body.to_owned())
    }

    /// What it has printed so far.
    #[must_use]
    pub fn console(&self) -> String {
        fs::read_to_string(self.folder.path().join("console")).unwrap_or_default()
    }
}

fn start(system: &System, folder: &Path, payload: &Path, socket: &Path) -> Result<Guard> {
    let qemu = qemu()?;
    let share = qemu.join("usr/share");
    let drive = |path: &Path| format!("file={},if=virtio,format=raw", path.display());
    let mut command = Command::new(qemu.join("usr/bin/qemu-system-x86_64"));
    command
        .env("LD_LIBRARY_PATH", libraries(&qemu)?)
        // What it writes to its disks goes there and is gone afterwards.
        .env("TMPDIR", folder)
        .arg("-L")
        .arg(share.join("qemu"))
        .arg("-L")
        .arg(share.join("seabios"))
        .args(["-machine", "q35", "-accel", "tcg,thread=multi", "-cpu", "max"])
        .args(["-smp", "2", "-m", "1024", "-nodefaults", "-display", "none", "-no-reboot"])
        .arg("-snapshot")
        .arg("-kernel")
        .arg(system.folder.join("kernel"))
        .arg("-initrd")
        .arg(system.folder.join("initrd"))
        .args(["-append", "root=/dev/vda rw console=ttyS0 panic=-1 systemd.show_status=0 quiet"])
        .args(["-drive", &drive(&system.disk()), "-drive", &drive(payload)])
        .arg("-serial")
        .arg(format!("file:{}", folder.join("console").display()))
        .args(["-object", "rng-random,filename=/dev/urandom,id=random"])
        .args(["-device", "virtio-rng-pci,rng=random", "-device", "virtio-serial-pci"])
        .arg("-chardev")
        .arg(format!("socket,id=port,path={},server=on,wait=off", socket.display()))
        .args(["-device", "virtserialport,chardev=port,name=goroscope"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(File::create(folder.join("console.qemu"))?);
    Guard::start(&mut command)
}

/// Runs a command in silence; its output is in the error.
fn run(command: &mut Command) -> Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output =
        command.stdin(Stdio::null()).output().with_context(|| format!("starting {name}"))?;
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        bail!("{name} failed ({}): {}", output.status, errors.trim());
    }
    Ok(())
}
