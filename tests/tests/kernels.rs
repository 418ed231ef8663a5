//! The leak gate on kernels of real leaks, one for each thing that goroutines wait for in them. All of
//! them: `cargo xtask bench leaks`, and `docs/leak-recall.md`.

use anyhow::{Result, ensure};
use goroscope_tests::{
    kernels::{Kernels, Run},
    requires, skip_unless,
    toolchain::NEWEST,
};

/// Kernels that leak each time.
const KERNELS: [&str; 8] = [
    // chan receive
    "Cockroach25456",
    // chan send
    "Kubernetes5316",
    // select
    "Kubernetes70277",
    // sync.Mutex.Lock
    "Cockroach584",
    // sync.RWMutex.RLock, sync.RWMutex.Lock
    "Etcd6708",
    "Etcd5509",
    // sync.WaitGroup.Wait
    "Moby21233",
    // sync.Cond.Wait
    "Moby30408",
];
/// Go's own marks can come into the last look, or the first one late; then it is no use.
const TRIES: u32 = 5;

#[test]
fn kernels_of_real_leaks_are_found_at_their_lines() -> Result<()> {
    skip_unless!("kernels_of_real_leaks_are_found_at_their_lines", requires::go(NEWEST));
    let kernels = Kernels::build()?;
    ensure!(kernels.names.len() > 60, "{} kernels", kernels.names.len());
    for name in KERNELS {
        let mut run = Run { spoiled: true, ..Run::default() };
        for _ in 0..TRIES {
            if run.spoiled {
                run = kernels.run(name)?;
            }
        }
        ensure!(!run.spoiled, "{name}: it was no use, each time: {run:?}");
        ensure!(run.left().count() > 0, "{name} did not leak: {run:?}");
        ensure!(run.left().all(|left| left.by_check == left.blocked), "{name}: {run:?}");
        ensure!(run.wrong().next().is_none(), "{name}: {run:?}");
    }
    Ok(())
}
