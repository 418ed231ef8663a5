//! Offsets in the running kernel's structures, from its BTF.
//!
//! Only what [`TaskLayout`] needs; the format is
//! <https://github.com/torvalds/linux/blob/v6.18/Documentation/bpf/btf.rst>.

use std::{collections::HashMap, path::Path};

use goroscope_ebpf_probes::sched::TaskLayout;
use thiserror::Error;

/// Where the kernel shows its BTF.
pub const VMLINUX: &str = "/sys/kernel/btf/vmlinux";

const MAGIC: u16 = 0xeb9f;
const KIND_INT: u32 = 1;
const KIND_ARRAY: u32 = 3;
const KIND_STRUCT: u32 = 4;
const KIND_UNION: u32 = 5;
const KIND_ENUM: u32 = 6;
const KIND_TYPEDEF: u32 = 8;
const KIND_FUNC_PROTO: u32 = 13;
const KIND_VAR: u32 = 14;
const KIND_DATASEC: u32 = 15;
const KIND_DECL_TAG: u32 = 17;
const KIND_ENUM64: u32 = 19;

/// `PIDTYPE_TGID`: <https://github.com/torvalds/linux/blob/v6.18/include/linux/pid_types.h>.
const PIDTYPE_TGID: u32 = 1;
/// Size of a pointer of the kernel.
const POINTER: u32 = 8;

/// Anonymous structs and unions are followed this deep.
const MAX_DEPTH: u32 = 8;

/// Why the kernel's BTF is of no use.
#[derive(Debug, Error)]
pub enum KernelBtfError {
    /// The file could not be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not BTF, or cut short.
    #[error("the kernel's BTF is malformed at byte {at}")]
    Malformed {
        /// Where.
        at: usize,
    },
    /// A structure or a member is not there.
    #[error("the kernel's BTF has no {0}")]
    Missing(&'static str),
}

/// The layout of the running kernel's structures, without a namespace to translate into.
///
/// # Errors
///
/// Where the file cannot be read, is not BTF, or lacks a member that is needed.
pub fn task_layout(path: &Path) -> Result<TaskLayout, KernelBtfError> {
    let bytes = std::fs::read(path)
        .map_err(|source| KernelBtfError::Read { path: path.display().to_string(), source })?;
    layout(&bytes)
}

/// [`task_layout`] of bytes at hand.
fn layout(bytes: &[u8]) -> Result<TaskLayout, KernelBtfError> {
    let btf = Btf::parse(bytes)?;
    let task = btf.named(KIND_STRUCT, "task_struct", "task_struct")?;
    let signal = btf.named(KIND_STRUCT, "signal_struct", "signal_struct")?;
    let pid = btf.named(KIND_STRUCT, "pid", "pid")?;
    let upid = btf.named(KIND_STRUCT, "upid", "upid")?;
    let namespace = btf.named(KIND_STRUCT, "pid_namespace", "pid_namespace")?;
    let common = btf.named(KIND_STRUCT, "ns_common", "ns_common")?;
    let sched_info = btf.named(KIND_STRUCT, "sched_info", "sched_info")?;
    let member = |of, name: &'static str| {
        btf.member(of, name, MAX_DEPTH)?.ok_or(KernelBtfError::Missing(name))
    };
    // Renamed in Linux 5.14.
    let state = match btf.member(task, "__state", MAX_DEPTH)? {
        Some(offset) => offset,
        None => member(task, "state")?,
    };
    let switch = btf.named(KIND_TYPEDEF, "btf_trace_sched_switch", "btf_trace_sched_switch")?;
    Ok(TaskLayout {
        pid: member(task, "pid")?,
        tgid: member(task, "tgid")?,
        state,
        nvcsw: member(task, "nvcsw")?,
        nivcsw: member(task, "nivcsw")?,
        run_delay: member(task, "sched_info")? + member(sched_info, "run_delay")?,
        signal: member(task, "signal")?,
        signal_live: member(signal, "live")?,
        // The context comes first, then preempt, prev, next, and since Linux 5.18 prev_state.
        switch_has_state: u32::from(btf.parameters(switch)? >= 5),
        namespace: 0,
        thread_pid: member(task, "thread_pid")?,
        signal_tgid: member(signal, "pids")? + PIDTYPE_TGID * POINTER,
        pid_level: member(pid, "level")?,
        pid_numbers: member(pid, "numbers")?,
        upid_nr: member(upid, "nr")?,
        upid_ns: member(upid, "ns")?,
        namespace_inum: member(namespace, "ns")? + member(common, "inum")?,
        reserved: 0,
    })
}

/// The types, each by the offset of its record; type 0 is `void`.
struct Btf<'a> {
    bytes: &'a [u8],
    types: Vec<usize>,
    names: usize,
    by_name: HashMap<(u32, &'a [u8]), u32>,
}

/// The head of a type's record.
struct Head {
    name: u32,
    kind: u32,
    /// Number of members, parameters, …
    count: u32,
    /// Members' offsets are bit fields' sizes and offsets.
    bit_fields: bool,
    size_or_type: u32,
}

