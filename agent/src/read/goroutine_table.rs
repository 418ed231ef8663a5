//! All goroutines: a walk over `runtime.allgs`.
//!
//! The table only grows and its records are never freed, so that reading it while the program runs
//! is safe; at worst a record is caught while it changes. The addresses are read in chunks, records
//! that are neighbours in memory are read together, and all memory is bounded and used again.
//! <https://github.com/golang/go/blob/go1.26.0/src/runtime/proc.go> (`allgs`, `atomicAllG`)

use std::ops::Range;

use super::{
    error::ReadError,
    goroutine::{Decoded, Decoder, Goroutine, State},
    memory::{Memory, MemoryError, Span, read_u64},
};
use crate::inspect::address::ProcessAddress;

/// Goroutines that are looked at; so many take 80 GB, and seconds to walk.
const MAX_GOROUTINES: u64 = 1 << 25;
/// Records that may be unreadable, and one in how many of the others: more is no table.
const MAX_UNREADABLE: u64 = 1024;
const UNREADABLE_SHARE: u64 = 16;
/// Records looked at in one go.
const CHUNK: usize = 8192;
/// Bytes of records read in one go.
const MAX_BYTES: usize = 1 << 20;
/// Two records are read together when no more than this lies between them.
const MAX_GAP: u64 = 256;
/// How often a chunk of addresses is read again because the table has moved meanwhile.
const MAX_MOVES: usize = 8;
/// The largest record there is any reason to read.
const MAX_RECORD: u32 = 4096;

/// Where the table is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct GoroutineTable {
    /// Address of `runtime.allglen`.
    pub(super) length: ProcessAddress,
    /// Address of `runtime.allgptr`.
    pub(super) first: ProcessAddress,
}

/// Memory that scans use again.
#[derive(Debug, Default)]
pub struct ScanBuffer {
    addresses: Vec<u64>,
    raw: Vec<u8>,
    spans: Vec<Span>,
    records: Vec<u8>,
    again: Vec<u64>,
}

/// How a scan went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScanReport {
    /// Records in the table.
    pub records: u64,
    /// Those of them that are goroutines.
    pub live: u64,
    /// Records that were caught half written. They are counted by what they were a moment later or
    /// before, if that made sense.
    pub torn: u64,
    /// Records that could not be read, or made no sense twice: in no figure.
    pub unreadable: u64,
    /// Records of threads for calls from C: not created by a `go` statement.
    pub extra: u64,
}

impl ScanReport {
    /// Adds what a further part of the table had, whose records are counted already.
    pub(super) fn add(&mut self, part: &Self) {
        self.live += part.live;
        self.torn += part.torn;
        self.unreadable += part.unreadable;
        self.extra += part.extra;
    }
}

/// Reads how many records the table has.
///
/// # Errors
/// [`ReadError::NotStarted`], [`ReadError::Implausible`], [`ReadError::Memory`].
pub(super) fn length(memory: &impl Memory, table: GoroutineTable) -> Result<u64, ReadError> {
    match read_u64(memory, table.length)? {
        0 => Err(ReadError::NotStarted),
        length if length > MAX_GOROUTINES => {
            Err(ReadError::implausible("runtime.allglen", "there are too many to look at each"))
        }
        length => Ok(length),
    }
}

/// Shows `visit` every goroutine whose record's index in the table is in `range`, which must have
/// been read by [`length`] before: the runtime publishes the length after the address, so that
/// a table that has moved since has at least so many elements.
///
/// # Errors
/// [`ReadError::Memory`] where the table itself cannot be read, [`ReadError::Implausible`] where it
/// is none, [`ReadError::Torn`] where it moved all the time.
pub(super) fn scan(
    memory: &impl Memory,
    table: GoroutineTable,
    range: Range<u64>,
    decoder: &mut Decoder<'_>,
    buffer: &mut ScanBuffer,
    visit: &mut dyn FnMut(&Goroutine),
) -> Result<ScanReport, ReadError> {
    if decoder.layout.size == 0 || decoder.layout.size > MAX_RECORD {
        return Err(ReadError::implausible("runtime.g", "its size is impossible"));
    }
    let records = range.end.saturating_sub(range.start);
    let mut report = ScanReport { records, ..ScanReport::default() };
    let mut first = range.start;
    while first < range.end {
        let count = usize::try_from(range.end - first).unwrap_or(CHUNK).min(CHUNK);
        read_addresses(memory, table, first, count, buffer)?;
        // Records are allocated in the order of the table, but by several threads.
        buffer.addresses.sort_unstable();
        if buffer.addresses.windows(2).any(|pair| pair.first() == pair.last()) {
            return Err(ReadError::implausible("runtime.allgs", "it names a record twice"));
        }
        let mut walk = Walk { memory, decoder, visit, report: &mut report };
        walk.chunk(buffer)?;
        if report.unreadable > MAX_UNREADABLE + (first - range.start) / UNREADABLE_SHARE {
            return Err(ReadError::implausible("runtime.allgs", "its records are unreadable"));
        }
        first = first.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
    }
    Ok(report)
}

