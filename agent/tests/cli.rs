//! The command as users run it: exit status, errors, precedence. Looks only at processes that the
//! tests start themselves.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test ends where it fails")]

use std::{
    fs,
    io::Read as _,
    path::Path,
    process::{Child, Command, Output, Stdio},
};

use goroscope_tests::{
    elf::{self, Lie},
    fixture::{self, Mode},
    process::Guard,
    skip,
    speaker::Speaker,
    toolchain::{Go, NEWEST},
};
use serde_json::Value;

const GOROSCOPE: &str = env!("CARGO_BIN_EXE_goroscope");

fn goroscope() -> Command {
    let mut command = Command::new(GOROSCOPE);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("GOROSCOPE_") {
            command.env_remove(name);
        }
    }
    command.stdin(Stdio::null());
    command
}

fn run(arguments: &[&str]) -> Output {
    goroscope().args(arguments).output().unwrap()
}

fn status(output: &Output) -> Option<i32> {
    output.status.code()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// A process that waits until it is dropped.
struct Sleeper(Child);

impl Sleeper {
    fn start() -> Self {
        Self(Command::new("sleep").arg("600").spawn().unwrap())
    }

    fn pid(&self) -> String {
        self.0.id().to_string()
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// One line that says what failed, one that says what to do, and nothing else.
fn assert_is_error(output: &Output, code: i32, parts: &[&str]) {
    let text = stderr(output);
    assert_eq!(status(output), Some(code), "{text}");
    assert!(output.stdout.is_empty(), "{output:?}");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 2, "{text}");
    assert!(lines[0].starts_with("error: ") && lines[1].starts_with("hint: "), "{text}");
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in {text:?}");
    }
}

#[test]
fn help_of_each_command() {
    for arguments in [
        &["--help"][..],
        &["agent", "--help"],
        &["ps", "--help"],
        &["top", "--help"],
        &["check", "--help"],
        &["dump", "--help"],
        &["diff", "--help"],
        &["doctor", "--help"],
    ] {
        let output = run(arguments);
        assert_eq!(status(&output), Some(0), "{arguments:?}");
        assert!(output.stderr.is_empty());
        assert!(stdout(&output).contains("Usage: goroscope"), "{}", stdout(&output));
    }
    assert!(stdout(&run(&["ps", "--help"])).contains("Examples:"));
    assert!(stdout(&run(&["--version"])).starts_with("goroscope "));
}

#[test]
fn wrong_usage_is_2() {
    for arguments in [
        &[][..],
        &["nonsense"],
        &["ps", "--nonsense"],
        &["ps", "--pid", "x"],
        &["ps", "--pid", "0"],
        &["ps", "--output", "xml"],
        &["agent", "--probes", "on"],
        &["agent", "--scan-interval", "never"],
        &["agent", "--top-sites", "-1"],
        &["completions", "nosuchshell"],
        &["top", "--interval", "1ms"],
        &["top", "--output", "xml"],
        &["top", "--exe", "/opt/[a"],
        &["check"],
        &["check", "--settle", "1ms", "--", "true"],
        &["check", "--pid", "1", "--", "true"],
        &["check", "--output", "xml", "--", "true"],
        &["check", "true"],
    ] {
        let output = run(arguments);
        assert_eq!(status(&output), Some(2), "{arguments:?}: {}", stderr(&output));
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
}

#[test]
fn wrong_glob() {
    assert_is_error(&run(&["ps", "--exe", "/opt/[a"]), 2, &["/opt/[a"]);
}

#[test]
fn unknown_key_names_file_and_line() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(&file, "probes: auto\ntop_site: 5\n").unwrap();
    let path = file.path().to_str().unwrap();
    for command in ["agent", "ps", "doctor"] {
        let output = run(&[command, "--config", path]);
        assert_is_error(&output, 2, &[&format!("{path}:2:1"), "unknown key `top_site`"]);
    }
    fs::write(&file, "probes: auto\n\ntop_sites: {a: 5}\n").unwrap();
    assert_is_error(&run(&["agent", "--config", path]), 2, &[&format!("{path}:3:12")]);
    assert_is_error(&run(&["ps", "--config", "/nonexistent.yaml"]), 2, &["/nonexistent.yaml"]);
}

#[test]
fn file_then_environment_then_options() {
    // Which of three sources is heard shows by the process id that is said not to exist.
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(&file, "pid: 4294967291\n").unwrap();
    let path = file.path().to_str().unwrap();
    let ps = |line: &[&str], variable: Option<&str>| {
        let mut command = goroscope();
        command.args(["ps", "--config", path]).args(line);
        command.envs(variable.map(|value| ("GOROSCOPE_PID", value)));
        stderr(&command.output().unwrap())
    };
    assert!(ps(&[], None).contains("no process 4294967291"));
    let heard = ps(&[], Some("4294967292"));
    assert!(heard.contains("4294967292") && !heard.contains("4294967291"), "{heard}");
    let heard = ps(&["--pid", "4294967293"], Some("4294967292"));
    assert!(heard.contains("4294967293") && !heard.contains("4294967292"), "{heard}");
}

#[test]
fn the_environment_is_checked_like_options() {
    let output = goroscope().arg("agent").env("GOROSCOPE_PROBES", "maybe").output().unwrap();
    assert_eq!(status(&output), Some(2), "{}", stderr(&output));
}

#[test]
fn no_such_process() {
    assert_is_error(&run(&["ps", "--pid", "4294967295"]), 1, &["no process 4294967295"]);
}

#[test]
fn a_process_that_is_not_go() {
    let sleeper = Sleeper::start();
    let output = run(&["ps", "--pid", &sleeper.pid()]);
    assert_is_error(&output, 1, &[&sleeper.pid(), "sleep", "is not a Go program"]);
    let json = run(&["ps", "--pid", &sleeper.pid(), "--output", "json"]);
    assert_is_error(&json, 1, &["is not a Go program"]);
}

#[test]
fn top_without_a_terminal() {
    // Standard input and output are none.
    assert_is_error(&run(&["top"]), 1, &["top needs a terminal", "top --once", "--output json"]);
    let output = goroscope().arg("top").env("GOROSCOPE_OUTPUT", "table").output().unwrap();
    assert_is_error(&output, 1, &["top needs a terminal"]);
}

#[test]
fn a_kernel_thread() {
    // Process 2 is kthreadd, but in a pid namespace of our own.
    let is_kernel_thread =
        fs::read_to_string("/proc/2/comm").is_ok_and(|comm| comm == "kthreadd\n");
    if is_kernel_thread {
        assert_is_error(&run(&["ps", "--pid", "2"]), 1, &["process 2 is a kernel thread"]);
    }
}

#[test]
fn a_thread() {
    // The test's own threads: that of this test is not the main one.
    let tid = rustix::thread::gettid().as_raw_nonzero().to_string();
    let parts = [&*tid, "is a thread of process", &std::process::id().to_string()];
    assert_is_error(&run(&["ps", "--pid", &tid]), 1, &parts);
}

/// What `ps` says of the one process; it knows no number that only the runtime could tell.
fn listed_without_numbers(pid: u32) -> Value {
    let output = run(&["ps", "--pid", &pid.to_string(), "--output", "json"]);
    assert_eq!(status(&output), Some(0), "{}", stderr(&output));
    let mut processes: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(processes.as_array().unwrap().len(), 1, "{processes}");
    let process = processes[0].take();
    assert_eq!(process["pid"], pid);
    for number in ["goroutines", "created_total"] {
        assert!(process.as_object().unwrap().contains_key(number), "{process}");
        assert!(process[number].is_null(), "{process}");
    }
    process
}

/// A reason is more than one word.
fn assert_is_reason(process: &Value, way: &str) {
    let reason = process["watch"][way].as_str().unwrap();
    assert!(reason.contains(' '), "{way}: {process}");
}

#[test]
fn what_only_says_that_it_is_go_is_listed_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("liar");
    elf::write(&path, Lie::CorruptPclntab).unwrap();
    let liar = Guard::start(&mut Command::new(&path)).unwrap();
    let process = listed_without_numbers(liar.pid());
    assert_is_reason(&process, "runtime");
    assert_is_reason(&process, "probes");
}