impl<'a> Btf<'a> {
    fn parse(bytes: &'a [u8]) -> Result<Self, KernelBtfError> {
        let magic = bytes.get(..2).and_then(|b| b.try_into().ok()).map(u16::from_le_bytes);
        if magic != Some(MAGIC) {
            return Err(KernelBtfError::Malformed { at: 0 });
        }
        let mut btf = Self { bytes, types: vec![0], names: 0, by_name: HashMap::new() };
        let field = |at| {
            btf.word(at)
                .and_then(|word| usize::try_from(word).ok().ok_or(KernelBtfError::Malformed { at }))
        };
        let (head, types, types_len, names) = (field(4)?, field(8)?, field(12)?, field(16)?);
        let malformed = || KernelBtfError::Malformed { at: head };
        btf.names = head.checked_add(names).ok_or_else(malformed)?;
        let mut at = head.checked_add(types).ok_or_else(malformed)?;
        let end =
            at.checked_add(types_len).filter(|&end| end <= bytes.len()).ok_or_else(malformed)?;
        while at < end {
            let id =
                u32::try_from(btf.types.len()).map_err(|_| KernelBtfError::Malformed { at })?;
            let head = btf.head(at)?;
            btf.types.push(at);
            if matches!(head.kind, KIND_STRUCT | KIND_TYPEDEF) {
                let name = btf.name(head.name)?;
                btf.by_name.entry((head.kind, name)).or_insert(id);
            }
            at += 12 + trailer(&head);
        }
        Ok(btf)
    }

    fn word(&self, at: usize) -> Result<u32, KernelBtfError> {
        at.checked_add(4)
            .and_then(|end| self.bytes.get(at..end))
            .and_then(|word| word.try_into().ok())
            .map(u32::from_le_bytes)
            .ok_or(KernelBtfError::Malformed { at })
    }

    fn head(&self, at: usize) -> Result<Head, KernelBtfError> {
        let info = self.word(at + 4)?;
        Ok(Head {
            name: self.word(at)?,
            kind: info >> 24 & 0x1f,
            count: info & 0xffff,
            bit_fields: info >> 31 != 0,
            size_or_type: self.word(at + 8)?,
        })
    }

    fn name(&self, offset: u32) -> Result<&'a [u8], KernelBtfError> {
        let at = self.names + offset as usize;
        let rest = self.bytes.get(at..).ok_or(KernelBtfError::Malformed { at })?;
        rest.split(|&byte| byte == 0).next().ok_or(KernelBtfError::Malformed { at })
    }

    fn at(&self, id: u32) -> Result<usize, KernelBtfError> {
        let at = self.types.get(id as usize).copied().unwrap_or(0);
        if at == 0 { Err(KernelBtfError::Malformed { at }) } else { Ok(at) }
    }

    fn named(&self, kind: u32, name: &str, what: &'static str) -> Result<u32, KernelBtfError> {
        let id = self.by_name.get(&(kind, name.as_bytes()));
        id.copied().ok_or(KernelBtfError::Missing(what))
    }

    /// Offset in bytes of a member, also of one inside anonymous structs and unions.
    fn member(&self, id: u32, name: &str, depth: u32) -> Result<Option<u32>, KernelBtfError> {
        let at = self.at(id)?;
        let head = self.head(at)?;
        if !matches!(head.kind, KIND_STRUCT | KIND_UNION) {
            return Ok(None);
        }
        for index in 0..head.count as usize {
            let entry = at + 12 + index * 12;
            let bits = self.word(entry + 8)?;
            let bits = if head.bit_fields { bits & 0x00ff_ffff } else { bits };
            let member = self.name(self.word(entry)?)?;
            if member == name.as_bytes() {
                return Ok(Some(bits / 8));
            }
            if member.is_empty()
                && depth > 0
                && let Some(inner) = self.member(self.word(entry + 4)?, name, depth - 1)?
            {
                return Ok(Some(bits / 8 + inner));
            }
        }
        Ok(None)
    }

    /// Number of parameters of the function that a typedef of a pointer points to.
    fn parameters(&self, typedef: u32) -> Result<u32, KernelBtfError> {
        let pointer = self.head(self.at(typedef)?)?.size_or_type;
        let at = self.at(self.head(self.at(pointer)?)?.size_or_type)?;
        let function = self.head(at)?;
        if function.kind != KIND_FUNC_PROTO {
            return Err(KernelBtfError::Malformed { at });
        }
        Ok(function.count)
    }
}