/// Reads the addresses of `count` records from the one at `first` on.
fn read_addresses(
    memory: &impl Memory,
    table: GoroutineTable,
    first: u64,
    count: usize,
    buffer: &mut ScanBuffer,
) -> Result<(), ReadError> {
    buffer.raw.resize(count * 8, 0);
    for _ in 0..MAX_MOVES {
        let start = read_u64(memory, table.first)?;
        let at = first.checked_mul(8).and_then(|offset| start.checked_add(offset));
        let at = at.ok_or(ReadError::implausible("runtime.allgptr", "it is no address"))?;
        let read = memory.read(ProcessAddress(at), &mut buffer.raw);
        // What was read is of worth only if the table is still there: the old one is garbage.
        if read_u64(memory, table.first)? != start {
            continue;
        }
        read?;
        buffer.addresses.clear();
        let words = buffer.raw.chunks_exact(8);
        buffer
            .addresses
            .extend(words.filter_map(|word| Some(u64::from_le_bytes(*word.first_chunk()?))));
        return Ok(());
    }
    Err(ReadError::Torn("runtime.allgs"))
}

/// The part of a scan that looks at records.
struct Walk<'a, 'd, M> {
    memory: &'a M,
    decoder: &'a mut Decoder<'d>,
    visit: &'a mut dyn FnMut(&Goroutine),
    report: &'a mut ScanReport,
}

impl<M: Memory> Walk<'_, '_, M> {
    fn size(&self) -> usize {
        usize::try_from(self.decoder.layout.size).unwrap_or(usize::MAX)
    }

    /// Looks at the records at `buffer.addresses`, which are sorted.
    fn chunk(&mut self, buffer: &mut ScanBuffer) -> Result<(), ReadError> {
        let size = self.size();
        let mut addresses = std::mem::take(&mut buffer.addresses);
        let mut rest = addresses.as_slice();
        buffer.again.clear();
        while !rest.is_empty() {
            let taken = merge(rest, size, &mut buffer.spans);
            let (batch, behind) = rest.split_at_checked(taken).unwrap_or((rest, &[]));
            rest = behind;
            self.batch(batch, buffer)?;
        }
        self.again(buffer)?;
        addresses.clear();
        buffer.addresses = addresses;
        Ok(())
    }

