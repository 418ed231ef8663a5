//! Pages of other sites, whose names point to this host.

use anyhow::{Result, ensure};
use goroscope_tests::{agent::Agent, http, requires, skip_unless, toolchain::NEWEST};

use crate::served::program;

fn status(agent: &Agent, host: &str, path: &str) -> Result<u16> {
    let mut stream = std::net::TcpStream::connect(agent.address())?;
    Ok(http::exchange(&mut stream, host, path, &[])?.status)
}

#[test]
fn names_of_others_are_refused() -> Result<()> {
    skip_unless!("names_of_others_are_refused", requires::go(NEWEST));
    let (_program, pid) = program()?;
    let agent =
        Agent::start(&["--pid", &pid, "--probes", "off", "--http-host", "web.test,b.test"])?;
    let own = rustix::system::uname().nodename().to_string_lossy().into_owned();
    for (host, wanted) in [
        ("127.0.0.1:4676", 200),
        ("localhost:1", 200),
        ("[::1]:4676", 200),
        (&*own, 200),
        ("web.test:4676", 200),
        ("B.test", 200),
        ("evil.test:4676", 421),
        ("web.test.evil", 421),
        ("", 421),
    ] {
        for path in ["/", "/metrics", "/api/v1/processes", "/page/main.js"] {
            let status = status(&agent, host, path)?;
            ensure!(status == wanted, "{host}{path}: {status}");
        }
        // Health is no secret, and probes have their own names.
        ensure!(status(&agent, host, "/healthz")? == 200, "{host}");
    }
    let mut stream = std::net::TcpStream::connect(agent.address())?;
    let text = http::exchange(&mut stream, "evil.test", "/", &[])?.text()?;
    ensure!(text.contains("--http-host") && text.contains("localhost"), "{text}");
    let refused = agent.scrape()?.count("goroscope_http_refused_total", &[("reason", "host")])?;
    ensure!(refused == 13, "{refused}");
    Ok(())
}

#[test]
fn any_name_where_that_is_wanted() -> Result<()> {
    skip_unless!("any_name_where_that_is_wanted", requires::go(NEWEST));
    let (_program, pid) = program()?;
    let agent = Agent::start(&["--pid", &pid, "--probes", "off", "--http-host", "*"])?;
    ensure!(status(&agent, "evil.test", "/metrics")? == 200);
    Ok(())
}
