//! A browser without a window, driven by WebDriver.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::PathBuf,
    process::Stdio,
    sync::mpsc::channel,
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use fantoccini::{
    Client, ClientBuilder, Locator,
    wd::{Capabilities, WebDriverCompatibleCommand},
};
use goroscope_tests::{chromium::Chromium, poll, process::Guard, workspace};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// How long the page may take to show something; generous, for a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A page in a browser.
pub(crate) struct Browser {
    client: Client,
    runtime: Runtime,
    _driver: Guard,
    _home: TempDir,
}

impl Browser {
    pub(crate) fn start() -> Result<Self> {
        let chromium = Chromium::find()?;
        let home = tempfile::tempdir()?;
        let mut command = chromium.driver(home.path())?;
        let command = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut driver = Guard::start(command)?;
        let port = port(&mut driver)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let capabilities = capabilities(&chromium, home.path())?;
        let client = runtime
            .block_on(
                ClientBuilder::new(HttpConnector::new())
                    .capabilities(capabilities)
                    .connect(&format!("http://127.0.0.1:{port}")),
            )
            .context("starting the browser")?;
        let browser = Self { client, runtime, _driver: driver, _home: home };
        browser.size(1280, 900)?;
        Ok(browser)
    }

    pub(crate) fn open(&self, url: &str) -> Result<()> {
        self.runtime.block_on(self.client.goto(url)).with_context(|| format!("opening {url}"))
    }

    pub(crate) fn reload(&self) -> Result<()> {
        Ok(self.runtime.block_on(self.client.refresh())?)
    }

    /// What a function body returns, run in the page.
    pub(crate) fn run(&self, body: &str) -> Result<Value> {
        self.runtime.block_on(self.client.execute(body, vec![])).with_context(|| body.to_owned())
    }

    /// Waits until a function body returns something other than null, false, 0 and the empty text.
    pub(crate) fn until(&self, what: &str, body: &str) -> Result<Value> {
        let empty = [Value::Null, json!(false), json!(0), json!("")];
        let answer = || Ok(Some(self.run(body)?).filter(|value| !empty.contains(value)));
        poll::until(what, PATIENCE, answer).with_context(|| {
            let text = self.text().unwrap_or_default();
            format!("the page says:\n{text}")
        })
    }

    /// What can be read on the page.
    pub(crate) fn text(&self) -> Result<String> {
        let text = self.run("return document.body.innerText")?;
        Ok(text.as_str().unwrap_or_default().to_owned())
    }

    /// Clicks the first element of a selector, as a user does: it must be in sight and not covered.
    pub(crate) fn click(&self, selector: &str) -> Result<()> {
        let click = async { self.client.find(Locator::Css(selector)).await?.click().await };
        self.runtime.block_on(click).with_context(|| format!("clicking {selector}"))
    }

    /// Types into the first element of a selector.
    pub(crate) fn keys(&self, selector: &str, keys: &str) -> Result<()> {
        let send = async { self.client.find(Locator::Css(selector)).await?.send_keys(keys).await };
        self.runtime.block_on(send).with_context(|| format!("typing into {selector}"))
    }

    /// Types into what has the focus.
    pub(crate) fn keys_at_focus(&self, keys: &str) -> Result<()> {
        let send = async { self.client.active_element().await?.send_keys(keys).await };
        Ok(self.runtime.block_on(send)?)
    }

    pub(crate) fn size(&self, width: u32, height: u32) -> Result<()> {
        let metrics =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.devtools("Emulation.setDeviceMetricsOverride", metrics).map(drop)
    }

    /// What the system's colours are.
    pub(crate) fn colours(&self, scheme: &str) -> Result<()> {
        let features = json!([{"name": "prefers-color-scheme", "value": scheme}]);
        self.devtools("Emulation.setEmulatedMedia", json!({"features": features})).map(drop)
    }

    pub(crate) fn devtools(&self, command: &str, parameters: Value) -> Result<Value> {
        let body = json!({"cmd": command, "params": parameters});
        let sent = self.client.issue_cmd(Command { path: "goog/cdp/execute", body });
        self.runtime.block_on(sent).with_context(|| command.to_owned())
    }

    /// What the console has, since it was asked for the last time: errors of scripts, of what could
    /// not be loaded, and of what the page's policy forbids.
    pub(crate) fn console(&self) -> Result<Vec<String>> {
        let body = json!({"type": "browser"});
        let sent = self.client.issue_cmd(Command { path: "se/log", body });
        let lines = self.runtime.block_on(sent)?;
        let lines = lines.as_array().context("no log")?.iter();
        Ok(lines.map(|line| line["message"].to_string()).collect())
    }