    /// Reads the spans that [`merge`] made of `batch`, and looks at each of its records.
    fn batch(&mut self, batch: &[u64], buffer: &mut ScanBuffer) -> Result<(), ReadError> {
        let size = self.size();
        let ScanBuffer { spans, records, again, .. } = buffer;
        records.resize(spans.iter().map(|span| span.length).sum(), 0);
        match self.memory.read_many(spans, records) {
            Ok(()) => {}
            // Some record is not where the table said. The others are read one by one.
            Err(MemoryError::Unmapped { .. } | MemoryError::OutOfBounds { .. }) => {
                again.extend_from_slice(batch);
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        }
        let mut in_span = spans.iter();
        let mut span = in_span.next();
        let mut before = 0_usize;
        for at in batch {
            // The spans are in the order of the addresses, so that the right one is this or next.
            while let Some(current) = span
                && current.end().is_none_or(|end| end <= *at)
            {
                before += current.length;
                span = in_span.next();
            }
            let record = span
                .and_then(|span| usize::try_from(at.checked_sub(span.at.0)?).ok())
                .and_then(|offset| records.get(before + offset..)?.get(..size));
            let Some(record) = record else { continue };
            match self.decoder.decode(ProcessAddress(*at), record) {
                Decoded::Free => self.count_extra(record),
                // A goroutine that waits stays as it is for a while. Others are on the move, and
                // a look at them again tells whether they were caught in between.
                Decoded::Live(goroutine) if goroutine.state == State::Waiting => {
                    self.count_extra(record);
                    self.show(&goroutine);
                }
                Decoded::Live(_) | Decoded::Impossible => again.push(*at),
            }
        }
        Ok(())
    }

    /// Looks twice at the records at `buffer.again`.
    fn again(&mut self, buffer: &mut ScanBuffer) -> Result<(), ReadError> {
        let size = self.size();
        let ScanBuffer { spans, records, again, .. } = buffer;
        for batch in again.chunks((MAX_BYTES / size).max(1)) {
            spans.clear();
            spans.extend(batch.iter().map(|at| Span { at: ProcessAddress(*at), length: size }));
            // Two copies, one behind the other: all once, then all again.
            records.resize(batch.len() * size * 2, 0);
            let (first, second) = records.split_at_mut(batch.len() * size);
            let read = self
                .memory
                .read_many(spans, first)
                .and_then(|()| self.memory.read_many(spans, second));
            match read {
                Ok(()) => {
                    let looks = first.chunks_exact(size).zip(second.chunks_exact(size));
                    for (at, (first, second)) in batch.iter().zip(looks) {
                        self.compare(ProcessAddress(*at), first, second);
                    }
                }
                Err(MemoryError::Unmapped { .. } | MemoryError::OutOfBounds { .. }) => {
                    self.one_by_one(batch, records)?;
                }
                Err(error) => return Err(error.into()),
            }
        }
        again.clear();
        Ok(())
    }

    /// For a batch in which some record cannot be read.
    fn one_by_one(&mut self, batch: &[u64], records: &mut [u8]) -> Result<(), ReadError> {
        let size = self.size();
        for at in batch {
            let Some((first, second)) =
                records.get_mut(..size * 2).and_then(|both| both.split_at_mut_checked(size))
            else {
                continue;
            };
            let at = ProcessAddress(*at);
            let read = self.memory.read(at, first).and_then(|()| self.memory.read(at, second));
            match read {
                Ok(()) => self.compare(at, first, second),
                Err(MemoryError::Unmapped { .. } | MemoryError::OutOfBounds { .. }) => {
                    self.report.unreadable += 1;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Judges a record by two looks at it.
    fn compare(&mut self, at: ProcessAddress, first: &[u8], second: &[u8]) {
        let before = self.decoder.decode(at, first);
        let after = self.decoder.decode(at, second);
        // A goroutine may go on, end, and its record be used again between the two looks. What it
        // may not do is change what it was created as.
        let torn = match (&before, &after) {
            (Decoded::Live(before), Decoded::Live(after)) => {
                before.goid == after.goid
                    && (before.created_at, before.start) != (after.created_at, after.start)
            }
            (Decoded::Impossible, _) | (_, Decoded::Impossible) => true,
            _ => false,
        };
        self.report.torn += u64::from(torn);
        match (after, before) {
            (Decoded::Live(goroutine), _) | (Decoded::Impossible, Decoded::Live(goroutine)) => {
                self.count_extra(second);
                self.show(&goroutine);
            }
            (Decoded::Free, _) | (Decoded::Impossible, Decoded::Free) => self.count_extra(second),
            (Decoded::Impossible, Decoded::Impossible) => self.report.unreadable += 1,
        }
    }

    /// The record of a thread for calls from C never got a creator or a function.
    fn count_extra(&mut self, record: &[u8]) {
        let g = self.decoder.layout;
        let record = super::memory::Bytes(record);
        let extra = record.u64(g.gopc) == Some(0)
            && record.u64(g.startpc) == Some(0)
            && record.u64(g.goid).is_some_and(|goid| goid != 0);
        self.report.extra += u64::from(extra);
    }

    fn show(&mut self, goroutine: &Goroutine) {
        self.report.live += 1;
        (self.visit)(goroutine);
    }
}

/// Merges records at sorted addresses into spans until their bytes fill a batch; returns how many
/// records they cover, at least one.
fn merge(addresses: &[u64], size: usize, spans: &mut Vec<Span>) -> usize {
    spans.clear();
    let mut bytes = 0_usize;
    for (index, at) in addresses.iter().enumerate() {
        let single = Span { at: ProcessAddress(*at), length: size };
        if let Some(last) = spans.last_mut()
            && let Some(gap) = last.end().and_then(|end| at.checked_sub(end))
            && gap <= MAX_GAP
        {
            let more = size + usize::try_from(gap).unwrap_or(0);
            if bytes + more > MAX_BYTES {
                return index;
            }
            bytes += more;
            last.length += more;
            continue;
        }
        if index > 0 && bytes + size > MAX_BYTES {
            return index;
        }
        bytes += size;
        spans.push(single);
    }
    addresses.len()
}
