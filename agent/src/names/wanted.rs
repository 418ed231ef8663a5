//! What is to be named, and the names.

use crate::discover::origin::Origin;

/// Longest name, in characters: of pods Kubernetes allows as many, of all else fewer.
const LONGEST: usize = 253;

/// A container or a pod that is to be named.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Wanted {
    /// Id of the container.
    pub container_id: Option<String>,
    /// Unique id of the pod.
    pub pod_uid: Option<String>,
}

/// Names; those that are known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// Kubernetes namespace.
    pub namespace: Option<String>,
    /// Kubernetes pod.
    pub pod: Option<String>,
    /// Container.
    pub container: Option<String>,
}

impl Wanted {
    /// What there is to be named of a process; `None` where it is in no container.
    #[must_use]
    pub fn of(origin: &Origin) -> Option<Self> {
        let Origin { container_id, pod_uid, .. } = origin;
        (container_id.is_some() || pod_uid.is_some())
            .then(|| Self { container_id: container_id.clone(), pod_uid: pod_uid.clone() })
    }
}

impl Names {
    /// Of a container of a pod.
    pub(super) fn of_pod(namespace: &str, pod: &str, container: Option<&str>) -> Self {
        Self { namespace: name(namespace), pod: name(pod), container: container.and_then(name) }
    }

    /// Is there nothing more to be known?
    #[must_use]
    pub fn are_whole(&self, wanted: &Wanted) -> bool {
        let of_pod = self.pod.is_some() && self.namespace.is_some();
        self.container.is_some() && (of_pod || wanted.pod_uid.is_none())
    }

    /// These, and where one is not known, that of the others.
    pub(super) fn or(self, others: Self) -> Self {
        Self {
            namespace: self.namespace.or(others.namespace),
            pod: self.pod.or(others.pod),
            container: self.container.or(others.container),
        }
    }

    /// Gives them to a process; what is not known stays as it is.
    pub fn give(&self, origin: &mut Origin) {
        for (name, place) in [
            (&self.namespace, &mut origin.namespace),
            (&self.pod, &mut origin.pod),
            (&self.container, &mut origin.container),
        ] {
            if name.is_some() {
                place.clone_from(name);
            }
        }
    }
}

/// A name as somebody else wrote it: cut where it is too long; `None` where it is empty. What is odd
/// in it is escaped where it is shown.
pub(super) fn name(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.chars().take(LONGEST).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cut_and_never_empty() {
        assert_eq!(name(""), None);
        assert_eq!(name(&"ä".repeat(4000)), Some("ä".repeat(LONGEST)));
        assert_eq!(name("a\n\"b").as_deref(), Some("a\n\"b"));
    }

    #[test]
    fn what_is_known_is_given() {
        let mut origin = Origin { container: Some("old".into()), ..Origin::default() };
        assert_eq!(Wanted::of(&origin), None);
        Names { pod: Some("p".into()), ..Names::default() }.give(&mut origin);
        assert_eq!((origin.pod.as_deref(), origin.container.as_deref()), (Some("p"), Some("old")));
        origin.pod_uid = Some("u".into());
        let wanted = Wanted::of(&origin).unwrap();
        assert!(!Names::of_pod("n", "p", None).are_whole(&wanted));
        assert!(Names::of_pod("n", "p", Some("c")).are_whole(&wanted));
    }
}
