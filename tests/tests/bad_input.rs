//! Whatever it is pointed at, the agent says clearly what is wrong, and goes on watching the rest.

use std::{
    fs,
    net::TcpListener,
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use goroscope_tests::{
    agent::{self, Agent},
    elf::{self, Lie},
    fixture::{self, Mode},
    poll,
    process::Guard,
    requires,
    sites::Sum,
    skip, skip_unless,
    speaker::Speaker,
    toolchain::{Go, NEWEST},
    workspace,
};
use tempfile::TempDir;

fn go() -> Result<Go> {
    Go::find(NEWEST)
}

/// A program that is fine.
fn healthy() -> Result<Speaker> {
    Speaker::start(&fixture::build("workloads", &go()?, Mode::Normal)?, &["churn"])
}

/// It is watched: its runtime is read, and the probes count exactly. Its work costs more than the
/// probes' budget, so the agent must not have one.
fn is_watched(agent: &Agent, target: &mut Speaker) -> Result<()> {
    let pid = target.pid();
    agent.wait_read(pid)?;
    agent.wait_probed(pid)?;
    let users = || Ok::<_, anyhow::Error>(Sum::of(&agent.sites(pid)?, |site| !site.system));
    let before = users()?;
    let report = target.work()?;
    let expected = Sum { created: report.created, exited: report.exited };
    poll::until("the healthy program is counted", Duration::from_secs(3), || {
        Ok((users()?.since(before) == expected).then_some(()))
    })?;
    let known = agent.process(pid)?.context("the agent does not list it")?;
    let live = known.goroutines;
    ensure!(live == Some(report.num_goroutine), "{live:?} live, not {}", report.num_goroutine);
    Ok(())
}

/// Runs a command to its end; one that does not end by itself is killed.
fn output(command: &mut Command) -> Result<Output> {
    // Even a user who asks for backtraces gets none for what is not a bug.
    command.env("RUST_BACKTRACE", "1");
    let mut guard =
        Guard::start(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()))?;
    let child = guard.child();
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let pipes = (child.stdout.take().context("no pipe")?, child.stderr.take().context("no pipe")?);
    let status = guard.wait(Duration::from_secs(20))?;
    let (mut out, mut err) = pipes;
    std::io::Read::read_to_end(&mut out, &mut stdout)?;
    std::io::Read::read_to_end(&mut err, &mut stderr)?;
    Ok(Output { status, stdout, stderr })
}

/// It failed, with a message that has all these words and no trace of a crash.
fn fails_saying(output: &Output, codes: &[i32], words: &[&str]) -> Result<()> {
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let code = output.status.code();
    ensure!(code.is_some_and(|code| codes.contains(&code)), "{}: {text}", output.status);
    for word in words {
        ensure!(text.to_lowercase().contains(&word.to_lowercase()), "no {word:?} in: {text}");
    }
    for crash in ["panicked", "RUST_BACKTRACE", "stack backtrace"] {
        ensure!(!text.contains(crash), "{crash:?} in: {text}");
    }
    Ok(())
}

/// No process that the agent knows nothing good of makes it fall over.
fn stays_calm(agent: &mut Agent) -> Result<()> {
    ensure!(agent.guard().ended()?.is_none(), "the agent ended: {}", agent.log().join("\n"));
    let log = agent.log().join("\n");
    ensure!(!log.contains("panicked"), "{log}");
    Ok(())
}

/// A command beside the program under test that nobody may read by accident: readable by all.
fn public_copy() -> Result<(TempDir, PathBuf)> {
    let folder = tempfile::tempdir()?;
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))?;
    let copy = folder.path().join("goroscope");
    fs::copy(workspace::goroscope()?, &copy)?;
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o755))?;
    Ok((folder, copy))
}

#[test]
fn without_root_the_agent_says_what_it_needs() -> Result<()> {
    const NAME: &str = "without_root_the_agent_says_what_it_needs";
    if !rustix::process::geteuid().is_root() {
        skip::note(NAME, "needs root, to become somebody else");
        return Ok(());
    }
    let (_folder, goroscope) = public_copy()?;
    let mut command = Command::new(&goroscope);
    let own = std::process::id().to_string();
    command.args(["agent", "--listen", "127.0.0.1:0", "--pid", &own]).uid(65_534).gid(65_534);
    fails_saying(&output(&mut command)?, &[1], &["root"])
}

