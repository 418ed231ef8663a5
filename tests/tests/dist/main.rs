//! What `cargo xtask dist` makes is what it says: one static file, packages with all that belongs to
//! a service, an image with nothing but the binary, sums that are right, a list of all parts.

mod rpm;
mod distribution;
mod rpm_life;

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use goroscope_tests::{dist, fixture, requires, skip, skip_unless, workspace};
use serde_json::Value;

/// What docs/install.md says that the binary takes at most, in bytes.
const BOUND: u64 = 20_000_000;

/// `e_machine` in ELF files.
const MACHINES: [(&str, &str, u16); 2] = [("amd64", "x86_64", 62), ("arm64", "aarch64", 183)];

/// What every package has, as paths on the system that it is installed on.
const IN_PACKAGES: [&str; 12] = [
    "/usr/bin/goroscope",
    "/usr/lib/systemd/system/goroscope.service",
    "/usr/lib/systemd/system/goroscope.socket",
    "/etc/goroscope/goroscope.yml",
    "/etc/default/goroscope",
    "/usr/share/man/man1/goroscope.1.gz",
    "/usr/share/man/man1/goroscope-agent.1.gz",
    "/usr/share/bash-completion/completions/goroscope",
    "/usr/share/fish/vendor_completions.d/goroscope.fish",
    "/usr/share/doc/goroscope/README.md",
    "/usr/share/doc/goroscope/docs/metrics.md",
    "/usr/share/doc/goroscope/parts.cdx.json",
];

#[test]
fn binaries_need_nothing() -> Result<()> {
    skip_unless!("binaries_need_nothing", dist::find(dist::binary).map(drop));
    for (debian, kernel, machine) in MACHINES {
        let path = dist::folder().join(dist::binary(debian));
        if !path.is_file() {
            let name = format!("binaries_need_nothing::{debian}");
            skip::note(&name, "only `cargo xtask dist` without --target makes it");
            continue;
        }
        dist::check_static(&path, machine)?;
        let size = fs::metadata(&path)?.len();
        println!("{debian}: {size} bytes");
        ensure!(size <= BOUND, "{} takes {size} bytes", path.display());
        let bytes = fs::read(&path)?;
        for folder in [workspace::root(), workspace::target()] {
            let folder = folder.display().to_string();
            let named = bytes.windows(folder.len()).any(|window| window == folder.as_bytes());
            ensure!(!named, "{} names {folder}", path.display());
        }
        let emulator = match dist::emulator(kernel) {
            Ok(emulator) => emulator,
            Err(reason) => {
                skip::note(&format!("binaries_need_nothing::{debian}"), &reason);
                continue;
            }
        };
        let mut command = match emulator {
            Some(emulator) => {
                let mut command = Command::new(emulator);
                command.arg(&path);
                command
            }
            None => Command::new(&path),
        };
        let says = output(command.env_clear().arg("--version"))?;
        ensure!(says.trim() == format!("goroscope {}", dist::VERSION), "it says {says:?}");
    }
    Ok(())
}

#[test]
fn a_package_for_debian_has_all() -> Result<()> {
    let found = dist::find(dist::deb);
    skip_unless!(
        "a_package_for_debian_has_all",
        found.as_ref().map(drop).map_err(Clone::clone).and_then(|()| requires::command("dpkg-deb"))
    );
    let path = found.map_err(anyhow::Error::msg)?;
    let show = |what: &str| output(Command::new("dpkg-deb").arg(what).arg(&path));
    let listed = show("--contents")?;
    let files: BTreeSet<&str> = listed
        .lines()
        .filter_map(|line| line.split_whitespace().nth(5)?.strip_prefix('.'))
        .collect();
    let own =
        ["/usr/share/doc/goroscope/copyright", "/usr/share/zsh/vendor-completions/_goroscope"];
    for file in IN_PACKAGES.iter().chain(&own) {
        ensure!(files.contains(file), "{file} is missing:\n{listed}");
    }
    ensure!(listed.lines().all(|line| line.contains(" 0/0 ")), "not all is root's:\n{listed}");
    let program = listed.lines().find(|line| line.ends_with("./usr/bin/goroscope"));
    ensure!(program.is_some_and(|line| line.starts_with("-rwxr-xr-x")), "{program:?}");
    let control = show("--field")?;
    for line in [
        "Package: goroscope".to_owned(),
        format!("Version: {}-1", dist::VERSION),
        format!("Architecture: {}", fixture::host_arch()),
        "Section: admin".to_owned(),
    ] {
        ensure!(control.lines().any(|has| has == line), "no {line:?}:\n{control}");
    }
    let folder = tempfile::tempdir()?;
    output(Command::new("dpkg-deb").arg("--control").arg(&path).arg(folder.path()))?;
    let configuration = fs::read_to_string(folder.path().join("conffiles"))?;
    let configuration: BTreeSet<&str> = configuration.lines().collect();
    let expected = BTreeSet::from(["/etc/goroscope/goroscope.yml", "/etc/default/goroscope"]);
    ensure!(configuration == expected, "configuration: {configuration:?}");
    for script in ["postinst", "prerm", "postrm"] {
        output(Command::new("sh").arg("-n").arg(folder.path().join(script)))?;
    }
    Ok(())
}

