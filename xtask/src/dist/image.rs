//! A container image with the binary and nothing else, as an archive. No container engine is needed
//! to make it.
//!
//! The archive is an OCI image layout
//! (<https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md>): `ctr`, `podman`,
//! `skopeo` and newer dockers read that, and pick the architecture. Beside it lies the `manifest.json` of
//! `docker save` for docker's own image store, with the same layers; that form knows no architectures, so
//! that where there are several the tag names it.

use std::{collections::BTreeSet, fs, io::Write as _, path::Path};

use anyhow::{Context as _, Result};
use flate2::{Compression, GzBuilder};
use goroscope_tests::dist;
use serde_json::{Value, json};

use super::{Binary, archive::Archive, sums};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

const DESCRIPTION: &str =
    "What Go processes do, from outside: goroutines by creation site, leaks, scheduling delay";

/// Writes the image for these binaries.
pub(super) fn write(binaries: &[Binary], path: &Path, epoch: u32) -> Result<()> {
    let mut blobs = Blobs { archive: Archive::new(epoch), written: BTreeSet::new() };
    blobs.archive.folder("blobs/")?;
    blobs.archive.folder("blobs/sha256/")?;
    let labels = labels(epoch)?;
    let mut manifests = Vec::new();
    let mut saved = Vec::new();
    for binary in binaries {
        let one = single(&mut blobs, binary, &labels, epoch)?;
        let tag = if binaries.len() == 1 {
            format!("{}:{}", dist::IMAGE, dist::VERSION)
        } else {
            format!("{}:{}-{}", dist::IMAGE, dist::VERSION, binary.arch.debian())
        };
        saved.push(json!({
            "Config": one.config.path(),
            "RepoTags": [tag],
            "Layers": [one.layer.path()],
        }));
        let mut manifest = one.manifest.descriptor(MANIFEST);
        put(&mut manifest, "platform", platform(binary));
        manifests.push(manifest);
    }
    let index = json!({
        "schemaVersion": 2,
        "mediaType": INDEX,
        "manifests": manifests,
        "annotations": labels,
    });
    // One entry: several would be several images to those that read it.
    let mut whole = blobs.add(&serde_json::to_vec(&index)?)?.descriptor(INDEX);
    put(
        &mut whole,
        "annotations",
        json!({
            "io.containerd.image.name": format!("{}:{}", dist::IMAGE, dist::VERSION),
            "org.opencontainers.image.ref.name": dist::VERSION,
        }),
    );
    let top = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [whole] });
    let mut archive = blobs.archive;
    archive.file("index.json", 0o644, &serde_json::to_vec(&top)?)?;
    archive.file("manifest.json", 0o644, &serde_json::to_vec(&saved)?)?;
    archive.file("oci-layout", 0o644, br#"{"imageLayoutVersion":"1.0.0"}"#)?;
    fs::write(path, archive.finish()?).with_context(|| format!("writing {}", path.display()))
}

/// The image for one architecture.
struct Single {
    manifest: Blob,
    config: Blob,
    layer: Blob,
}

fn single(blobs: &mut Blobs, binary: &Binary, labels: &Value, epoch: u32) -> Result<Single> {
    let program =
        fs::read(&binary.path).with_context(|| format!("reading {}", binary.path.display()))?;
    let mut layer = Archive::new(epoch);
    layer.file("goroscope", 0o755, &program)?;
    let layer = layer.finish()?;
    let mut config = json!({
        "created": created(epoch)?,
        "config": {
            // Root, in the image as such: which powers that root has is up to who runs it.
            "User": "0:0",
            "Entrypoint": ["/goroscope"],
            "Cmd": ["agent"],
            "WorkingDir": "/",
            "ExposedPorts": { "4676/tcp": {} },
            "StopSignal": "SIGTERM",
            "Labels": labels,
        },
        "rootfs": { "type": "layers", "diff_ids": [digest(&layer)] },
        "history": [{ "created": created(epoch)?, "created_by": "cargo xtask dist" }],
    });
    if let (Some(config), Some(platform)) = (config.as_object_mut(), platform(binary).as_object()) {
        config.extend(platform.clone());
    }
    // Neither name nor time in the header.
    let mut packed = GzBuilder::new().write(Vec::new(), Compression::best());
    packed.write_all(&layer)?;
    let layer = blobs.add(&packed.finish()?)?;
    let config = blobs.add(&serde_json::to_vec(&config)?)?;
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": config.descriptor(CONFIG),
        "layers": [layer.descriptor(LAYER)],
        "annotations": labels,
    });
    let manifest = blobs.add(&serde_json::to_vec(&manifest)?)?;
    Ok(Single { manifest, config, layer })
}

fn platform(binary: &Binary) -> Value {
    json!({ "architecture": binary.arch.debian(), "os": "linux" })
}

/// <https://github.com/opencontainers/image-spec/blob/v1.1.1/annotations.md>
fn labels(epoch: u32) -> Result<Value> {
    Ok(json!({
        "org.opencontainers.image.title": "goroscope",
        "org.opencontainers.image.description": DESCRIPTION,
        "org.opencontainers.image.version": dist::VERSION,
        "org.opencontainers.image.licenses": env!("CARGO_PKG_LICENSE"),
        "org.opencontainers.image.source": env!("CARGO_PKG_REPOSITORY"),
        "org.opencontainers.image.created": created(epoch)?,
    }))
}

/// The moment as RFC 3339 has it.
fn created(epoch: u32) -> Result<String> {
    Ok(jiff::Timestamp::from_second(i64::from(epoch))?.to_string())
}

/// The archive while blobs are put into it.
struct Blobs {
    archive: Archive,
    /// The same bytes are there once.
    written: BTreeSet<String>,
}

impl Blobs {
    fn add(&mut self, bytes: &[u8]) -> Result<Blob> {
        let blob = Blob { hex: sums::sha256(bytes), size: bytes.len() };
        if self.written.insert(blob.hex.clone()) {
            self.archive.file(&blob.path(), 0o644, bytes)?;
        }
        Ok(blob)
    }
}

/// Bytes, known by their digest.
struct Blob {
    hex: String,
    size: usize,
}

impl Blob {
    fn path(&self) -> String {
        format!("blobs/sha256/{}", self.hex)
    }

    fn descriptor(&self, kind: &str) -> Value {
        json!({ "mediaType": kind, "digest": format!("sha256:{}", self.hex), "size": self.size })
    }
}

fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", sums::sha256(bytes))
}

fn put(object: &mut Value, key: &str, value: Value) {
    if let Some(object) = object.as_object_mut() {
        object.insert(key.to_owned(), value);
    }
}
