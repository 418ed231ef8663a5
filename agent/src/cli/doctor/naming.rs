//! Where names of pods and containers are to be had on this host.

use std::path::{Path, PathBuf};

use crate::{
    doctor::{Check, Verdict},
    names::{Reached, reach, settings::NamesSettings},
};

const NAME: &str = "names of pods";
/// Where the kubelet and the engines write names down.
const FOLDERS: [&str; 4] = [
    "var/log/containers",
    "var/log/pods",
    "var/lib/docker/containers",
    "var/lib/containers/storage",
];

/// Asks the container runtimes for their versions, and looks for the folders.
pub(super) fn check(settings: &NamesSettings) -> Check {
    let reached = match reach(settings) {
        Ok(reached) => reached,
        Err(error) => {
            return said(Verdict::Warn, error.to_string(), "no container runtime can be asked");
        }
    };
    let folders: Vec<PathBuf> =
        FOLDERS.iter().map(|path| settings.host_root.join(path)).filter(|p| p.is_dir()).collect();
    judge(settings.is_explicit(), &reached, &folders)
}

fn judge(explicit: bool, reached: &[(PathBuf, Reached)], folders: &[PathBuf]) -> Check {
    let answers = reached.iter().find_map(|(path, reached)| match reached {
        Reached::Runtime(version) => Some(format!("{version} at {}", path.display())),
        _ => None,
    });
    if let Some(answers) = answers {
        return said(Verdict::Pass, answers, "pods and containers are called what CRI calls them");
    }
    if let Some((path, what, remedy)) =
        reached.iter().find_map(|(path, r)| trouble(explicit, path, r))
    {
        let meaning = if folders.is_empty() {
            "containers are known by their ids only"
        } else {
            "names come from the kubelet's and the engines' folders alone"
        };
        let found = format!("{} {what}", path.display());
        return Check { remedy: Some(remedy), ..said(Verdict::Warn, found, meaning) };
    }
    if folders.is_empty() {
        return said(
            Verdict::Pass,
            "neither a CRI socket nor a folder of a kubelet",
            "there seem to be no pods here; else see --cri-socket and --host-root",
        );
    }
    let list: Vec<String> = folders.iter().map(|path| path.display().to_string()).collect();
    said(Verdict::Pass, list.join(", "), "pods and containers are called what is written there")
}

/// What is wrong with a socket, and the way out.
fn trouble<'a>(
    explicit: bool,
    path: &'a Path,
    reached: &Reached,
) -> Option<(&'a Path, String, String)> {
    let (what, remedy) = match reached {
        Reached::Absent if explicit => (
            "does not exist".to_owned(),
            "give the path of the runtime's socket with --cri-socket; in a container mount the \
             folder that it is in",
        ),
        Reached::Mute if explicit => (
            "does not speak CRI (runtime.v1)".to_owned(),
            "give another socket, or --cri-socket none",
        ),
        Reached::NotPermitted => (
            "is not for this user".to_owned(),
            "run as root; or --cri-socket none, where the kubelet's folders can be read",
        ),
        Reached::Failed(why) => (
            format!("fails: {why}"),
            "look at the container runtime; or --cri-socket none, where the kubelet's folders can \
             be read",
        ),
        Reached::Runtime(_) | Reached::Absent | Reached::Mute => return None,
    };
    Some((path, what, remedy.to_owned()))
}

fn said(verdict: Verdict, found: impl Into<String>, meaning: &str) -> Check {
    Check { name: NAME, verdict, found: found.into(), meaning: meaning.to_owned(), remedy: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(explicit: bool, reached: Reached, folders: &[&str]) -> (Verdict, String) {
        let folders: Vec<PathBuf> = folders.iter().map(PathBuf::from).collect();
        let check = judge(explicit, &[("/s".into(), reached)], &folders);
        assert_eq!(check.remedy.is_some(), check.verdict != Verdict::Pass);
        (check.verdict, check.found)
    }

    #[test]
    fn what_each_state_comes_to() {
        use Verdict::{Pass, Warn};
        let runtime = Reached::Runtime("containerd 2.1".into());
        assert_eq!(verdict(false, runtime, &[]), (Pass, "containerd 2.1 at /s".into()));
        assert_eq!(verdict(false, Reached::Absent, &["/a", "/b"]), (Pass, "/a, /b".into()));
        assert_eq!(verdict(false, Reached::Absent, &[]).0, Pass);
        assert_eq!(verdict(false, Reached::Mute, &[]).0, Pass);
        assert_eq!(verdict(true, Reached::Absent, &[]), (Warn, "/s does not exist".into()));
        assert_eq!(verdict(true, Reached::Mute, &[]).0, Warn);
        assert_eq!(verdict(false, Reached::NotPermitted, &["/a"]).0, Warn);
        assert_eq!(verdict(false, Reached::Failed("x".into()), &[]).1, "/s fails: x");
    }
}
