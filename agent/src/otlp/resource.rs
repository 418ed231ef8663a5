//! Whose measurements they are: attributes of a resource.
//!
//! <https://github.com/open-telemetry/semantic-conventions/blob/v1.37.0/docs/resource/README.md>

use opentelemetry_proto::tonic::resource::v1::Resource;

use super::series::{Attributes, attribute, number};
use crate::model::{json::rfc3339, process::Process};

/// The resource of a watched process on the host of this name.
///
/// `service.name` and `service.instance.id` are what backends tell resources apart by; a program
/// that does not speak OTLP itself has no others than the name of its file, and itself.
pub(super) fn of_process(process: &Process, host: &str) -> Resource {
    let name = process.exe_base();
    let (pid, start) = (process.id.pid, process.id.start.0);
    let mut attributes = vec![
        attribute("service.name", name),
        attribute("service.instance.id", &format!("{host}:{pid}:{start}")),
        attribute("host.name", host),
        attribute("os.type", "linux"),
        number("process.pid", u64::from(pid.0)),
        attribute("process.executable.name", name),
        attribute("process.executable.path", &process.exe),
    ];
    if let Some(time) = rfc3339(process.started_at) {
        attributes.push(attribute("process.creation.time", &time));
    }
    if let Some(binary) = &process.binary {
        attributes.push(attribute("process.runtime.name", "go"));
        attributes.push(attribute("process.runtime.version", &binary.go_version));
        known(&mut attributes, "process.executable.build_id.go", &binary.build_id);
    }
    let origin = &process.origin;
    known(&mut attributes, "container.id", &origin.container_id);
    known(&mut attributes, "k8s.namespace.name", &origin.namespace);
    known(&mut attributes, "k8s.pod.name", &origin.pod);
    known(&mut attributes, "k8s.pod.uid", &origin.pod_uid);
    let in_pod = origin.pod.is_some() || origin.pod_uid.is_some();
    let container = if in_pod { "k8s.container.name" } else { "container.name" };
    known(&mut attributes, container, &origin.container);
    known(&mut attributes, "systemd.unit.name", &origin.unit);
    Resource { attributes, ..Resource::default() }
}

/// The resource of the agent itself.
pub(super) fn of_agent(host: &str) -> Resource {
    let attributes = vec![
        attribute("service.name", "goroscope"),
        attribute("service.version", env!("CARGO_PKG_VERSION")),
        attribute("service.instance.id", host),
        attribute("host.name", host),
        attribute("os.type", "linux"),
    ];
    Resource { attributes, ..Resource::default() }
}

fn known(attributes: &mut Attributes, key: &str, value: &Option<String>) {
    attributes.extend(value.as_deref().map(|value| attribute(key, value)));
}