/// Bytes that follow the head of a record.
fn trailer(head: &Head) -> usize {
    let count = head.count as usize;
    match head.kind {
        KIND_INT | KIND_VAR | KIND_DECL_TAG => 4,
        KIND_ARRAY => 12,
        KIND_STRUCT | KIND_UNION | KIND_DATASEC | KIND_ENUM64 => count * 12,
        KIND_ENUM | KIND_FUNC_PROTO => count * 8,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND_PTR: u32 = 2;

    /// BTF with the given type records and names.
    fn btf(types: &[u32], names: &[u8]) -> Vec<u8> {
        let types: Vec<u8> = types.iter().flat_map(|word| word.to_le_bytes()).collect();
        let mut bytes = MAGIC.to_le_bytes().to_vec();
        bytes.extend([1, 0]);
        let length = |of: &[u8]| u32::try_from(of.len()).unwrap();
        for word in [24, 0, length(&types), length(&types), length(names)] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend(types);
        bytes.extend(names);
        bytes
    }

    const NAMES: &[u8] = b"\0task_struct\0signal_struct\0pid\0tgid\0__state\0nvcsw\0nivcsw\0sched_info\0run_delay\0signal\0live\0thread_pid\0pids\0upid\0pid_namespace\0ns_common\0level\0numbers\0nr\0ns\0inum\0btf_trace_sched_switch\0";

    fn name(of: &str) -> u32 {
        let needle = format!("\0{of}\0");
        let at = NAMES.windows(needle.len()).position(|part| part == needle.as_bytes());
        u32::try_from(at.unwrap() + 1).unwrap()
    }

    fn kernel() -> Vec<u32> {
        vec![
            // 1: task_struct { u32 __state; sched_info at 24; anonymous struct 2 at 8; signal at 40 }
            name("task_struct"),
            KIND_STRUCT << 24 | 5,
            56,
            name("__state"),
            0,
            0,
            name("sched_info"),
            0,
            192,
            0,
            2,
            64,
            name("thread_pid"),
            0,
            384,
            name("signal"),
            0,
            320,
            // 2: struct { pid; tgid; nvcsw; nivcsw }
            0,
            KIND_STRUCT << 24 | 4,
            20,
            name("pid"),
            0,
            0,
            name("tgid"),
            0,
            32,
            name("nvcsw"),
            0,
            64,
            name("nivcsw"),
            0,
            128,
            // 3: signal_struct { live at 4; pids at 16 }
            name("signal_struct"),
            KIND_STRUCT << 24 | 2,
            48,
            name("live"),
            0,
            32,
            name("pids"),
            0,
            128,
            // 4: typedef of 5, 5: pointer to 6, 6: function of five parameters
            name("btf_trace_sched_switch"),
            KIND_TYPEDEF << 24,
            5,
            0,
            KIND_PTR << 24,
            6,
            0,
            KIND_FUNC_PROTO << 24 | 5,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            // 7: sched_info { run_delay at 8 }
            name("sched_info"),
            KIND_STRUCT << 24 | 1,
            16,
            name("run_delay"),
            0,
            64,
            // 8: pid { level at 4; numbers at 96 }
            name("pid"),
            KIND_STRUCT << 24 | 2,
            96,
            name("level"),
            0,
            32,
            name("numbers"),
            0,
            768,
            // 9: upid { nr at 0; ns at 8 }
            name("upid"),
            KIND_STRUCT << 24 | 2,
            16,
            name("nr"),
            0,
            0,
            name("ns"),
            0,
            64,
            // 10: pid_namespace { ns at 24 }
            name("pid_namespace"),
            KIND_STRUCT << 24 | 1,
            48,
            name("ns"),
            0,
            192,
            // 11: ns_common { inum at 16 }
            name("ns_common"),
            KIND_STRUCT << 24 | 1,
            24,
            name("inum"),
            0,
            128,
        ]
    }

    #[test]
    fn members_are_found_also_inside_anonymous_structs() {
        let layout = layout(&btf(&kernel(), NAMES)).unwrap();
        let expected = TaskLayout {
            pid: 8,
            tgid: 12,
            state: 0,
            nvcsw: 16,
            nivcsw: 24,
            run_delay: 32,
            signal: 40,
            signal_live: 4,
            switch_has_state: 1,
            namespace: 0,
            thread_pid: 48,
            signal_tgid: 24,
            pid_level: 4,
            pid_numbers: 96,
            upid_nr: 0,
            upid_ns: 8,
            namespace_inum: 40,
            reserved: 0,
        };
        assert_eq!(layout, expected);
    }

    #[test]
    fn what_is_missing_is_named() {
        let mut types = kernel();
        // Without the last member.
        types[1] = KIND_STRUCT << 24 | 4;
        types.drain(15..18);
        let error = layout(&btf(&types, NAMES)).unwrap_err();
        assert_eq!(error.to_string(), "the kernel's BTF has no signal");
    }

    #[test]
    fn a_cut_or_foreign_file_is_an_error() {
        let whole = btf(&kernel(), NAMES);
        for length in 0..whole.len() - NAMES.len() {
            assert!(layout(&whole[..length]).is_err(), "cut at {length}");
        }
        assert!(layout(b"\x7fELF").is_err());
    }

    #[test]
    fn an_endless_nest_of_anonymous_structs_ends() {
        let mut types = kernel();
        // The anonymous struct contains itself.
        types[21] = 0;
        types[22] = 2;
        assert!(layout(&btf(&types, NAMES)).is_err());
    }
}
