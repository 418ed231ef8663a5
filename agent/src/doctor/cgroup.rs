//! Which cgroups there are: units and containers are known by them.

use super::{Check, Host};

pub(super) fn hierarchies(host: &Host) -> Check {
    const NAME: &str = "cgroups";
    const MEANING: &str = "units and containers are told by them";
    // The process's own list names the hierarchies, whether or not they are mounted here.
    let Some(own) = host.proc("self/cgroup").filter(|own| !own.is_empty()) else {
        return Check::warn(
            NAME,
            "/proc/self/cgroup is empty or missing",
            "units and containers are not known, and --cgroup selects nothing",
        )
        .remedy("run a kernel with CONFIG_CGROUPS=y");
    };
    let unified = own.lines().any(|line| line.starts_with("0::"));
    let legacy = own.lines().any(|line| !line.starts_with("0::"));
    match (unified, legacy) {
        (true, true) => Check::pass(NAME, "v1 and v2 (hybrid)", MEANING),
        (true, false) => Check::pass(NAME, "v2", MEANING),
        _ => Check::pass(NAME, "v1", MEANING),
    }
}
