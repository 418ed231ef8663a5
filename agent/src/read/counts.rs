//! How many goroutines live and were ever created, at a cost that grows with the number of
//! processors, not of goroutines.
//!
//! The number of those that live is the runtime's own formula, `gcount`. Goroutines are numbered;
//! each processor takes numbers in batches, so that the number created is the last number given out
//! less what the processors have not used. Threads for calls from C take a number as well. From
//! 1.26 the runtime counts creations itself.
//! <https://github.com/golang/go/blob/go1.26.0/src/runtime/proc.go> (`gcount`, `newproc1`)

use super::{
    error::ReadError,
    layout::{
        Layout,
        records::{P, SchedFree},
    },
    memory::{Bytes, Memory, Span},
};
use crate::inspect::address::ProcessAddress;

/// More processors than a machine has.
const MAX_PROCESSORS: u64 = 16_384;
/// The last of a processor's states, `_Pdead`.
const LAST_P_STATUS: u32 = 4;
/// Goroutine numbers that a processor takes at a time, `_GoidCacheBatch`.
const GOID_BATCH: u64 = 16;
/// How often the values are read until two readings in a row agree.
const MAX_ATTEMPTS: usize = 4;

/// Where the variables are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CountsAt {
    /// Address of `runtime.allglen`.
    pub(super) allglen: ProcessAddress,
    /// Address of `runtime.allp`.
    pub(super) allp: ProcessAddress,
    /// Address of `runtime.sched`.
    pub(super) sched: ProcessAddress,
    /// Addresses of the words whose sum is the number of threads for calls from C.
    pub(super) extra: [Option<ProcessAddress>; 2],
}

/// Goroutines, threads and processors of a process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Goroutines that live, without the runtime's own: `runtime.NumGoroutine()`.
    pub live: u64,
    /// Goroutines ever created, the runtime's own included.
    pub created: u64,
    /// Those of them that ended.
    pub exited: u64,
    /// Threads that the runtime made, without those of calls from C.
    pub threads: u64,
    /// `GOMAXPROCS`.
    pub gomaxprocs: u64,
    /// Two readings in a row were equal. Where not, the process is creating or ending goroutines
    /// just now, and the values may be off by what happened during the reading.
    pub settled: bool,
}

/// The words behind [`Counts`], as one reading found them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reading {
    pub(super) allglen: u64,
    pub(super) free: i64,
    pub(super) ngsys: i64,
    pub(super) goidgen: u64,
    /// Numbers that processors hold and have not given out.
    pub(super) unused_goids: u64,
    /// The last number that any processor holds.
    pub(super) last_cached: u64,
    /// The runtime's own count of creations.
    pub(super) counted: Option<u64>,
    pub(super) extra: Option<u64>,
    pub(super) threads: i64,
    pub(super) processors: u64,
}

impl Reading {
    fn counts(&self, extra_seen: u64) -> Counts {
        let existing = i128::from(self.allglen) - i128::from(self.free);
        let live = existing - i128::from(self.ngsys);
        let extra = self.extra.unwrap_or(0).max(extra_seen);
        let numbered = self.goidgen.saturating_sub(self.unused_goids);
        let created = self.counted.unwrap_or_else(|| numbered.saturating_sub(extra));
        // The records of threads for calls from C are in the table without having been created.
        let exited = i128::from(created) + i128::from(extra) - existing;
        // A process that changes meanwhile can make the words contradict each other; like the
        // runtime, which says at least 1, no impossible value is let out.
        let live = clamp(live.max(1), created);
        Counts {
            live,
            created,
            exited: clamp(exited, created.saturating_sub(live)),
            threads: clamp(i128::from(self.threads), u64::MAX).saturating_sub(extra),
            gomaxprocs: self.processors,
            settled: false,
        }
    }
}

fn clamp(value: i128, most: u64) -> u64 {
    u64::try_from(value.max(0)).unwrap_or(u64::MAX).min(most)
}

/// Reads the counts. `extra_seen` is the number of records of threads for calls from C that the
/// last scan found; it serves where the variables that count them are not known, or count some only.
///
/// # Errors
/// [`ReadError::NotStarted`], [`ReadError::Implausible`], [`ReadError::Memory`].
pub(super) fn read(
    memory: &impl Memory,
    layout: &Layout,
    at: &CountsAt,
    extra_seen: u64,
) -> Result<Counts, ReadError> {
    let mut last = reading(memory, layout, at)?;
    let mut created = last.counts(extra_seen).created;
    for _ in 1..MAX_ATTEMPTS {
        let again = reading(memory, layout, at)?;
        let counts = again.counts(extra_seen);
        if again == last {
            return Ok(Counts { settled: true, ..counts });
        }
        created = created.min(counts.created);
        last = again;
    }
    // A processor that takes numbers just now looks as if it had given them out. That lasts for an
    // instant, so that the least of several readings is without it.
    let counts = last.counts(extra_seen);
    Ok(Counts {
        created,
        live: counts.live.min(created),
        exited: counts.exited.min(created.saturating_sub(counts.live)),
        ..counts
    })
}

