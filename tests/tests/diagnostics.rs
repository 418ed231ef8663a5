//! What the kernel programs have to say: at `-vv`, and not otherwise.

use std::{path::Path, process::Command, time::Duration};

use anyhow::Result;
use goroscope_tests::{
    agent::Agent,
    fixture::{self, Mode},
    poll, requires, skip_unless,
    toolchain::{Go, NEWEST},
};

/// Starts an agent with these options, lets a program start and end, and gives the agent's log.
fn log_of(options: &[&str], path: &Path, pid_line: bool) -> Result<(Vec<String>, u32)> {
    let mut arguments = vec!["--exe", path.to_str().unwrap_or_default()];
    arguments.extend(options);
    let agent = Agent::start(&arguments)?;
    let mut child = Command::new(path).arg("30ms").stdin(std::process::Stdio::null()).spawn()?;
    let pid = child.id();
    child.wait()?;
    let said = format!("process {pid} ends");
    // Where nothing is to be said, the end of the process in the agent's own log must do.
    let wanted = if pid_line { said } else { "process gone".to_owned() };
    poll::until("the log tells", Duration::from_secs(5), || {
        Ok(agent.log().iter().any(|line| line.contains(&wanted)).then_some(()))
    })?;
    Ok((agent.log(), pid))
}

#[test]
fn the_kernel_programs_speak_at_vv_only() -> Result<()> {
    skip_unless!("the_kernel_programs_speak_at_vv_only", requires::kernel());
    let path = fixture::build("short", &Go::find(NEWEST)?, Mode::Normal)?;
    let (loud, pid) = log_of(&["-vv"], &path, true)?;
    let execs = format!("process {pid} execs");
    assert!(loud.iter().any(|line| line.contains(&execs)), "{loud:#?}");
    let (quiet, pid) = log_of(&["-v"], &path, false)?;
    let execs = format!("process {pid} execs");
    assert!(!quiet.iter().any(|line| line.contains(&execs)), "{quiet:#?}");
    Ok(())
}