#[test]
fn a_package_for_rpm_has_all() -> Result<()> {
    let found = dist::find(|_| dist::rpm(std::env::consts::ARCH));
    skip_unless!(
        "a_package_for_rpm_has_all",
        found.as_ref().map(drop).map_err(Clone::clone).and_then(|()| rpm::query("rpm").map(drop))
    );
    let path = found.map_err(anyhow::Error::msg)?;
    let query = |what: &[&str]| {
        let mut rpm = rpm::query("rpm").map_err(anyhow::Error::msg)?;
        output(rpm.args(["--query", "--package", "--nosignature"]).args(what).arg(&path))
    };
    let listed = query(&["--list"])?;
    let files: BTreeSet<&str> = listed.lines().collect();
    let own =
        ["/usr/share/licenses/goroscope/LICENSE-MIT", "/usr/share/zsh/site-functions/_goroscope"];
    for file in IN_PACKAGES.iter().chain(&own) {
        ensure!(files.contains(file), "{file} is missing:\n{listed}");
    }
    let told = query(&["--queryformat", "%{NAME} %{VERSION} %{RELEASE} %{ARCH} %{LICENSE}"])?;
    let expected =
        format!("goroscope {} 1 {} MIT OR Apache-2.0", dist::VERSION, std::env::consts::ARCH);
    ensure!(told == expected, "it is {told:?}");
    let summary = query(&["--queryformat", "%{SUMMARY}"])?;
    ensure!(summary.len() < 80 && !summary.contains('\n'), "lists have no room for {summary:?}");
    let configuration = query(&["--configfiles"])?;
    ensure!(
        configuration.lines().collect::<BTreeSet<_>>()
            == BTreeSet::from(["/etc/goroscope/goroscope.yml", "/etc/default/goroscope"]),
        "configuration:\n{configuration}"
    );
    let scripts = query(&["--scripts"])?;
    for part in ["postinstall", "preuninstall", "postuninstall"] {
        ensure!(scripts.contains(part), "no {part} script:\n{scripts}");
    }
    let needs = query(&["--requires"])?;
    ensure!(!needs.contains(".so"), "it needs libraries:\n{needs}");
    // What is in it is what its header says.
    let mut keys = rpm::query("rpmkeys").map_err(anyhow::Error::msg)?;
    output(keys.args(["--checksig", "--nosignature"]).arg(&path))?;
    Ok(())
}

#[test]
fn the_sums_are_right() -> Result<()> {
    skip_unless!("the_sums_are_right", dist::find(dist::binary).map(drop));
    let folder = dist::folder();
    let mut check = Command::new("sha256sum");
    let checked = output(check.args(["--check", "--strict", "SHA256SUMS"]).current_dir(&folder))?;
    let mut named = BTreeSet::new();
    for line in checked.lines() {
        named.insert(line.strip_suffix(": OK").with_context(|| line.to_owned())?.to_owned());
    }
    let mut there = BTreeSet::new();
    for entry in fs::read_dir(&folder)? {
        there.insert(entry?.file_name().to_string_lossy().into_owned());
    }
    there.remove("SHA256SUMS");
    ensure!(named == there, "sums of {named:?}, and there are {there:?}");
    Ok(())
}

