//! The runtime's records, as far as they are read: offsets from the record's start, in bytes.
//!
//! The fields stand in `runtime2.go`, `mstats.go`, `mgcpacer.go` and `histogram.go`, of which
//! <https://github.com/golang/go/blob/go1.26.0/src/runtime/runtime2.go> is the latest known but
//! one. `None` is a field that this release does not have.

use super::fact::{LayoutError, Record, Source};

/// All that is read of the runtime of one build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// `runtime.g`: a goroutine.
    pub g: G,
    /// `runtime.m`: a thread.
    pub m: M,
    /// `runtime.p`: a processor.
    pub p: P,
    /// `runtime.schedt`: the scheduler.
    pub sched: Sched,
    /// `runtime.timeHistogram`.
    pub histogram: Histogram,
    /// `runtime.mstats`.
    pub stats: Stats,
    /// `runtime.heapStatsDelta`.
    pub heap: HeapStats,
    /// `runtime.gcControllerState`.
    pub controller: Controller,
    /// Length of `runtime.waitReasonStrings`.
    pub wait_reasons: u32,
}

/// Offsets in `runtime.g`.
#[expect(missing_docs, reason = "the names are the runtime's")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct G {
    pub size: u32,
    pub stack_lo: u32,
    pub stack_hi: u32,
    pub m: u32,
    pub sched_sp: u32,
    pub sched_pc: u32,
    pub sched_bp: u32,
    pub sched_lr: u32,
    pub syscallsp: u32,
    pub syscallpc: u32,
    pub syscallbp: Option<u32>,
    pub atomicstatus: u32,
    pub goid: u32,
    pub waitsince: u32,
    pub waitreason: u32,
    pub tracking_seq: u32,
    pub parent_goid: Option<u32>,
    pub gopc: u32,
    pub startpc: u32,
    pub running_cleanups: Option<u32>,
    pub bubble: Option<u32>,
    pub lockedm: u32,
}

/// Offsets in `runtime.m`.
#[expect(missing_docs, reason = "the names are the runtime's")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct M {
    pub g0: u32,
    pub procid: u32,
    pub curg: u32,
    pub p: u32,
    pub id: u32,
}

/// Offsets in `runtime.p`.
#[expect(missing_docs, reason = "the names are the runtime's")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct P {
    pub id: u32,
    pub status: u32,
    pub m: u32,
    pub goidcache: u32,
    pub goidcacheend: u32,
    /// `gFree.n`, from 1.25 `gFree.size`.
    pub free: u32,
    pub goroutines_created: Option<u32>,
    pub runqhead: u32,
    pub runqtail: u32,
    pub runnext: u32,
}

/// Offsets in `runtime.schedt`.
#[expect(missing_docs, reason = "the names are the runtime's")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sched {
    pub goidgen: u32,
    pub lock: u32,
    pub mnext: u32,
    pub nmfreed: u32,
    pub ngsys: u32,
    pub free: SchedFree,
    pub goroutines_created: Option<u32>,
    pub time_to_run: u32,
    /// Pauses of the collector; up to 1.21 they are in [`Stats::gc_pause_dist`].
    pub stw_total_time_gc: Option<u32>,
}

/// How many ended goroutines wait in `sched.gFree` to be used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SchedFree {
    /// `gFree.n`: up to 1.24. The lists, which the code refers to as well, stand before it.
    One {
        /// Offset of `n`.
        count: u32,
        /// Offset of `stack`.
        stack: u32,
        /// Offset of `noStack`.
        no_stack: u32,
    },
    /// `gFree.stack.size` and `gFree.noStack.size`: from 1.25.
    Two {
        /// Offset of `stack`.
        stack: u32,
        /// Offset of `noStack`.
        no_stack: u32,
        /// Offset of `stack.size`.
        stack_count: u32,
        /// Offset of `noStack.size`.
        no_stack_count: u32,
    },
}

/// `runtime.timeHistogram`.
#[expect(missing_docs, reason = "the names are the runtime's")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Histogram {
    pub size: u32,
    pub counts: u32,
    pub counts_len: u32,
    pub underflow: u32,
    pub overflow: Option<u32>,
}