/// Reads the words once.
pub(super) fn reading(
    memory: &impl Memory,
    layout: &Layout,
    at: &CountsAt,
) -> Result<Reading, ReadError> {
    let words = Words::read(memory, layout, at)?;
    let mut reading = words.reading;
    for processor in processors(memory, layout, &words.allp)? {
        reading.unused_goids = reading.unused_goids.saturating_add(processor.unused_goids());
        reading.last_cached = reading.last_cached.max(processor.goidcacheend.saturating_sub(1));
        if processor.active {
            reading.free = reading.free.saturating_add(i64::from(processor.free));
        }
        if let (Some(sum), Some(more)) = (reading.counted.as_mut(), processor.created)
            && processor.active
        {
            *sum = sum.saturating_add(more);
        }
    }
    Ok(reading)
}

/// What does not belong to a processor.
struct Words {
    reading: Reading,
    allp: Slice,
}

/// The header of a slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Slice {
    first: u64,
    length: u64,
    capacity: u64,
}

impl Slice {
    /// Bytes of a header.
    const SIZE: usize = 24;

    fn parse(bytes: Bytes<'_>, offset: u32) -> Option<Self> {
        Some(Self {
            first: bytes.u64(offset)?,
            length: bytes.u64(offset + 8)?,
            capacity: bytes.u64(offset + 16)?,
        })
    }
}

impl Words {
    fn read(memory: &impl Memory, layout: &Layout, at: &CountsAt) -> Result<Self, ReadError> {
        let sched = &layout.sched;
        let field = |offset: u32, length: usize| -> Result<Span, ReadError> {
            let at = at.sched.0.checked_add(u64::from(offset));
            let at = at.ok_or(ReadError::implausible("runtime.sched", "it is no address"))?;
            Ok(Span { at: ProcessAddress(at), length })
        };
        let (free, free_too) = match sched.free {
            SchedFree::One { count, .. } => (count, None),
            SchedFree::Two { stack_count, no_stack_count, .. } => {
                (stack_count, Some(no_stack_count))
            }
        };
        // Each word where it is, one behind the other in the buffer; those that this release does
        // not have stay zero at the end.
        let mut spans = vec![
            Span { at: at.allglen, length: 8 },
            Span { at: at.allp, length: Slice::SIZE },
            field(sched.goidgen, 8)?,
            field(sched.mnext, 8)?,
            field(sched.nmfreed, 8)?,
            field(sched.ngsys, 4)?,
            field(free, 4)?,
        ];
        let mut next = 64_u32;
        let mut optional = |span: Option<Span>| {
            let span = span?;
            let offset = next;
            next += u32::try_from(span.length).ok()?;
            spans.push(span);
            Some(offset)
        };
        let free_too = optional(free_too.map(|offset| field(offset, 4)).transpose()?);
        let created =
            optional(sched.goroutines_created.map(|offset| field(offset, 8)).transpose()?);
        let extra = at.extra.map(|at| optional(at.map(|at| Span { at, length: 4 })));
        let mut buffer = vec![0; spans.iter().map(|span| span.length).sum()];
        memory.read_many(&spans, &mut buffer)?;
        let buffer = Bytes(&buffer);
        let cut_off = || ReadError::implausible("runtime.sched", "it is cut off");
        let read = || -> Option<Self> {
            let free = i64::from(buffer.i32(60)?);
            let free_too = match free_too {
                Some(offset) => i64::from(buffer.i32(offset)?),
                None => 0,
            };
            let extra = match extra {
                [None, None] => None,
                [first, second] => {
                    Some([first, second].into_iter().flatten().try_fold(0_u64, |sum, offset| {
                        Some(sum + u64::from(buffer.u32(offset)?))
                    })?)
                }
            };
            Some(Self {
                reading: Reading {
                    allglen: buffer.u64(0)?,
                    free: free + free_too,
                    ngsys: i64::from(buffer.i32(56)?),
                    goidgen: buffer.u64(32)?,
                    unused_goids: 0,
                    last_cached: 0,
                    counted: match created {
                        Some(offset) => Some(buffer.u64(offset)?),
                        None => None,
                    },
                    extra,
                    threads: buffer.i64(40)?.saturating_sub(buffer.i64(48)?),
                    processors: buffer.u64(16)?,
                },
                allp: Slice::parse(buffer, 8)?,
            })
        };
        read().ok_or_else(cut_off)
    }
}

