//! Real Go programs: built, started, and opened for reading.

use std::{
    env, fs,
    fs::File,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use goroscope::{
    discover::identity::Pid,
    inspect::{
        Binary, Mapping,
        address::{FileOffset, LoadBias, ProcessAddress},
        inspect,
    },
    read::{ReadError, RuntimeFacts, RuntimeReader, process_memory::ProcessMemory},
};

pub(crate) const VERSIONS: [&str; 8] =
    ["1.19", "1.21.13", "1.22.10", "1.23.9", "1.24.11", "1.25.5", "1.26.6", "1.27.3"];

/// How a program is built.
#[derive(Clone, Copy)]
pub(crate) struct Variant {
    pub(crate) name: &'static str,
    pub(crate) flags: &'static [&'static str],
    pub(crate) cgo: bool,
}

pub(crate) const VARIANTS: [Variant; 8] = [
    Variant { name: "default", flags: &[], cgo: false },
    Variant { name: "-s -w", flags: &["-ldflags=-s -w"], cgo: false },
    Variant { name: "PIE", flags: &["-buildmode=pie"], cgo: false },
    Variant { name: "PIE -s -w", flags: &["-buildmode=pie", "-ldflags=-s -w"], cgo: false },
    Variant { name: "cgo", flags: &[], cgo: true },
    Variant { name: "cgo external", flags: &["-ldflags=-linkmode=external -s -w"], cgo: true },
    Variant {
        name: "static",
        flags: &["-ldflags=-linkmode=external -extldflags=-static"],
        cgo: true,
    },
    Variant { name: "-trimpath", flags: &["-trimpath"], cgo: false },
];

/// A Go toolchain.
pub(crate) struct Toolchain {
    pub(crate) version: &'static str,
    go: PathBuf,
    cache: PathBuf,
}

impl Toolchain {
    pub(crate) fn find(version: &'static str) -> Option<Self> {
        let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
        let cache = cache.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cache")))?;
        let cache = cache.join("goroscope");
        let root = env::var_os("GOROSCOPE_GO_ROOT").map(PathBuf::from);
        let root = root.unwrap_or_else(|| cache.join("go"));
        // Debian has this one as a package.
        let debian = PathBuf::from(format!("/usr/lib/go-{version}/bin/go"));
        let candidates = [root.join(version).join("go/bin/go"), debian];
        let go = candidates.into_iter().find(|go| go.exists())?;
        Some(Self { version, go, cache: cache.join("gocache") })
    }

    /// Builds a program of `tests/go`; `folders` are laid over one another.
    pub(crate) fn build(&self, folder: &Path, folders: &[&str], variant: &Variant) -> PathBuf {
        self.build_for("amd64", folder, folders, variant)
    }

    pub(crate) fn build_for(
        &self,
        arch: &str,
        folder: &Path,
        folders: &[&str],
        variant: &Variant,
    ) -> PathBuf {
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/go");
        for source in folders {
            for entry in fs::read_dir(sources.join(source)).unwrap() {
                let entry = entry.unwrap();
                fs::copy(entry.path(), folder.join(entry.file_name())).unwrap();
            }
        }
        let program = folder.join("program");
        let output = Command::new(&self.go)
            .current_dir(folder)
            .env("GOTOOLCHAIN", "local")
            .env("GOFLAGS", "-mod=mod")
            .env("GOPROXY", "off")
            .env("GOCACHE", &self.cache)
            .env("GOARCH", arch)
            .env("CGO_ENABLED", if variant.cgo { "1" } else { "0" })
            .env_remove("GOROOT")
            .env_remove("GOEXPERIMENT")
            .args(["build", "-o"])
            .arg(&program)
            .args(variant.flags)
            .arg(".")
            .output()
            .unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "go {} {}: {error}", self.version, variant.name);
        program
    }
}

/// A program that runs; it ends with this.
pub(crate) struct Running {
    pub(crate) child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Running {
    pub(crate) fn start(program: &Path, arguments: &[&str]) -> Self {
        let mut child = Command::new(program)
            .args(arguments)
            .env("GOMAXPROCS", "4")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdin = child.stdin.take().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Self { child, stdin, stdout }
    }

    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line
    }

    pub(crate) fn next(&mut self) {
        self.stdin.write_all(b"\n").unwrap();
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid(self.child.id())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The runtime of a program, and what is needed to name things in it.
pub(crate) struct Opened {
    pub(crate) reader: RuntimeReader<ProcessMemory>,
    pub(crate) binary: Arc<Binary>,
    pub(crate) bias: LoadBias,
}

pub(crate) fn bias(binary: &Binary, pid: Pid, program: &Path) -> LoadBias {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let mappings = maps.lines().filter(|line| line.ends_with(program.to_str().unwrap()));
    let mappings = mappings.map(|line| {
        let mut fields = line.split_whitespace();
        let (start, end) = fields.next().unwrap().split_once('-').unwrap();
        let executable = fields.next().unwrap().contains('x');
        let number = |text| u64::from_str_radix(text, 16).unwrap();
        Mapping {
            start: ProcessAddress(number(start)),
            end: ProcessAddress(number(end)),
            offset: FileOffset(number(fields.next().unwrap())),
            executable,
        }
    });
    binary.load_bias(mappings).unwrap()
}

pub(crate) fn open(program: &Path, pid: Pid) -> Result<Opened, ReadError> {
    let binary = Arc::new(inspect(File::open(program).unwrap()).unwrap());
    let facts = Arc::new(RuntimeFacts::of(&binary)?);
    let bias = bias(&binary, pid, program);
    let names = Arc::clone(&binary);
    let names = Arc::new(move |at| names.function_at(at));
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        let memory = ProcessMemory::new(pid, "/proc").unwrap();
        let facts = Arc::clone(&facts);
        let names: Arc<goroscope::read::FunctionNames> = names.clone();
        match RuntimeReader::open(facts, memory, bias, names) {
            Ok(reader) => return Ok(Opened { reader, binary, bias }),
            Err(ReadError::NotStarted) if Instant::now() < deadline => {
                thread::sleep(Duration::from_millis(5));
            }
            Err(error) => return Err(error),
        }
    }
}
