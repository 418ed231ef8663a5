//! What the kernel's side of a trace sends, taken apart.

use goroscope_ebpf_probes::trace::{
    KIND_SWITCH, KIND_TRANSITION, KIND_WAKEUP, KIND_WAKEUP_NEW, Switch, Transition, Wakeup,
};

/// One record of a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TraceRecord {
    /// A goroutine changes its status.
    Transition(Transition),
    /// A CPU goes from one thread to another.
    Switch(Switch),
    /// A thread wants a CPU.
    Wakeup(Wakeup),
}

impl TraceRecord {
    /// When it happened, in nanoseconds of `CLOCK_MONOTONIC`.
    #[must_use]
    pub fn at(&self) -> u64 {
        match self {
            Self::Transition(record) => record.at,
            Self::Switch(record) => record.at,
            Self::Wakeup(record) => record.at,
        }
    }

    /// Takes a record apart; one of another size or kind is none.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let word = |at: usize| {
            let word = bytes.get(at..at.checked_add(4)?)?;
            word.try_into().ok().map(u32::from_ne_bytes)
        };
        let long = |at: usize| {
            let long = bytes.get(at..at.checked_add(8)?)?;
            long.try_into().ok().map(u64::from_ne_bytes)
        };
        match word(0)? {
            KIND_TRANSITION => {
                let &[old, new, reason, reserved] = bytes.get(44..48)? else { return None };
                Some(Self::Transition(Transition {
                    kind: KIND_TRANSITION,
                    tid: word(4)?,
                    at: long(8)?,
                    g: long(16)?,
                    goid: long(24)?,
                    startpc: long(32)?,
                    processor: word(40)?.cast_signed(),
                    old,
                    new,
                    reason,
                    reserved,
                }))
            }
            KIND_SWITCH => Some(Self::Switch(Switch {
                kind: KIND_SWITCH,
                cpu: word(4)?,
                at: long(8)?,
                prev: word(16)?,
                next: word(20)?,
                flags: word(24)?,
                reserved: word(28)?,
            })),
            kind @ (KIND_WAKEUP | KIND_WAKEUP_NEW) => {
                Some(Self::Wakeup(Wakeup { kind, tid: word(4)?, at: long(8)? }))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_taken_apart() {
        let mut bytes: Vec<u8> = [1_u32, 7].iter().flat_map(|word| word.to_ne_bytes()).collect();
        for long in [100_u64, 0xc000, 21, 0x4000] {
            bytes.extend(long.to_ne_bytes());
        }
        bytes.extend((-1_i32).to_ne_bytes());
        bytes.extend([1, 2, 14, 0]);
        let expected = Transition {
            kind: 1,
            tid: 7,
            at: 100,
            g: 0xc000,
            goid: 21,
            startpc: 0x4000,
            processor: -1,
            old: 1,
            new: 2,
            reason: 14,
            reserved: 0,
        };
        assert_eq!(bytes.len(), size_of::<Transition>());
        assert_eq!(TraceRecord::decode(&bytes), Some(TraceRecord::Transition(expected)));
        for length in 0..bytes.len() {
            assert_eq!(TraceRecord::decode(&bytes[..length]), None, "{length} bytes");
        }
        let words = |words: &[u32]| -> Vec<u8> {
            words.iter().flat_map(|word| word.to_ne_bytes()).collect()
        };
        let switch = TraceRecord::decode(&words(&[2, 3, 5, 0, 10, 11, 1, 0])).unwrap();
        let expected = Switch { kind: 2, cpu: 3, at: 5, prev: 10, next: 11, flags: 1, reserved: 0 };
        assert_eq!(switch, TraceRecord::Switch(expected));
        let wakeup = TraceRecord::decode(&words(&[3, 9, 5, 0])).unwrap();
        assert_eq!(wakeup, TraceRecord::Wakeup(Wakeup { kind: 3, tid: 9, at: 5 }));
        assert_eq!(wakeup.at(), 5);
        assert_eq!(TraceRecord::decode(&words(&[5, 9, 5, 0])), None);
    }
}