/// What is read of a `runtime.p`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Processor {
    pub(super) id: u32,
    pub(super) status: u32,
    goidcache: u64,
    goidcacheend: u64,
    free: i32,
    created: Option<u64>,
    /// It is one of the `GOMAXPROCS` first; the others keep the numbers they took, no more.
    active: bool,
}

impl Processor {
    fn unused_goids(&self) -> u64 {
        self.goidcacheend.saturating_sub(self.goidcache)
    }

    /// The words read of the processor at an address, in the order of [`Processor::parse`].
    fn spans(at: u64, p: &P) -> Option<Vec<Span>> {
        let span = |offset: u32, length| {
            Some(Span { at: ProcessAddress(at.checked_add(u64::from(offset))?), length })
        };
        let mut spans = vec![
            span(p.id, 4)?,
            span(p.status, 4)?,
            span(p.goidcache, 8)?,
            span(p.goidcacheend, 8)?,
            span(p.free, 4)?,
        ];
        if let Some(offset) = p.goroutines_created {
            spans.push(span(offset, 8)?);
        }
        Some(spans)
    }

    fn parse(bytes: &[u8], active: bool) -> Option<Self> {
        let bytes = Bytes(bytes);
        Some(Self {
            id: bytes.u32(0)?,
            status: bytes.u32(4)?,
            goidcache: bytes.u64(8)?,
            goidcacheend: bytes.u64(16)?,
            free: bytes.i32(24)?,
            created: bytes.u64(28),
            active,
        })
    }
}

/// Reads all processors, also those that `GOMAXPROCS` no longer includes.
fn processors(
    memory: &impl Memory,
    layout: &Layout,
    allp: &Slice,
) -> Result<Vec<Processor>, ReadError> {
    let wrong = |why| ReadError::implausible("runtime.allp", why);
    if allp.length == 0 {
        return Err(ReadError::NotStarted);
    }
    if allp.length > allp.capacity || allp.capacity > MAX_PROCESSORS {
        return Err(wrong("its length is impossible"));
    }
    let capacity = usize::try_from(allp.capacity).unwrap_or(0);
    let mut addresses = vec![0; capacity * 8];
    memory.read(ProcessAddress(allp.first), &mut addresses)?;
    let mut spans = Vec::with_capacity(capacity * 6);
    let mut active = Vec::with_capacity(capacity);
    for (index, word) in (0_u64..).zip(addresses.chunks_exact(8)) {
        let at = Bytes(word).u64(0).unwrap_or(0);
        // Behind the length there may be room that was never used.
        if at != 0 {
            spans.extend(Processor::spans(at, &layout.p).ok_or(wrong("it holds no addresses"))?);
            active.push(index < allp.length);
        }
    }
    let mut buffer = vec![0; spans.iter().map(|span| span.length).sum()];
    memory.read_many(&spans, &mut buffer)?;
    let size = if layout.p.goroutines_created.is_some() { 36 } else { 28 };
    let parsed = buffer
        .chunks_exact(size)
        .zip(active)
        .map(|(bytes, active)| Processor::parse(bytes, active));
    parsed.collect::<Option<_>>().ok_or(wrong("it is cut off"))
}

/// Checks that `allp` is the table of processors: each has its own number, and a state.
///
/// # Errors
/// [`ReadError::NotStarted`], [`ReadError::Implausible`], [`ReadError::Memory`].
pub(super) fn check_processors(
    memory: &impl Memory,
    layout: &Layout,
    allp: ProcessAddress,
) -> Result<(), ReadError> {
    let wrong = |why| ReadError::implausible("runtime.allp", why);
    let mut header = [0; Slice::SIZE];
    memory.read(allp, &mut header)?;
    let slice = Slice::parse(Bytes(&header), 0).ok_or(wrong("it is cut off"))?;
    let processors = processors(memory, layout, &slice)?;
    let active = processors.iter().filter(|processor| processor.active).count();
    if u64::try_from(active) != Ok(slice.length) {
        return Err(wrong("it has holes"));
    }
    for (index, processor) in (0_u32..).zip(&processors) {
        if processor.id != index || processor.status > LAST_P_STATUS {
            return Err(wrong("a processor has not its own number and a state"));
        }
        if processor.unused_goids() > GOID_BATCH {
            return Err(wrong("a processor holds too many goroutine numbers"));
        }
    }
    Ok(())
}
