//! The part of CRI's messages that is asked for and understood; other fields are passed over. After
//! <https://github.com/kubernetes/cri-api/blob/v0.31.0/pkg/apis/runtime/v1/api.proto> (Apache-2.0).
//!
//! Text is taken as bytes: where it is not UTF-8, only that name suffers, and not the message.

use prost::Message;

/// `RuntimeService`'s methods.
pub(super) const LIST_CONTAINERS: &str = "/runtime.v1.RuntimeService/ListContainers";
pub(super) const LIST_PODS: &str = "/runtime.v1.RuntimeService/ListPodSandbox";
pub(super) const VERSION: &str = "/runtime.v1.RuntimeService/Version";

#[derive(Clone, PartialEq, Eq, Message)]
pub(in crate::names) struct ById {
    #[prost(string, tag = "1")]
    pub(in crate::names) id: String,
}

/// `ListContainersRequest` and `ListPodSandboxRequest`, whose filters begin alike.
#[derive(Clone, PartialEq, Eq, Message)]
pub(in crate::names) struct ListRequest {
    #[prost(message, optional, tag = "1")]
    pub(in crate::names) filter: Option<ById>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(in crate::names) struct Containers {
    #[prost(message, repeated, tag = "1")]
    pub(in crate::names) containers: Vec<Container>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(in crate::names) struct Container {
    #[prost(bytes = "vec", tag = "1")]
    pub(in crate::names) id: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub(in crate::names) pod_sandbox_id: Vec<u8>,
    #[prost(message, optional, tag = "3")]
    pub(in crate::names) metadata: Option<ContainerMetadata>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(in crate::names) struct ContainerMetadata {
    #[prost(bytes = "vec", tag = "1")]
    pub(in crate::names) name: Vec<u8>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(in crate::names) struct Pods {
    #[prost(message, repeated, tag = "1")]
    pub(in crate::names) items: Vec<Pod>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(in crate::names) struct Pod {
    #[prost(bytes = "vec", tag = "1")]
    pub(in crate::names) id: Vec<u8>,
    #[prost(message, optional, tag = "2")]
    pub(in crate::names) metadata: Option<PodMetadata>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(in crate::names) struct PodMetadata {
    #[prost(bytes = "vec", tag = "1")]
    pub(in crate::names) name: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    pub(in crate::names) namespace: Vec<u8>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(super) struct VersionRequest {}

#[derive(Clone, PartialEq, Eq, Message)]
pub(super) struct VersionResponse {
    #[prost(bytes = "vec", tag = "2")]
    pub(in crate::names) runtime_name: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    pub(in crate::names) runtime_version: Vec<u8>,
}