#[test]
fn the_list_of_parts_has_all() -> Result<()> {
    skip_unless!("the_list_of_parts_has_all", dist::find(|_| dist::parts()).map(drop));
    let text = fs::read_to_string(dist::folder().join(dist::parts()))?;
    ensure!(!text.contains(&workspace::root().display().to_string()), "it names folders");
    let list: Value = serde_json::from_str(&text)?;
    ensure!(list.pointer("/bomFormat") == Some(&Value::from("CycloneDX")), "it is another list");
    let parts = list.pointer("/components").and_then(Value::as_array).context("no parts")?;
    let field = |part: &Value, name: &str| {
        part.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let locked = fs::read_to_string(workspace::root().join("Cargo.lock"))?;
    let mut names = BTreeSet::new();
    for part in parts {
        let (name, version) = (field(part, "name"), field(part, "version"));
        let entry = format!("name = \"{name}\"\nversion = \"{version}\"\n");
        ensure!(locked.contains(&entry), "{name} {version} is not in Cargo.lock");
        let licensed = part.get("licenses").and_then(Value::as_array);
        ensure!(licensed.is_some_and(|all| !all.is_empty()), "{name} {version} has no licence");
        names.insert(name);
    }
    // What the agent itself asks for is what it is made of.
    let manifest = fs::read_to_string(workspace::root().join("agent/Cargo.toml"))?;
    let asked = manifest
        .split("\n[dependencies]\n")
        .nth(1)
        .and_then(|rest| rest.split("\n[").next())
        .context("no dependencies")?;
    for name in asked.lines().filter_map(|line| line.split(['.', ' ']).next()) {
        ensure!(name.is_empty() || names.contains(name), "{name} is not in the list");
    }
    println!("{} parts", names.len());
    Ok(())
}

#[test]
fn the_image_has_nothing_but_the_binary() -> Result<()> {
    skip_unless!(
        "the_image_has_nothing_but_the_binary",
        dist::find(|_| dist::image()).map(drop).and_then(|()| requires::command("tar"))
    );
    let folder = tempfile::tempdir()?;
    let image = folder.path();
    let archive = dist::folder().join(dist::image());
    output(Command::new("tar").arg("-xf").arg(&archive).arg("-C").arg(image))?;
    let read = |path: &str| -> Result<Value> {
        let bytes = fs::read(image.join(path)).with_context(|| path.to_owned())?;
        Ok(serde_json::from_slice(&bytes)?)
    };
    let blob = |descriptor: &Value| -> Result<String> {
        let digest = descriptor.get("digest").and_then(Value::as_str).context("no digest")?;
        let hex = digest.strip_prefix("sha256:").context("another digest")?;
        let path = format!("blobs/sha256/{hex}");
        let sum = output(Command::new("sha256sum").arg(image.join(&path)))?;
        ensure!(sum.starts_with(hex), "{path} has other bytes");
        let size = fs::metadata(image.join(&path))?.len();
        ensure!(descriptor.get("size") == Some(&Value::from(size)), "{path} has another size");
        Ok(path)
    };
    let top = read("index.json")?;
    let index = read(&blob(top.pointer("/manifests/0").context("no manifest")?)?)?;
    let manifests = index.get("manifests").and_then(Value::as_array).context("no manifests")?;
    ensure!(!manifests.is_empty(), "an image for no machine");
    for descriptor in manifests {
        let arch = descriptor.pointer("/platform/architecture").and_then(Value::as_str);
        let arch = arch.context("no architecture")?;
        let manifest = read(&blob(descriptor)?)?;
        let config = read(&blob(manifest.get("config").context("no configuration")?)?)?;
        ensure!(config.get("architecture") == Some(&Value::from(arch)), "another architecture");
        let entry = config.pointer("/config/Entrypoint/0").and_then(Value::as_str);
        ensure!(entry == Some("/goroscope"), "it runs {entry:?}");
        let layers = manifest.get("layers").and_then(Value::as_array).context("no layers")?;
        ensure!(layers.len() == 1, "{} layers", layers.len());
        let layer = image.join(blob(layers.first().context("no layer")?)?);
        let listed = output(Command::new("tar").arg("-tzf").arg(&layer))?;
        ensure!(listed == "goroscope\n", "the layer has\n{listed}");
        let files = image.join(arch);
        fs::create_dir(&files)?;
        output(Command::new("tar").arg("-xzf").arg(&layer).arg("-C").arg(&files))?;
        ensure!(
            fs::read(files.join("goroscope"))?
                == fs::read(dist::folder().join(dist::binary(arch)))?,
            "the image for {arch} has another binary"
        );
    }
    // As docker's own store reads it: the same configuration and layers by name.
    let saved = read("manifest.json")?;
    let saved = saved.as_array().context("no list")?;
    ensure!(saved.len() == manifests.len(), "docker finds {} images", saved.len());
    for one in saved {
        for path in one.get("Layers").and_then(Value::as_array).context("no layers")? {
            ensure!(path.as_str().is_some_and(|path| image.join(path).is_file()), "no {path}");
        }
        let config = one.get("Config").and_then(Value::as_str).context("no configuration")?;
        read(config)?;
    }
    Ok(())
}

/// Standard output of a command that must succeed.
fn output(command: &mut Command) -> Result<String> {
    let name = Path::new(command.get_program()).display().to_string();
    let output =
        command.stdin(Stdio::null()).output().with_context(|| format!("starting {name}"))?;
    ensure!(
        output.status.success(),
        "{name} failed ({}): {}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