#[test]
fn without_btf_the_agent_counts_goroutines_all_the_same() -> Result<()> {
    const NAME: &str = "without_btf_the_agent_counts_goroutines_all_the_same";
    skip_unless!(NAME, requires::kernel().and_then(|()| requires::command("unshare")));
    let mut target = healthy()?;
    let known = agent::command(&["--pid", &target.pid().to_string(), "--probes", "always"])?;
    // In a mount namespace of its own, with an empty folder where the kernel's types would be.
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "sh", "-c", "mount -t tmpfs none /sys/kernel/btf && exec \"$0\" \"$@\""])
        .arg(known.get_program())
        .args(known.get_args())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut agent = Agent::start_command(&mut command)?;
    is_watched(&agent, &mut target)?;
    let log = agent.log().join("\n");
    ensure!(log.to_lowercase().contains("btf"), "the log: {log}");
    stays_calm(&mut agent)
}

#[test]
fn pids_that_are_no_go_process_are_named_and_the_rest_is_watched() -> Result<()> {
    const NAME: &str = "pids_that_are_no_go_process_are_named_and_the_rest_is_watched";
    skip_unless!(NAME, requires::kernel());
    let mut target = healthy()?;
    let sleeper = Guard::start(Command::new("sleep").arg("60"))?;
    let gone = {
        let mut brief = Guard::start(&mut Command::new("true"))?;
        brief.wait(Duration::from_secs(5))?;
        brief.pid()
    };
    let mut pids = vec![target.pid(), sleeper.pid(), gone];
    pids.extend(kernel_thread());
    let mut arguments: Vec<String> = ["--probes", "always"].map(str::to_owned).into();
    arguments.extend(pids.iter().flat_map(|pid| ["--pid".to_owned(), pid.to_string()]));
    let mut agent = Agent::start(&arguments)?;
    is_watched(&agent, &mut target)?;
    for pid in pids.into_iter().skip(1) {
        let process = agent.process(pid)?;
        let ok = process.as_ref().is_none_or(|process| process.watch.probes != "ok");
        ensure!(ok, "{pid} is no Go process and is watched: {process:?}");
    }
    stays_calm(&mut agent)
}

/// Linux starts its threads as children of process 2; there is nothing in them to be read.
fn kernel_thread() -> Option<u32> {
    let comm = fs::read_to_string("/proc/2/comm").ok()?;
    (comm.trim() == "kthreadd").then_some(2)
}

#[test]
fn processes_that_die_while_they_are_looked_at_do_no_harm() -> Result<()> {
    const NAME: &str = "processes_that_die_while_they_are_looked_at_do_no_harm";
    skip_unless!(NAME, requires::kernel());
    let folder = tempfile::tempdir()?;
    let program = folder.path().join("victim");
    let built = fixture::build("short", &go()?, Mode::Normal)?;
    let target_path = folder.path().join("healthy");
    fs::copy(fixture::build("workloads", &go()?, Mode::Normal)?, &target_path)?;
    let glob = folder.path().join("*");
    let mut agent =
        Agent::start(&["--exe", glob.to_str().context("not UTF-8")?, "--probes", "always"])?;
    for round in 0..60 {
        // Each time another file, so that it is inspected anew.
        let _ = fs::remove_file(&program);
        fs::copy(&built, &program)?;
        let victim = Guard::start(Command::new(&program).arg("10s"))?;
        thread::sleep(Duration::from_millis(round / 2));
        drop(victim);
    }
    let mut target = Speaker::start(&target_path, &["churn"])?;
    is_watched(&agent, &mut target)?;
    stays_calm(&mut agent)
}

