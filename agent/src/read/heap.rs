//! The heap, as `runtime/metrics` gives it.
//!
//! The allocator's counters are deltas in a ring of three: one is written, one holds what was
//! written before the last reading by the program itself, one is empty. Their sum is what
//! `runtime/metrics` shows. While the program itself reads, it moves values from one to another:
//! then the third is not empty, and the reading is repeated.
//! <https://github.com/golang/go/blob/go1.26.0/src/runtime/mstats.go> (`consistentHeapStats`),
//! <https://github.com/golang/go/blob/go1.26.0/src/runtime/metrics.go> (`heapStatsAggregate`)

use super::{
    error::ReadError,
    layout::{Layout, records::HeapStats},
    memory::{Bytes, Memory, Span},
    size_class::SIZES,
};
use crate::inspect::address::ProcessAddress;

/// Deltas in the ring.
const GENERATIONS: u32 = 3;
/// How often a reading is repeated.
const MAX_ATTEMPTS: usize = 16;
/// The largest delta there is any reason to read.
const MAX_DELTA: u32 = 65_536;
/// Heap memory is handed out in pages of this many bytes.
const PAGE: i64 = 8192;

/// What the heap holds and has held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Heap {
    /// Objects, live ones and those not yet swept: `/gc/heap/objects:objects`.
    pub objects: u64,
    /// Their bytes: `/memory/classes/heap/objects:bytes`.
    pub object_bytes: u64,
    /// Allocated since the program started: `/gc/heap/allocs:bytes`.
    pub allocated_bytes: u64,
    /// Objects allocated since then: `/gc/heap/allocs:objects`.
    pub allocated_objects: u64,
    /// Stacks: `/memory/classes/heap/stacks:bytes`.
    pub stack_bytes: u64,
}

/// Reads the counters; `stats` is `runtime.memstats`.
///
/// # Errors
/// [`ReadError::Torn`], [`ReadError::Implausible`], [`ReadError::Memory`].
pub(super) fn read(
    memory: &impl Memory,
    layout: &Layout,
    stats: ProcessAddress,
) -> Result<Heap, ReadError> {
    let wrong = |why| ReadError::implausible("runtime.memstats", why);
    let size = layout.heap.size;
    if size == 0 || size > MAX_DELTA {
        return Err(wrong("its size is impossible"));
    }
    let at = |offset: u32| stats.0.checked_add(u64::from(offset)).map(ProcessAddress);
    let ring = at(layout.stats.heap_stats).ok_or(wrong("it is no address"))?;
    let generation = at(layout.stats.heap_stats_gen).ok_or(wrong("it is no address"))?;
    let length = usize::try_from(size * GENERATIONS).unwrap_or(0);
    let spans = [
        Span { at: generation, length: 4 },
        Span { at: ring, length },
        Span { at: generation, length: 4 },
    ];
    let mut buffer = vec![0; length + 8];
    for _ in 0..MAX_ATTEMPTS {
        memory.read_many(&spans, &mut buffer)?;
        let before = Bytes(&buffer).u32(0);
        let after = buffer.last_chunk::<4>().map(|word| u32::from_le_bytes(*word));
        let (Some(current), true) = (before, before == after) else { continue };
        if current >= GENERATIONS {
            return Err(wrong("its generation is impossible"));
        }
        let ring = buffer.get(4..4 + length).unwrap_or_default();
        let delta = usize::try_from(size).unwrap_or(usize::MAX);
        let mut deltas = ring.chunks_exact(delta);
        let empty = usize::try_from((current + 1) % GENERATIONS).unwrap_or(0);
        if !deltas.clone().nth(empty).is_some_and(|delta| delta.iter().all(|byte| *byte == 0)) {
            continue;
        }
        let sum = deltas.try_fold(Sum::default(), |sum, delta| sum.add(&layout.heap, delta));
        return sum.ok_or(wrong("it is cut off"))?.heap();
    }
    Err(ReadError::Torn("runtime.memstats.heapStats"))
}

/// The sum of the deltas. The counters wrap around in a delta, and come right in the sum.
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    committed: i64,
    in_heap: i64,
    in_stacks: i64,
    allocated: u64,
    allocations: u64,
    freed: u64,
    frees: u64,
}

impl Sum {
    fn add(mut self, layout: &HeapStats, delta: &[u8]) -> Option<Self> {
        let delta = Bytes(delta);
        self.committed = self.committed.wrapping_add(delta.i64(layout.committed)?);
        self.in_heap = self.in_heap.wrapping_add(delta.i64(layout.in_heap)?);
        self.in_stacks = self.in_stacks.wrapping_add(delta.i64(layout.in_stacks)?);
        self.allocated = self.allocated.wrapping_add(delta.u64(layout.large_alloc)?);
        self.allocations = self.allocations.wrapping_add(delta.u64(layout.large_alloc_count)?);
        self.freed = self.freed.wrapping_add(delta.u64(layout.large_free)?);
        self.frees = self.frees.wrapping_add(delta.u64(layout.large_free_count)?);
        if usize::try_from(layout.size_classes).ok()? != SIZES.len() {
            return None;
        }
        for (class, size) in (0_u32..).zip(SIZES) {
            let count = |offset: u32| delta.u64(offset.checked_add(class * 8)?);
            let (allocations, frees) =
                (count(layout.small_alloc_count)?, count(layout.small_free_count)?);
            self.allocations = self.allocations.wrapping_add(allocations);
            self.allocated = self.allocated.wrapping_add(allocations.wrapping_mul(size));
            self.frees = self.frees.wrapping_add(frees);
            self.freed = self.freed.wrapping_add(frees.wrapping_mul(size));
        }
        Some(self)
    }

    /// Checks that the sum is one that a heap can have.
    fn heap(self) -> Result<Heap, ReadError> {
        let wrong = |why| ReadError::implausible("runtime.memstats", why);
        let paged = [self.in_heap, self.in_stacks];
        if paged.iter().any(|bytes| *bytes < 0 || bytes % PAGE != 0) || self.committed <= 0 {
            return Err(wrong("its sizes are impossible"));
        }
        let objects = self.allocations.checked_sub(self.frees);
        let object_bytes = self.allocated.checked_sub(self.freed);
        let (Some(objects), Some(object_bytes)) = (objects, object_bytes) else {
            return Err(wrong("more was freed than allocated"));
        };
        Ok(Heap {
            objects,
            object_bytes,
            allocated_bytes: self.allocated,
            allocated_objects: self.allocations,
            stack_bytes: u64::try_from(self.in_stacks).unwrap_or(0),
        })
    }
}