    /// Nothing has been complained of.
    pub(crate) fn is_quiet(&self) -> Result<()> {
        let console = self.console()?;
        ensure!(console.is_empty(), "the console has:\n{}", console.join("\n"));
        Ok(())
    }

    /// Takes a picture of the whole page, for people, in both colours and two widths.
    pub(crate) fn pictures(&self, name: &str) -> Result<()> {
        for scheme in ["light", "dark"] {
            self.colours(scheme)?;
            for width in [1280, 400] {
                self.size(width, 900)?;
                thread::sleep(Duration::from_millis(300));
                let height = self.run("return document.documentElement.scrollHeight")?;
                let height = height.as_u64().and_then(|height| u32::try_from(height).ok());
                self.size(width, height.unwrap_or(900).clamp(500, 6000))?;
                thread::sleep(Duration::from_millis(300));
                let file = pictures()?.join(format!("{name}-{scheme}-{width}.png"));
                fs::write(file, self.runtime.block_on(self.client.screenshot())?)?;
                self.fits(width).with_context(|| format!("{name}, {scheme}"))?;
            }
        }
        self.colours("light")?;
        self.size(1280, 900)
    }

    /// Nothing makes the page itself wider than the window.
    fn fits(&self, width: u32) -> Result<()> {
        let wide = self.run("return document.documentElement.scrollWidth")?;
        ensure!(wide.as_u64().is_some_and(|wide| wide <= width.into()), "{wide} of {width} pixels");
        Ok(())
    }

    /// All that can be operated has a name for those who hear the page, and there is one first
    /// heading.
    pub(crate) fn is_told_in_words(&self) -> Result<()> {
        let tree = self.devtools("Accessibility.getFullAXTree", json!({}))?;
        let nodes = tree.get("nodes").and_then(Value::as_array).context("no tree")?;
        for node in nodes.iter().filter(|node| node.get("ignored") != Some(&json!(true))) {
            let text = |of: &str| node.pointer(of).and_then(Value::as_str).unwrap_or_default();
            let (role, name) = (text("/role/value"), text("/name/value"));
            let operated =
                ["button", "link", "searchbox", "combobox", "checkbox", "figure", "image"];
            ensure!(!operated.contains(&role) || !name.trim().is_empty(), "nameless: {node}");
        }
        ensure!(self.run("return document.querySelectorAll('h1').length")? == json!(1));
        Ok(())
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The driver ends the browser then; it is ended itself afterwards.
        let _closed = self.runtime.block_on(self.client.clone().close());
    }
}

/// A command beyond the standard.
#[derive(Debug)]
struct Command {
    path: &'static str,
    body: Value,
}

impl WebDriverCompatibleCommand for Command {
    fn endpoint(
        &self,
        base: &url::Url,
        session: Option<&str>,
    ) -> Result<url::Url, url::ParseError> {
        base.join(&format!("session/{}/{}", session.unwrap_or_default(), self.path))
    }

    fn method_and_body(&self, _: &url::Url) -> (http::Method, Option<String>) {
        (http::Method::POST, Some(self.body.to_string()))
    }
}

fn capabilities(chromium: &Chromium, home: &std::path::Path) -> Result<Capabilities> {
    let profile = home.join("profile");
    let options = json!({
        "binary": chromium.browser,
        "args": [
            "--headless=new", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
            // As root its sandbox cannot be had; the page under test is our own.
            "--no-sandbox",
            "--no-first-run", "--disable-background-networking", "--disable-component-update",
            format!("--user-data-dir={}", profile.display()),
        ],
    });
    match json!({"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}) {
        Value::Object(capabilities) => Ok(capabilities),
        _ => bail!("capabilities are an object"),
    }
}

/// The port that the driver says it has.
fn port(driver: &mut Guard) -> Result<u16> {
    let stdout = driver.child().stdout.take().context("no pipe from the driver")?;
    let (sender, lines) = channel();
    thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            let _unheard = sender.send(line);
        }
    });
    loop {
        let line = lines.recv_timeout(PATIENCE).context("the driver names no port")?;
        if let Some((_, port)) = line.split_once("started successfully on port ") {
            return port.trim_end_matches('.').parse().context(line);
        }
    }
}

/// The folder for pictures.
fn pictures() -> Result<PathBuf> {
    let folder = workspace::root().join("target/page");
    fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
    Ok(folder)
}
