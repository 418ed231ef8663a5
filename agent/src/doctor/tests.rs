//! The checks against made-up hosts.

use std::{fs, os::unix::fs::symlink};

use super::*;

const ALL: &str = "000001ffffffffff";
const NONE: &str = "0000000000000000";

/// A made-up host on which all is well, to be spoilt.
struct MadeUp(tempfile::TempDir, Trials);

impl MadeUp {
    fn new() -> Self {
        let trials = Trials { load_program: || Ok(()), open_uprobe: |_| Ok(()) };
        let made_up = Self(tempfile::tempdir().unwrap(), trials);
        made_up
            .file("proc/sys/kernel/osrelease", "6.12.40-amd64\n")
            .file("proc/sys/kernel/unprivileged_bpf_disabled", "2\n")
            .file("proc/sys/kernel/perf_event_paranoid", "2\n")
            .file("proc/self/cgroup", "0::/\n")
            .file("proc/self/limits", &limits("8388608", "1048576"))
            .file("sys/kernel/btf/vmlinux", "")
            .file("sys/bus/event_source/devices/uprobe/type", "8\n")
            .capabilities(ALL)
            .namespace("pid:[4026531836]");
        made_up
    }

    fn file(&self, path: &str, text: &str) -> &Self {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    fn without(&self, path: &str) -> &Self {
        fs::remove_file(self.0.path().join(path)).unwrap();
        self
    }

    fn capabilities(&self, set: &str) -> &Self {
        self.file("proc/self/status", &format!("Name:\tx\nCapPrm:\t{ALL}\nCapEff:\t{set}\n"))
    }

    fn namespace(&self, link: &str) -> &Self {
        let path = self.0.path().join("proc/self/ns/pid");
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let _ = fs::remove_file(&path);
        symlink(link, path).unwrap();
        self
    }

    fn report(&self) -> Report {
        run(&Host::new(self.0.path().join("proc"), self.0.path().join("sys"), self.1))
    }

    fn check(&self, name: &str) -> Check {
        let report = self.report();
        report.checks.into_iter().find(|check| check.name == name).unwrap()
    }
}

fn limits(memlock: &str, files: &str) -> String {
    format!(
        "Limit                     Soft Limit           Hard Limit           Units     \n\
         Max open files            {files}              1048576              files     \n\
         Max locked memory         {memlock}            8388608              bytes     \n"
    )
}

#[test]
fn all_is_well() {
    let report = MadeUp::new().report();
    let spoilt: Vec<_> =
        report.checks.iter().filter(|check| check.verdict != Verdict::Pass).collect();
    assert!(spoilt.is_empty(), "{spoilt:?}");
    assert!(!report.has_failures() && !report.nothing_works());
}

#[test]
fn what_is_not_well_has_a_way_out() {
    let host = MadeUp::new();
    host.capabilities(NONE)
        .file("proc/sys/kernel/osrelease", "4.19.0")
        .without("sys/kernel/btf/vmlinux");
    for check in host.report().checks {
        let well = check.verdict == Verdict::Pass;
        assert_eq!(check.remedy.is_none(), well, "{check:?}");
        assert!(!check.meaning.is_empty() && !check.found.is_empty(), "{check:?}");
    }
}

#[test]
fn kernel() {
    let host = MadeUp::new();
    for (release, verdict) in [
        ("5.4.0", Verdict::Fail),
        ("5.14.0", Verdict::Fail),
        ("5.14.0-503.el9.x86_64", Verdict::Warn),
        ("5.15.0", Verdict::Pass),
        ("six", Verdict::Warn),
    ] {
        host.file("proc/sys/kernel/osrelease", release);
        assert_eq!(host.check("kernel").verdict, verdict, "{release}");
    }
    host.without("sys/kernel/btf/vmlinux");
    assert_eq!(host.check("btf").verdict, Verdict::Fail);
}

#[test]
fn bpf_is_tried() {
    let mut host = MadeUp::new();
    host.1.load_program = || Err(Refusal::NotPermitted);
    assert!(host.check("bpf").found.contains("not permitted"));
    host.1.load_program = || Err(Refusal::NotBuiltIn);
    assert!(host.check("bpf").found.contains("no bpf(2)"));
    host.1.load_program = || Err(Refusal::Other(libc::EINVAL));
    assert!(host.check("bpf").found.contains("Invalid argument"));
    let report = host.report();
    assert!(report.has_failures());
    // Memory can still be read.
    assert!(!report.nothing_works());
}

#[test]
fn nothing_works() {
    let mut host = MadeUp::new();
    host.1.load_program = || Err(Refusal::NotPermitted);
    host.capabilities(NONE).file("proc/sys/kernel/yama/ptrace_scope", "1\n");
    assert!(host.report().nothing_works());
    host.capabilities(ALL).file("proc/sys/kernel/yama/ptrace_scope", "3\n");
    assert!(host.report().nothing_works());
    host.1.load_program = || Ok(());
    assert!(!host.report().nothing_works());
    host.file("proc/sys/kernel/osrelease", "5.4.0");
    assert!(host.report().nothing_works());
}

#[test]
fn whose_memory_can_be_read() {
    let host = MadeUp::new();
    for (capabilities, scope, memory) in [
        (NONE, None, Memory::Own),
        (NONE, Some("0"), Memory::Own),
        (NONE, Some("1"), Memory::Closed),
        (NONE, Some("4"), Memory::Closed),
        (ALL, Some("1"), Memory::All),
        (ALL, Some("2"), Memory::All),
        (ALL, Some("3"), Memory::Closed),
    ] {
        host.capabilities(capabilities);
        if let Some(scope) = scope {
            host.file("proc/sys/kernel/yama/ptrace_scope", scope);
        }
        assert_eq!(host.report().memory, memory, "{capabilities} {scope:?}");
    }
}

#[test]
fn an_ordinary_user_has_processes_of_its_own() {
    let mut host = MadeUp::new();
    host.1.load_program = || Err(Refusal::NotPermitted);
    host.capabilities(NONE);
    assert!(host.report().only_own_works() && !host.report().nothing_works());
    host.capabilities(ALL);
    assert!(!host.report().only_own_works());
}

#[test]
fn uprobes() {
    let mut host = MadeUp::new();
    host.1.open_uprobe = |kind| {
        assert_eq!(kind, 8);
        Err(Refusal::NotPermitted)
    };
    assert_eq!(host.check("uprobe permission").verdict, Verdict::Fail);
    host.without("sys/bus/event_source/devices/uprobe/type");
    assert_eq!(host.check("uprobes").verdict, Verdict::Fail);
    assert_eq!(host.check("uprobe permission").verdict, Verdict::Warn);
}

#[test]
fn capabilities() {
    let host = MadeUp::new();
    // CAP_BPF and CAP_PERFMON only.
    host.capabilities("000000c000000000");
    assert_eq!(host.check("CAP_BPF, CAP_PERFMON").verdict, Verdict::Pass);
    assert_eq!(host.check("CAP_SYS_ADMIN").verdict, Verdict::Fail);
    assert_eq!(host.check("CAP_SYS_PTRACE").verdict, Verdict::Fail);
    assert_eq!(host.check("CAP_DAC_READ_SEARCH").verdict, Verdict::Warn);
    host.file("proc/sys/kernel/osrelease", "6.12.38");
    assert_eq!(host.check("CAP_SYS_ADMIN").verdict, Verdict::Warn);
    // CAP_SYS_ADMIN only: includes the first two, not the others.
    host.capabilities("0000000000200000");
    assert_eq!(host.check("CAP_BPF, CAP_PERFMON").verdict, Verdict::Pass);
    assert_eq!(host.check("CAP_SYS_PTRACE").verdict, Verdict::Fail);
    host.capabilities("0000008000000000");
    assert_eq!(host.check("CAP_BPF, CAP_PERFMON").found, "missing: CAP_PERFMON");
    host.capabilities("nonsense");
    assert_eq!(host.check("CAP_BPF, CAP_PERFMON").verdict, Verdict::Fail);
}

#[test]
fn settings_of_the_kernel() {
    let host = MadeUp::new();
    let lockdown = "sys/kernel/security/lockdown";
    for (text, verdict) in [
        ("[none] integrity confidentiality", Verdict::Pass),
        ("none [integrity] confidentiality", Verdict::Pass),
        ("none integrity [confidentiality]", Verdict::Fail),
        ("what?", Verdict::Warn),
    ] {
        host.file(lockdown, text);
        assert_eq!(host.check("lockdown").verdict, verdict, "{text}");
    }
    let paranoid = "proc/sys/kernel/perf_event_paranoid";
    host.file(paranoid, "4\n");
    assert_eq!(host.check("perf_event_paranoid").verdict, Verdict::Pass);
    host.capabilities(NONE);
    assert_eq!(host.check("perf_event_paranoid").verdict, Verdict::Warn);
    host.file(paranoid, "-1\n");
    assert_eq!(host.check("perf_event_paranoid").verdict, Verdict::Pass);
    for (scope, verdict) in
        [("0", Verdict::Pass), ("1", Verdict::Warn), ("3", Verdict::Fail), ("x", Verdict::Warn)]
    {
        host.file("proc/sys/kernel/yama/ptrace_scope", scope);
        assert_eq!(host.check("yama ptrace_scope").verdict, verdict, "{scope}");
    }
}

#[test]
fn surroundings() {
    let host = MadeUp::new();
    host.namespace("pid:[4026532000]");
    assert_eq!(host.check("pid namespace").verdict, Verdict::Warn);
    for (text, found) in [
        ("0::/x", "v2"),
        ("1:cpu:/\n0::/\n", "v1 and v2 (hybrid)"),
        ("2:memory:/\n1:cpu:/\n", "v1"),
    ] {
        host.file("proc/self/cgroup", text);
        assert_eq!(host.check("cgroups").found, found);
    }
    host.without("proc/self/cgroup");
    assert_eq!(host.check("cgroups").verdict, Verdict::Warn);
}

#[test]
fn resource_limits() {
    let host = MadeUp::new();
    host.file("proc/self/limits", &limits("65536", "1024"));
    assert_eq!(host.check("locked memory").verdict, Verdict::Pass);
    assert_eq!(host.check("open files").verdict, Verdict::Warn);
    host.file("proc/sys/kernel/osrelease", "5.10.0");
    assert_eq!(host.check("locked memory").verdict, Verdict::Warn);
    host.file("proc/self/limits", &limits("unlimited", "unlimited"));
    assert_eq!(host.check("locked memory").verdict, Verdict::Pass);
    assert_eq!(host.check("open files").found, "no limit");
}

#[test]
fn an_empty_host_has_no_panic_and_no_pass_it_cannot_know() {
    let empty = tempfile::tempdir().unwrap();
    let trials = Trials {
        load_program: || Err(Refusal::NotPermitted),
        open_uprobe: |_| Err(Refusal::NotPermitted),
    };
    let report = run(&Host::new(empty.path(), empty.path(), trials));
    assert!(report.has_failures() && report.nothing_works());
}

#[test]
fn the_kernel_that_runs_this_answers() {
    // Whether it says yes or no depends on who runs this; a wrong call would end in neither.
    let trials = Trials::real();
    for answer in [(trials.load_program)(), (trials.open_uprobe)(8)] {
        assert!(!matches!(answer, Err(Refusal::Other(_))), "{answer:?}");
    }
    // As root, with all capabilities, only a wrong call is refused.
    if capability::has(&Host::this(), capability::SYS_ADMIN) {
        assert_eq!((trials.load_program)(), Ok(()));
    }
}
