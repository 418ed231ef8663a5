//! Ids of threads as the kernel has them and as the agent sees them.
//!
//! Feeds no metric. Where the agent lives in the host's own pid namespace both are the same, and
//! nothing is asked; elsewhere an iterator over all threads tells.

use std::{collections::HashMap, io::Read as _};

use aya::{Btf, Ebpf, programs::Iter};
use goroscope_ebpf_probes::ids::Ids;

use super::{ProbeError, error::chain};

const PROGRAM: &str = "tasks";
/// Records that are read at most: the kernel's own limit of threads.
const MOST_THREADS: usize = 4 << 20;

/// Translates ids.
#[derive(Debug)]
pub(super) enum Tasks {
    /// They are the same.
    Same,
    /// They differ: the kernel's by those that the agent sees, as last read.
    Translated(HashMap<u32, u32>),
}

impl Tasks {
    /// Loads the iterator where ids differ.
    pub(super) fn new(ebpf: &mut Ebpf, btf: &Btf, translated: bool) -> Result<Self, ProbeError> {
        if !translated {
            return Ok(Self::Same);
        }
        let refused = |error| ProbeError::Program { program: PROGRAM, reason: chain(&error) };
        program(ebpf)?.load("task", btf).map_err(refused)?;
        Ok(Self::Translated(HashMap::new()))
    }

    /// Reads the ids of all threads anew; without effect where ids are the same.
    pub(super) fn refresh(&mut self, ebpf: &mut Ebpf) -> Result<(), ProbeError> {
        let Self::Translated(table) = self else {
            return Ok(());
        };
        let refused = |reason: String| ProbeError::Program { program: PROGRAM, reason };
        let program = program(ebpf)?;
        let link = program.attach().map_err(|error| refused(chain(&error)))?;
        let link = program.take_link(link).map_err(|error| refused(chain(&error)))?;
        let file = link.into_file().map_err(|error| refused(chain(&error)))?;
        let mut bytes = Vec::new();
        file.take((MOST_THREADS * size_of::<Ids>()) as u64)
            .read_to_end(&mut bytes)
            .map_err(|error| refused(error.to_string()))?;
        table.clear();
        table.extend(decode(&bytes).map(|ids| (ids.visible_pid, ids.pid)));
        Ok(())
    }

    /// The kernel's id of a thread that the agent sees, as last read.
    pub(super) fn kernel_id(&self, visible: u32) -> Option<u32> {
        match self {
            Self::Same => Some(visible),
            Self::Translated(table) => table.get(&visible).copied(),
        }
    }

    /// The id under which the agent sees a thread of the kernel, as last read.
    pub(super) fn visible_id(&self, kernel: u32) -> Option<u32> {
        match self {
            Self::Same => Some(kernel),
            Self::Translated(table) => {
                table.iter().find(|&(_, &id)| id == kernel).map(|(&visible, _)| visible)
            }
        }
    }

    /// All ids under which we see threads, by the kernel's own; `None` where both are the same.
    pub(super) fn visible_ids(&self) -> Option<HashMap<u32, u32>> {
        match self {
            Self::Same => None,
            Self::Translated(table) => {
                Some(table.iter().map(|(&visible, &kernel)| (kernel, visible)).collect())
            }
        }
    }
}

fn program(ebpf: &mut Ebpf) -> Result<&mut Iter, ProbeError> {
    ebpf.program_mut(PROGRAM)
        .and_then(|program| program.try_into().ok())
        .ok_or(ProbeError::Missing(PROGRAM))
}

/// The records in what the iterator wrote; an incomplete one at the end is left out.
fn decode(bytes: &[u8]) -> impl Iterator<Item = Ids> {
    bytes.as_chunks::<4>().0.as_chunks::<2>().0.iter().map(|[pid, visible_pid]| Ids {
        pid: u32::from_ne_bytes(*pid),
        visible_pid: u32::from_ne_bytes(*visible_pid),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_taken_apart() {
        let mut bytes = Vec::new();
        for word in [1000_u32, 1, 1001, 2] {
            bytes.extend(word.to_ne_bytes());
        }
        bytes.push(7);
        let expected = [Ids { pid: 1000, visible_pid: 1 }, Ids { pid: 1001, visible_pid: 2 }];
        assert_eq!(decode(&bytes).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn ids_go_both_ways() {
        assert_eq!(Tasks::Same.kernel_id(7), Some(7));
        assert_eq!(Tasks::Same.visible_id(7), Some(7));
        let tasks = Tasks::Translated(HashMap::from([(1, 1000), (2, 1001)]));
        assert_eq!(tasks.kernel_id(2), Some(1001));
        assert_eq!(tasks.visible_id(1000), Some(1));
        assert_eq!(tasks.kernel_id(1000), None);
    }
}
