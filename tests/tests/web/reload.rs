//! Certificates and users that change while the agent runs.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use goroscope_tests::{
    authority::{authority, issue},
    https::Way,
    poll, requires, skip_unless,
    toolchain::NEWEST,
};

use crate::served::{NAME, PASSWORD, PATIENCE, Served, TLS, USER, login, users};

fn in_force(served: &Served) -> Result<bool> {
    let name = "goroscope_web_config_last_reload_successful";
    Ok(served.agent.scrape()?.count(name, &[])? == 1)
}

#[test]
fn users_and_certificates_are_taken_anew() -> Result<()> {
    skip_unless!("users_and_certificates_are_taken_anew", requires::go(NEWEST));
    let mut served = Served::with_password()?;
    let ann = Way::tls(&served.authority, NAME, None)?.with_login(login("ann", "red"));
    ensure!(served.ask(&ann)?.status == 401);
    let both = users(USER, PASSWORD)? + users("ann", "red")?.lines().nth(1).context("no user")?;
    fs::write(served.path("web.yml"), format!("{TLS}{both}\n"))?;
    poll::until("the new user may ask", PATIENCE, || {
        Ok((served.ask(&ann)?.status == 200).then_some(()))
    })?;
    // The certificate of another authority: who trusts only the first does not talk to it any more.
    let second = authority("the second")?;
    let (certificate, key) = issue(&second, NAME)?;
    fs::write(served.path("server.pem"), certificate.pem())?;
    fs::write(served.path("server.key"), key.serialize_pem())?;
    let way = Way::tls(&second, NAME, None)?.with_login(login(USER, PASSWORD));
    poll::until("the new certificate is shown", PATIENCE, || {
        Ok((served.ask(&way)?.status == 200).then_some(()))
    })?;
    ensure!(served.ask(&served.good).is_err());
    served.renew()?;
    poll::until("the first authority counts again", PATIENCE, || {
        Ok((served.ask(&served.good)?.status == 200).then_some(()))
    })?;
    ensure!(in_force(&served)?);
    served.watches()
}

#[test]
fn what_is_broken_is_refused_and_said_once() -> Result<()> {
    skip_unless!("what_is_broken_is_refused_and_said_once", requires::go(NEWEST));
    let mut served = Served::with_password()?;
    let web = served.path("web.yml");
    let good = fs::read_to_string(&web)?;
    let (_, other_key) = issue(&served.authority, NAME)?;
    let key = fs::read(served.path("server.key"))?;
    let refused = "is refused; the one before it stays";
    for (number, (broken, why)) in [
        ("tls_server_config: [", "web.yml"),
        ("", "TLS is not turned on or off"),
        (TLS, "nobody would have to say who they are"),
        (&format!("{good}nonsense: 1\n"), "unknown key"),
        (&good.replace("server.pem", "none.pem"), "none.pem"),
        (&good.replace("$2b$", "$2b"), "bcrypt"),
    ]
    .into_iter()
    .enumerate()
    {
        fs::write(&web, broken)?;
        poll::until(&format!("{why} is noticed"), PATIENCE, || {
            Ok((!in_force(&served)?).then_some(()))
        })?;
        // The old one is in force, for those it lets in and for those it does not.
        served.watches()?;
        let nobody = Way::tls(&served.authority, NAME, None)?;
        ensure!(served.ask(&nobody)?.status == 401);
        served.logged(refused, number + 1)?;
        ensure!(served.agent.log().iter().any(|line| line.contains(refused) && line.contains(why)));
        fs::write(&web, &good)?;
        poll::until("it is right again", PATIENCE, || Ok(in_force(&served)?.then_some(())))?;
    }
    fs::write(served.path("server.key"), other_key.serialize_pem())?;
    poll::until("the wrong key is noticed", PATIENCE, || Ok((!in_force(&served)?).then_some(())))?;
    served.watches()?;
    fs::write(served.path("server.key"), key)?;
    poll::until("it is right again", PATIENCE, || Ok(in_force(&served)?.then_some(())))?;
    served.logged(refused, 7)?;
    served.watches()
}