/// Writes a copy of a program of Go, with what follows each occurrence of `mark` replaced.
fn damaged(program: &Path, at: &Path, mark: &[u8], skip: usize, damage: &[u8]) {
    let mut bytes = fs::read(program).unwrap();
    let marks: Vec<usize> = (0..bytes.len() - mark.len() - skip - damage.len())
        .step_by(8)
        .filter(|at| bytes[*at..].starts_with(mark))
        .collect();
    assert!(!marks.is_empty(), "{mark:?} is not in {}", program.display());
    for mark in marks {
        bytes[mark + skip..][..damage.len()].copy_from_slice(damage);
    }
    fs::copy(program, at).unwrap();
    fs::write(at, bytes).unwrap();
}

#[test]
fn a_damaged_go_program_that_runs_is_listed_with_the_reason() {
    let name = "a_damaged_go_program_that_runs_is_listed_with_the_reason";
    let go = match Go::find(NEWEST) {
        Ok(go) => go,
        Err(error) => return skip::note(name, &error.to_string()),
    };
    let program = fixture::build("storm", &go, Mode::Stripped).unwrap();
    let folder = tempfile::tempdir().unwrap();
    // The runtime takes none of these from where they are damaged: the offsets in the header of the
    // function table, the length of the version, the version.
    let table = [0xf1, 0xff, 0xff, 0xff, 0, 0, 1, 8];
    let information = b"\xff Go buildinf:";
    for (what, mark, skip, damage) in [
        ("table", table.as_slice(), 32, [0xff; 40].as_slice()),
        ("information", information, 32, &[0xff; 9]),
        ("version", information, 33, b"go1.9999"),
    ] {
        let path = folder.path().join(what);
        damaged(&program, &path, mark, skip, damage);
        let target = Speaker::start(&path, &[] as &[&str]).unwrap();
        let process = listed_without_numbers(target.pid());
        println!("{what}: {process:#}");
        assert_is_reason(&process, "runtime");
        target.quit().unwrap();
    }
}