/// Offsets in `runtime.mstats`.
#[expect(missing_docs, reason = "the names are the runtime's")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stats {
    /// Offset of the first of the three generations of `heapStats`.
    pub heap_stats: u32,
    pub heap_stats_gen: u32,
    pub last_gc_unix: u32,
    pub pause_total_ns: u32,
    pub pause_ns: u32,
    pub pause_ns_len: u32,
    pub pause_end: u32,
    pub numgc: u32,
    pub numforcedgc: u32,
    pub enablegc: u32,
    pub gc_pause_dist: Option<u32>,
}

/// Offsets in `runtime.heapStatsDelta`.
#[expect(missing_docs, reason = "the names are the runtime's")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeapStats {
    pub size: u32,
    pub committed: u32,
    pub in_heap: u32,
    pub in_stacks: u32,
    pub tiny_alloc_count: u32,
    pub large_alloc: u32,
    pub large_alloc_count: u32,
    pub small_alloc_count: u32,
    pub large_free: u32,
    pub large_free_count: u32,
    pub small_free_count: u32,
    /// Number of size classes.
    pub size_classes: u32,
}

/// Offsets in `runtime.gcControllerState`.
#[expect(missing_docs, reason = "the names are the runtime's")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Controller {
    pub gc_percent: u32,
    pub memory_limit: u32,
    pub sweep_dist_min_trigger: u32,
    pub gc_percent_heap_goal: u32,
    pub triggered: u32,
    pub heap_live: u32,
    pub heap_marked: u32,
    pub total_alloc: u32,
    pub total_free: u32,
    pub mapped_ready: u32,
    pub heap_free: u32,
}

impl Layout {
    /// Asks a source for all that is read.
    ///
    /// # Errors
    /// [`LayoutError::Missing`] where a field does not exist that no known release lacks, and what
    /// the source itself reports.
    pub fn from_source(source: &dyn Source) -> Result<Self, LayoutError> {
        let record = |name| Record { source, name };
        Ok(Self {
            g: G::from(record("g"))?,
            m: M::from(record("m"))?,
            p: P::from(record("p"))?,
            sched: Sched::from(record("schedt"))?,
            histogram: Histogram::from(record("timeHistogram"))?,
            stats: Stats::from(record("mstats"))?,
            heap: HeapStats::from(record("heapStatsDelta"))?,
            controller: Controller::from(record("gcControllerState"))?,
            wait_reasons: record("waitReasonStrings").count("")?,
        })
    }
}

impl G {
    fn from(g: Record<'_>) -> Result<Self, LayoutError> {
        Ok(Self {
            size: g.size()?,
            stack_lo: g.at("stack.lo", 8)?,
            stack_hi: g.at("stack.hi", 8)?,
            m: g.at("m", 8)?,
            sched_sp: g.at("sched.sp", 8)?,
            sched_pc: g.at("sched.pc", 8)?,
            sched_bp: g.at("sched.bp", 8)?,
            sched_lr: g.at("sched.lr", 8)?,
            syscallsp: g.at("syscallsp", 8)?,
            syscallpc: g.at("syscallpc", 8)?,
            syscallbp: g.maybe("syscallbp", 8)?,
            atomicstatus: g.at("atomicstatus", 4)?,
            goid: g.at("goid", 8)?,
            waitsince: g.at("waitsince", 8)?,
            waitreason: g.at("waitreason", 1)?,
            tracking_seq: g.at("trackingSeq", 1)?,
            parent_goid: g.maybe("parentGoid", 8)?,
            gopc: g.at("gopc", 8)?,
            startpc: g.at("startpc", 8)?,
            running_cleanups: g.maybe("runningCleanups", 1)?,
            bubble: g.maybe("bubble", 8)?,
            lockedm: g.at("lockedm", 8)?,
        })
    }
}

impl M {
    fn from(m: Record<'_>) -> Result<Self, LayoutError> {
        Ok(Self {
            g0: m.at("g0", 8)?,
            procid: m.at("procid", 8)?,
            curg: m.at("curg", 8)?,
            p: m.at("p", 8)?,
            id: m.at("id", 8)?,
        })
    }
}

