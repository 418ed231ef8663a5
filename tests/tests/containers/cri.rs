//! Makes pods and containers over CRI, as the kubelet does. The messages are after
//! <https://github.com/kubernetes/cri-api/blob/v0.31.0/pkg/apis/runtime/v1/api.proto> (Apache-2.0).

use std::{path::Path, time::Duration};

use anyhow::{Context as _, Result};
use http::uri::PathAndQuery;
use prost::Message;
use tonic::{
    Request,
    client::Grpc,
    transport::{Channel, Endpoint},
};
use tonic_prost::ProstCodec;

/// Containers start in some tenths of a second, on an idle machine.
const PATIENCE: Duration = Duration::from_secs(30);
/// `NamespaceMode.NODE`
const NODE: i32 = 2;

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Metadata {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(string, tag = "2")]
    pub(crate) uid: String,
    #[prost(string, tag = "3")]
    pub(crate) namespace: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct PodConfig {
    #[prost(message, optional, tag = "1")]
    pub(crate) metadata: Option<Metadata>,
    #[prost(string, tag = "3")]
    pub(crate) log_directory: String,
    #[prost(message, optional, tag = "8")]
    pub(crate) linux: Option<LinuxPodConfig>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct LinuxPodConfig {
    #[prost(string, tag = "1")]
    pub(crate) cgroup_parent: String,
    #[prost(message, optional, tag = "2")]
    pub(crate) security_context: Option<PodSecurity>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct PodSecurity {
    #[prost(message, optional, tag = "1")]
    pub(crate) namespaces: Option<Namespaces>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Namespaces {
    #[prost(int32, tag = "1")]
    pub(crate) network: i32,
}

#[derive(Clone, PartialEq, Message)]
struct RunPod {
    #[prost(message, optional, tag = "1")]
    config: Option<PodConfig>,
}

#[derive(Clone, PartialEq, Message)]
struct ContainerName {
    #[prost(string, tag = "1")]
    name: String,
}

#[derive(Clone, PartialEq, Message)]
struct Image {
    #[prost(string, tag = "1")]
    image: String,
}

#[derive(Clone, PartialEq, Message)]
struct Mount {
    #[prost(string, tag = "1")]
    container_path: String,
    #[prost(string, tag = "2")]
    host_path: String,
}

#[derive(Clone, PartialEq, Message)]
struct ContainerConfig {
    #[prost(message, optional, tag = "1")]
    metadata: Option<ContainerName>,
    #[prost(message, optional, tag = "2")]
    image: Option<Image>,
    #[prost(string, repeated, tag = "3")]
    command: Vec<String>,
    #[prost(message, repeated, tag = "7")]
    mounts: Vec<Mount>,
    #[prost(string, tag = "11")]
    log_path: String,
}

#[derive(Clone, PartialEq, Message)]
struct CreateContainer {
    #[prost(string, tag = "1")]
    pod_id: String,
    #[prost(message, optional, tag = "2")]
    config: Option<ContainerConfig>,
    #[prost(message, optional, tag = "3")]
    pod_config: Option<PodConfig>,
}

/// The id of a pod or a container, asked with or answered; and how long it may take to end.
#[derive(Clone, PartialEq, Message)]
struct Id {
    #[prost(string, tag = "1")]
    id: String,
}

#[derive(Clone, PartialEq, Message)]
struct Nothing {}

#[derive(Clone, PartialEq, Message)]
struct Pods {
    #[prost(message, repeated, tag = "1")]
    pods: Vec<Id>,
}

/// A pod that runs.
#[derive(Clone, Debug)]
pub(crate) struct Pod {
    pub(crate) id: String,
    config: PodConfig,
}

/// What a container is made of.
pub(crate) struct Wanted<'a> {
    pub(crate) name: &'a str,
    pub(crate) image: &'a str,
    pub(crate) command: &'a [&'a str],
    /// A file of the host that it has at `/dev/termination-log`.
    pub(crate) termination_log: Option<&'a Path>,
}

/// Who asks the runtime.
pub(crate) struct Client {
    runtime: tokio::runtime::Runtime,
    channel: Channel,
}

impl Client {
    /// Connects to the runtime behind this socket.
    pub(crate) fn new(socket: &Path) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let endpoint = Endpoint::from_shared(format!("unix:{}", socket.display()))?;
        let channel = runtime.block_on(endpoint.connect())?;
        Ok(Self { runtime, channel })
    }

    /// Starts a pod in the host's network.
    pub(crate) fn run_pod(
        &self,
        namespace: &str,
        name: &str,
        uid: &str,
        cgroup: &str,
    ) -> Result<Pod> {
        let metadata = Metadata {
            name: name.to_owned(),
            uid: uid.to_owned(),
            namespace: namespace.to_owned(),
        };
        let security = PodSecurity { namespaces: Some(Namespaces { network: NODE }) };
        let linux =
            LinuxPodConfig { cgroup_parent: cgroup.to_owned(), security_context: Some(security) };
        let config = PodConfig {
            metadata: Some(metadata),
            log_directory: String::new(),
            linux: Some(linux),
        };
        let id: Id = self.call("RunPodSandbox", RunPod { config: Some(config.clone()) })?;
        Ok(Pod { id: id.id, config })
    }

    /// Makes a container of a pod, and starts it.
    pub(crate) fn run(&self, pod: &Pod, wanted: &Wanted<'_>) -> Result<String> {
        let mount = |path: &Path| Mount {
            container_path: "/dev/termination-log".to_owned(),
            host_path: path.display().to_string(),
        };
        let config = ContainerConfig {
            metadata: Some(ContainerName { name: wanted.name.to_owned() }),
            image: Some(Image { image: wanted.image.to_owned() }),
            command: wanted.command.iter().map(|&word| word.to_owned()).collect(),
            mounts: wanted.termination_log.map(mount).into_iter().collect(),
            log_path: String::new(),
        };
        let request = CreateContainer {
            pod_id: pod.id.clone(),
            config: Some(config),
            pod_config: Some(pod.config.clone()),
        };
        let id: Id = self.call("CreateContainer", request)?;
        let _: Nothing = self.call("StartContainer", id.clone())?;
        Ok(id.id)
    }

    /// How many pods there are.
    pub(crate) fn list(&self) -> Result<usize> {
        let pods: Pods = self.call("ListPodSandbox", Nothing {})?;
        Ok(pods.pods.len())
    }

    /// Ends and removes all pods, with what is in them.
    pub(crate) fn remove_all(&self) -> Result<()> {
        let pods: Pods = self.call("ListPodSandbox", Nothing {})?;
        for pod in pods.pods {
            let _: Nothing = self.call("StopPodSandbox", pod.clone())?;
            let _: Nothing = self.call("RemovePodSandbox", pod)?;
        }
        Ok(())
    }

    fn call<Q, A>(&self, method: &str, request: Q) -> Result<A>
    where
        Q: Message + 'static,
        A: Message + Default + 'static,
    {
        let path = PathAndQuery::try_from(format!("/runtime.v1.RuntimeService/{method}"))?;
        let mut grpc = Grpc::new(self.channel.clone());
        let exchange = async {
            grpc.ready().await.map_err(|error| tonic::Status::unavailable(error.to_string()))?;
            grpc.unary(Request::new(request), path, ProstCodec::default()).await
        };
        let answer =
            self.runtime.block_on(async { tokio::time::timeout(PATIENCE, exchange).await });
        let answer = answer.with_context(|| format!("{method} takes more than {PATIENCE:?}"))?;
        let answer = answer.map_err(|status| anyhow::anyhow!("{method}: {}", status.message()))?;
        Ok(answer.into_inner())
    }
}
