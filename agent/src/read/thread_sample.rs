//! What a thread was doing at one moment: the registers that tell where it is on which stack, and
//! the bytes of that stack, both copied by the kernel while the thread was interrupted for it.
//!
//! The form is that of a sample of `perf_event_open(2)` with `PERF_SAMPLE_REGS_USER` and
//! `PERF_SAMPLE_STACK_USER`:
//! <https://github.com/torvalds/linux/blob/v6.12/include/uapi/linux/perf_event.h#L1000>

use super::memory::Bytes;

/// Registers in the order of their numbers, which is the order within a sample:
/// <https://github.com/torvalds/linux/blob/v6.12/arch/x86/include/uapi/asm/perf_regs.h>,
/// <https://github.com/torvalds/linux/blob/v6.12/arch/arm64/include/uapi/asm/perf_regs.h>.
#[cfg(not(target_arch = "aarch64"))]
const REGISTERS: [(u32, Register); 3] =
    [(7, Register::Sp), (8, Register::Pc), (22, Register::Goroutine)];
#[cfg(target_arch = "aarch64")]
const REGISTERS: [(u32, Register); 4] =
    [(28, Register::Goroutine), (30, Register::Lr), (31, Register::Sp), (32, Register::Pc)];

/// `PERF_SAMPLE_REGS_ABI_64`.
const ABI_64: u64 = 2;

/// What is wanted of a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Register {
    Sp,
    Pc,
    /// The link register.
    #[cfg(target_arch = "aarch64")]
    Lr,
    /// Where Go keeps the goroutine: r14, x28.
    Goroutine,
}

/// A sample of a thread.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// The next instruction.
    pub pc: u64,
    /// The stack pointer.
    pub sp: u64,
    /// The link register, on arm64; 0 elsewhere.
    pub lr: u64,
    /// What is in the register for the goroutine's record. In code of C that is anything.
    pub goroutine: u64,
    /// The stack from `sp` on.
    pub stack: Vec<u8>,
}

impl Sample {
    /// The registers that are wanted, as `sample_regs_user` has it.
    #[must_use]
    pub fn registers() -> u64 {
        REGISTERS.iter().fold(0, |mask, (number, _)| mask | 1 << number)
    }

    /// Reads a sample of these registers and of a stack, nothing else; `None` for another one, and
    /// for one of a thread that had no registers to be told.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let fields = Bytes(bytes);
        if fields.u64(0)? != ABI_64 {
            return None;
        }
        let mut sample = Self::default();
        let mut at = 8;
        for (_, register) in REGISTERS {
            let value = fields.u64(at)?;
            at += 8;
            match register {
                Register::Sp => sample.sp = value,
                Register::Pc => sample.pc = value,
                #[cfg(target_arch = "aarch64")]
                Register::Lr => sample.lr = value,
                Register::Goroutine => sample.goroutine = value,
            }
        }
        // Room for the stack, then how much of it was filled.
        let room = u32::try_from(fields.u64(at)?).ok()?;
        at += 8;
        if room > 0 {
            let filled = fields.u64(at.checked_add(room)?)?.min(u64::from(room));
            let start = usize::try_from(at).ok()?;
            let end = start.checked_add(usize::try_from(filled).ok()?)?;
            bytes.get(start..end)?.clone_into(&mut sample.stack);
        }
        Some(sample)
    }
}

/// Why a thread could not be sampled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum SampleError {
    /// The thread has ended.
    #[error("the thread has ended")]
    Gone,
    /// The kernel refuses.
    #[error(
        "perf_event_open is not permitted; it needs CAP_PERFMON or kernel.perf_event_paranoid at 2 \
         or less, and no filter of system calls in its way"
    )]
    NotPermitted,
    /// This kernel, or this machine, cannot.
    #[error("this kernel cannot sample threads (perf_event_open)")]
    NotBuiltIn,
    /// The kernel's error number for anything else.
    #[error("perf_event_open failed: {}", std::io::Error::from_raw_os_error(*.0))]
    Os(i32),
}

/// Samples threads of a process. They are not stopped.
pub trait Sampler {
    /// Begins to sample a thread, which has this id for itself, with so many bytes of its stack, a
    /// multiple of 8. It ends when what is returned is dropped.
    ///
    /// # Errors
    /// As [`SampleError`] says.
    fn begin(&mut self, thread: u32, stack: usize) -> Result<Box<dyn Sampled>, SampleError>;
}

/// A thread that is being sampled.
pub trait Sampled {
    /// The next sample; `None` where there is none yet.
    fn next(&mut self) -> Option<Sample>;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(words: &[u64]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn registers_and_what_was_copied_of_the_stack() {
        assert_eq!(Sample::registers(), 1 << 7 | 1 << 8 | 1 << 22);
        let told = bytes(&[2, 0x7000, 0x40_1000, 0xc000, 24, 1, 2, 0xdead, 16]);
        let sample =
            Sample { pc: 0x40_1000, sp: 0x7000, lr: 0, goroutine: 0xc000, stack: bytes(&[1, 2]) };
        assert_eq!(Sample::parse(&told), Some(sample.clone()));
        let none = bytes(&[2, 0x7000, 0x40_1000, 0xc000, 0]);
        assert_eq!(Sample::parse(&none), Some(Sample { stack: Vec::new(), ..sample }));
    }

    #[test]
    fn what_is_no_sample() {
        let told = |abi: u64, behind: &[u64]| {
            let registers = vec![1_u64; REGISTERS.len()];
            Sample::parse(&bytes(&[&[abi], registers.as_slice(), behind].concat()))
        };
        assert!(told(2, &[0]).is_some());
        // Of a thread without registers of its own, and of one with those of 32 bits.
        assert_eq!((told(0, &[0]), told(1, &[0])), (None, None));
        // It ends too soon.
        for behind in [&[][..], &[1 << 40], &[64, 5], &[8, 5]] {
            assert_eq!(told(2, behind), None, "{behind:?}");
        }
        assert_eq!(Sample::parse(&[]), None);
    }
}