#[test]
fn excluded() {
    let sleeper = Sleeper::start();
    let output = run(&["ps", "--pid", &sleeper.pid(), "--exclude-exe", "*"]);
    assert_is_error(&output, 1, &["excluded"]);
}

#[test]
fn a_process_that_is_deleted_on_disk_is_named_without_the_mark() {
    let folder = tempfile::tempdir().unwrap();
    let name = folder.path().join("na\x1b[31mme");
    // By another process: a child that another test starts meanwhile would inherit the descriptor
    // that is open for writing, and the copy could not be run.
    assert!(Command::new("cp").arg("/bin/sleep").arg(&name).status().unwrap().success());
    let sleeper = Sleeper(Command::new(&name).arg("600").spawn().unwrap());
    fs::remove_file(&name).unwrap();
    let output = run(&["ps", "--pid", &sleeper.pid()]);
    assert_is_error(&output, 1, &[r"na\u{1b}[31mme) is not a Go program"]);
}

#[test]
fn doctor() {
    let output = run(&["doctor"]);
    let text = stdout(&output);
    for name in [
        "kernel",
        "btf",
        "bpf",
        "lockdown",
        "perf_event_paranoid",
        "yama",
        "pid namespace",
        "cgroups",
    ] {
        assert!(text.contains(&format!("  {name}")), "{text}");
    }
    assert!(!text.contains('\x1b'), "colour belongs on a terminal");
    let json = run(&["doctor", "--output", "json"]);
    let checks: Value = serde_json::from_slice(&json.stdout).unwrap();
    let checks = checks.as_array().unwrap();
    let verdicts: Vec<&str> =
        checks.iter().map(|check| check["verdict"].as_str().unwrap()).collect();
    assert!(verdicts.iter().all(|verdict| ["pass", "warn", "fail"].contains(verdict)));
    let expected = i32::from(verdicts.contains(&"fail"));
    assert_eq!((status(&output), status(&json)), (Some(expected), Some(expected)));
    for check in checks {
        for key in ["name", "found", "meaning"] {
            assert!(!check[key].as_str().unwrap().is_empty(), "{check}");
        }
    }
}

#[test]
fn completions_and_man_pages() {
    for shell in ["bash", "zsh", "fish"] {
        let script = stdout(&run(&["completions", shell]));
        assert!(script.contains("exclude-cgroup"), "{shell}");
    }
    assert!(stdout(&run(&["man"])).contains(".TH goroscope 1"));
    let folder = tempfile::tempdir().unwrap();
    let into = folder.path().join("man1");
    assert_eq!(status(&run(&["man", into.to_str().unwrap()])), Some(0));
    let mut pages: Vec<_> = fs::read_dir(&into)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    pages.sort();
    let commands =
        ["agent", "check", "completions", "diff", "doctor", "dump", "man", "ps", "top", "trace"];
    let mut names: Vec<_> = commands.iter().map(|name| format!("goroscope-{name}.1")).collect();
    names.push("goroscope.1".to_owned());
    assert_eq!(pages, names);
    let agent = fs::read_to_string(into.join("goroscope-agent.1")).unwrap();
    assert!(agent.contains("GOROSCOPE_LISTEN"), "{agent}");
    let output = run(&["man", "/proc/nonexistent"]);
    assert_eq!(status(&output), Some(1));
    assert!(stderr(&output).starts_with("error: cannot make /proc/nonexistent"), "{output:?}");
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let mut child = goroscope()
        .args(["completions", "bash"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let status = child.wait().unwrap();
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(said, "");
    assert!(status.success());
}

#[test]
fn an_address_that_is_none() {
    // Without rights the agent refuses earlier, for another reason.
    let output = run(&["agent", "--listen", "nowhere", "--pid", "4294967295"]);
    let text = stderr(&output);
    assert!(text.contains("error: "), "{text}");
    if text.contains("cannot listen") {
        assert_eq!(status(&output), Some(2), "{text}");
        assert!(text.contains("nowhere"), "{text}");
    }
}