#[test]
fn files_that_lie_degrade_only_themselves() -> Result<()> {
    const NAME: &str = "files_that_lie_degrade_only_themselves";
    skip_unless!(NAME, requires::kernel());
    let folder = tempfile::tempdir()?;
    let mut liars = Vec::new();
    for lie in [Lie::Class32, Lie::BigEndian, Lie::Truncated, Lie::CorruptPclntab] {
        let path = folder.path().join(format!("{lie:?}"));
        elf::write(&path, lie)?;
        let mut guard = Guard::start(&mut Command::new(&path))?;
        thread::sleep(Duration::from_millis(20));
        ensure!(guard.ended()?.is_none(), "{lie:?} does not run");
        liars.push((lie, guard));
    }
    let path = folder.path().join("healthy");
    fs::copy(fixture::build("workloads", &go()?, Mode::Normal)?, &path)?;
    let mut target = Speaker::start(&path, &["churn"])?;
    let glob = folder.path().join("*");
    let mut agent =
        Agent::start(&["--exe", glob.to_str().context("not UTF-8")?, "--probes", "always"])?;
    is_watched(&agent, &mut target)?;
    for (lie, liar) in &liars {
        let process = agent.process(liar.pid())?;
        let ok = process.as_ref().is_none_or(|process| process.watch.probes != "ok");
        ensure!(ok, "{lie:?} is watched: {process:?}");
        if *lie == Lie::CorruptPclntab {
            // It says that it is Go, so it is listed, with the reason why it cannot be watched.
            let process = process.with_context(|| format!("{lie:?} is not listed"))?;
            ensure!(process.watch.probes.contains(' '), "{lie:?} has no reason: {process:?}");
        }
    }
    stays_calm(&mut agent)
}

#[test]
fn a_deleted_and_a_replaced_file_are_watched() -> Result<()> {
    const NAME: &str = "a_deleted_and_a_replaced_file_are_watched";
    skip_unless!(NAME, requires::kernel());
    let folder = tempfile::tempdir()?;
    let built = fixture::build("workloads", &go()?, Mode::Normal)?;
    let start = |name: &str| -> Result<(PathBuf, Speaker)> {
        let path = folder.path().join(name);
        fs::copy(&built, &path)?;
        let speaker = Speaker::start(&path, &["churn"])?;
        Ok((path, speaker))
    };
    let (deleted_path, mut deleted) = start("deleted")?;
    let (replaced_path, mut replaced) = start("replaced")?;
    fs::remove_file(&deleted_path)?;
    fs::remove_file(&replaced_path)?;
    fs::write(&replaced_path, "not a program")?;
    let pids = [deleted.pid().to_string(), replaced.pid().to_string()];
    let mut agent = Agent::start(&["--pid", &pids[0], "--pid", &pids[1], "--probes", "always"])?;
    is_watched(&agent, &mut deleted)?;
    is_watched(&agent, &mut replaced)?;
    stays_calm(&mut agent)
}

#[test]
fn a_port_in_use_is_an_error() -> Result<()> {
    let taken = TcpListener::bind("127.0.0.1:0")?;
    let address = taken.local_addr()?.to_string();
    let mut command = Command::new(workspace::goroscope()?);
    command.args(["agent", "--pid", &std::process::id().to_string(), "--listen", &address]);
    // Without root it ends sooner, for another reason, which another test holds.
    skip_unless!("a_port_in_use_is_an_error", requires::kernel());
    fails_saying(&output(&mut command)?, &[1], &[&address, "in use"])
}

fn with_config(text: &str) -> Result<Output> {
    let folder = tempfile::tempdir()?;
    let path: &Path = &folder.path().join("goroscope.yaml");
    fs::write(path, text)?;
    let own = std::process::id().to_string();
    let mut command = Command::new(workspace::goroscope()?);
    command.args(["agent", "--pid", &own, "--listen", "127.0.0.1:0", "--config"]).arg(path);
    output(&mut command)
}

#[test]
fn an_unknown_key_in_the_configuration_is_an_error_that_names_the_line() -> Result<()> {
    const NAME: &str = "an_unknown_key_in_the_configuration_is_an_error_that_names_the_line";
    skip_unless!(NAME, requires::kernel());
    let output = with_config("# a comment\nno_such_key: 1\n")?;
    fails_saying(&output, &[1, 2], &["no_such_key", "goroscope.yaml:2:"])
}

