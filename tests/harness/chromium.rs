//! Chromium and its driver: those of the system, or Debian's, extracted into the cache folder.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use crate::{debian, requires};

/// A browser that a program can drive.
#[derive(Clone, Debug)]
pub struct Chromium {
    /// The browser.
    pub browser: PathBuf,
    driver: PathBuf,
    /// Where its files were extracted to, if they are not the system's.
    root: Option<PathBuf>,
}

impl Chromium {
    /// That of the system, or Debian's; it is downloaded at first use.
    ///
    /// # Errors
    /// Where there is none, and Debian's cannot be had.
    pub fn find() -> Result<Self> {
        if let (Some(browser), Some(driver)) = (on_path("chromium"), on_path("chromedriver")) {
            return Ok(Self { browser, driver, root: None });
        }
        let wanted = ["chromium", "chromium-driver", "fonts-dejavu-core"];
        let root = debian::with_needs("chromium", &wanted)?;
        Ok(Self {
            browser: root.join("usr/lib/chromium/chromium"),
            driver: root.join("usr/bin/chromedriver"),
            root: Some(root),
        })
    }

    /// The command that drives it, as WebDriver wants it, on a port of its own choice; files go
    /// below `home`.
    ///
    /// # Errors
    /// Where `home` cannot be written to.
    pub fn driver(&self, home: &Path) -> Result<Command> {
        let mut driver = Command::new(&self.driver);
        driver.args(["--port=0"]).env("HOME", home).env("TMPDIR", home);
        // No session bus, and none is started.
        driver.env_remove("DBUS_SESSION_BUS_ADDRESS").env_remove("DISPLAY");
        if let Some(root) = &self.root {
            let libraries = root.join("usr/lib").join(format!("{}-linux-gnu", env::consts::ARCH));
            let folders = [libraries.join("pulseaudio"), libraries];
            driver.env("LD_LIBRARY_PATH", env::join_paths(folders)?);
            driver.env("FONTCONFIG_FILE", fonts(root, home)?);
        }
        Ok(driver)
    }
}

/// Where fonts are: the system's configuration does not know what was extracted.
fn fonts(root: &Path, home: &Path) -> Result<PathBuf> {
    let file = home.join("fonts.conf");
    let text = format!(
        "<?xml version=\"1.0\"?>\n<fontconfig><dir>{}</dir>\
         <include ignore_missing=\"yes\">/etc/fonts/fonts.conf</include>\
         <cachedir>{}</cachedir></fontconfig>\n",
        root.join("usr/share/fonts").display(),
        home.join("fonts").display(),
    );
    fs::write(&file, text).with_context(|| format!("writing {}", file.display()))?;
    Ok(file)
}

fn on_path(name: &str) -> Option<PathBuf> {
    requires::command(name).ok()?;
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}