impl P {
    fn from(p: Record<'_>) -> Result<Self, LayoutError> {
        let free = match p.maybe("gFree.n", 4)? {
            Some(offset) => offset,
            None => p.at("gFree.size", 4)?,
        };
        Ok(Self {
            id: p.at("id", 4)?,
            status: p.at("status", 4)?,
            m: p.at("m", 8)?,
            goidcache: p.at("goidcache", 8)?,
            goidcacheend: p.at("goidcacheend", 8)?,
            free,
            goroutines_created: p.maybe("goroutinesCreated", 8)?,
            runqhead: p.at("runqhead", 4)?,
            runqtail: p.at("runqtail", 4)?,
            runnext: p.at("runnext", 8)?,
        })
    }
}

impl Sched {
    fn from(sched: Record<'_>) -> Result<Self, LayoutError> {
        let stack = sched.part("gFree.stack")?;
        let no_stack = sched.part("gFree.noStack")?;
        let free = match sched.maybe("gFree.n", 4)? {
            Some(count) => SchedFree::One { count, stack, no_stack },
            None => SchedFree::Two {
                stack,
                no_stack,
                stack_count: sched.at("gFree.stack.size", 4)?,
                no_stack_count: sched.at("gFree.noStack.size", 4)?,
            },
        };
        Ok(Self {
            goidgen: sched.at("goidgen", 8)?,
            lock: sched.part("lock")?,
            mnext: sched.at("mnext", 8)?,
            nmfreed: sched.at("nmfreed", 8)?,
            ngsys: sched.at("ngsys", 4)?,
            free,
            goroutines_created: sched.maybe("goroutinesCreated", 8)?,
            time_to_run: sched.part("timeToRun")?,
            stw_total_time_gc: sched.maybe_part("stwTotalTimeGC")?,
        })
    }
}

impl Histogram {
    fn from(histogram: Record<'_>) -> Result<Self, LayoutError> {
        Ok(Self {
            size: histogram.size()?,
            counts: histogram.part("counts")?,
            counts_len: histogram.count("counts")?,
            underflow: histogram.at("underflow", 8)?,
            overflow: histogram.maybe("overflow", 8)?,
        })
    }
}

impl Stats {
    fn from(stats: Record<'_>) -> Result<Self, LayoutError> {
        Ok(Self {
            heap_stats: stats.part("heapStats.stats")?,
            heap_stats_gen: stats.at("heapStats.gen", 4)?,
            last_gc_unix: stats.at("last_gc_unix", 8)?,
            pause_total_ns: stats.at("pause_total_ns", 8)?,
            pause_ns: stats.part("pause_ns")?,
            pause_ns_len: stats.count("pause_ns")?,
            pause_end: stats.part("pause_end")?,
            numgc: stats.at("numgc", 4)?,
            numforcedgc: stats.at("numforcedgc", 4)?,
            enablegc: stats.at("enablegc", 1)?,
            gc_pause_dist: stats.maybe_part("gcPauseDist")?,
        })
    }
}

impl HeapStats {
    fn from(heap: Record<'_>) -> Result<Self, LayoutError> {
        Ok(Self {
            size: heap.size()?,
            committed: heap.at("committed", 8)?,
            in_heap: heap.at("inHeap", 8)?,
            in_stacks: heap.at("inStacks", 8)?,
            tiny_alloc_count: heap.at("tinyAllocCount", 8)?,
            large_alloc: heap.at("largeAlloc", 8)?,
            large_alloc_count: heap.at("largeAllocCount", 8)?,
            small_alloc_count: heap.part("smallAllocCount")?,
            large_free: heap.at("largeFree", 8)?,
            large_free_count: heap.at("largeFreeCount", 8)?,
            small_free_count: heap.part("smallFreeCount")?,
            size_classes: heap.count("smallAllocCount")?,
        })
    }
}

impl Controller {
    fn from(controller: Record<'_>) -> Result<Self, LayoutError> {
        Ok(Self {
            gc_percent: controller.at("gcPercent", 4)?,
            memory_limit: controller.at("memoryLimit", 8)?,
            sweep_dist_min_trigger: controller.at("sweepDistMinTrigger", 8)?,
            gc_percent_heap_goal: controller.at("gcPercentHeapGoal", 8)?,
            triggered: controller.at("triggered", 8)?,
            heap_live: controller.at("heapLive", 8)?,
            heap_marked: controller.at("heapMarked", 8)?,
            total_alloc: controller.at("totalAlloc", 8)?,
            total_free: controller.at("totalFree", 8)?,
            mapped_ready: controller.at("mappedReady", 8)?,
            heap_free: controller.at("heapFree", 8)?,
        })
    }
}