#[test]
fn a_malformed_configuration_is_an_error_that_names_the_line() -> Result<()> {
    const NAME: &str = "a_malformed_configuration_is_an_error_that_names_the_line";
    skip_unless!(NAME, requires::kernel());
    let output = with_config("# a comment\n  : [\n")?;
    fails_saying(&output, &[1, 2], &["goroscope.yaml:2:"])
}

#[test]
fn values_of_the_wrong_kind_in_the_configuration_are_named_with_their_place() -> Result<()> {
    const NAME: &str = "values_of_the_wrong_kind_in_the_configuration_are_named_with_their_place";
    skip_unless!(NAME, requires::kernel());
    for (text, place, word) in [
        ("probes: sometimes\n", ":1:9:", "sometimes"),
        ("top_sites: {a: 1}\n", ":1:12:", "one value"),
        ("http_dumps: 7\n", ":1:13:", "boolean"),
        ("listen: [127.0.0.1:0, {x: y}]\n", ":1:23:", "one value"),
        ("max_sites: -1\n", ":1:12:", "-1"),
        ("scan_interval: 10 parsecs\n", ":1:16:", "parsecs"),
        ("alerts: 3\n", ":1:9:", "alertsconfig"),
        ("alerts:\n  goroutines:\n    above: many\n", ":3:12:", "many"),
        ("\0\u{1b}[31m: 1\n", "", "configuration"),
    ] {
        let output = with_config(text)?;
        fails_saying(&output, &[2], &[&format!("goroscope.yaml{place}"), word])?;
        ensure!(!output.stderr.contains(&0x1b), "{text:?}: an escape sequence gets through");
    }
    Ok(())
}

#[test]
fn a_configuration_that_cannot_be_read_is_a_clear_error() -> Result<()> {
    const NAME: &str = "a_configuration_that_cannot_be_read_is_a_clear_error";
    skip_unless!(NAME, requires::root());
    let (folder, goroscope) = public_copy()?;
    let secret = folder.path().join("secret.yaml");
    fs::write(&secret, "")?;
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o000))?;
    let binary = folder.path().join("binary.yaml");
    fs::write(&binary, [0xff, 0xfe, 0x00])?;
    fs::set_permissions(&binary, fs::Permissions::from_mode(0o644))?;
    let absent = folder.path().join("absent.yaml");
    for (path, why) in [
        (secret.as_path(), "permission denied"),
        (folder.path(), "is a directory"),
        (&binary, "utf-8"),
        (&absent, "no such file"),
    ] {
        let mut command = Command::new(&goroscope);
        command.args(["agent", "--listen", "127.0.0.1:0", "--config"]).arg(path);
        command.uid(65_534).gid(65_534);
        let named = path.to_str().context("not UTF-8")?;
        fails_saying(&output(&mut command)?, &[2], &[named, why, "--config"])?;
    }
    Ok(())
}

#[test]
fn a_port_for_root_is_a_clear_error_for_others() -> Result<()> {
    const NAME: &str = "a_port_for_root_is_a_clear_error_for_others";
    let first = fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start");
    let is_for_root =
        first.is_ok_and(|first| first.trim().parse().is_ok_and(|first: u16| first > 80));
    let open = || is_for_root.then_some(()).ok_or("port 80 is for everybody here".to_owned());
    skip_unless!(
        NAME,
        requires::root().and_then(|()| requires::command("setpriv")).and_then(|()| open())
    );
    let (_folder, goroscope) = public_copy()?;
    let mut command = goroscope_tests::user::command(54_321, &["sys_ptrace"], &goroscope);
    let own = std::process::id().to_string();
    command.args(["agent", "--probes", "off", "--pid", &own, "--listen", "127.0.0.1:80"]);
    let words = ["127.0.0.1:80", "CAP_NET_BIND_SERVICE", "--listen", "goroscope.socket"];
    fails_saying(&output(&mut command)?, &[1], &words)
}

#[test]
fn wrong_usage_has_its_own_exit_status() -> Result<()> {
    for arguments in
        [&["agent", "--pid", "no number"][..], &["agent", "--no-such-option"], &["no-such-command"]]
    {
        let mut command = Command::new(workspace::goroscope()?);
        fails_saying(&output(command.args(arguments))?, &[2], &[])?;
    }
    Ok(())
}
