//! What `deploy` has for Kubernetes: rendered as users render it, decoded as the API server decodes
//! it, and the agent run with just the rights that the DaemonSet gives it.

mod objects;
mod operator;
mod manifests;
mod agent;
mod chart;
mod container;
mod profiles;
