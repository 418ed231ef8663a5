//! The functions of a Go program, by name and by address, read from its function table on demand.
//!
//! `_func` in <https://github.com/golang/go/blob/go1.26.0/src/runtime/runtime2.go>; Go 1.18 and
//! 1.19 have no `startLine`
//! (<https://github.com/golang/go/blob/go1.19/src/runtime/runtime2.go>).

use std::{ops::ControlFlow, sync::Arc};

use super::{
    address::FileAddress,
    elf::Extent,
    error::InspectError,
    inline_tree,
    module_data::ModuleData,
    pc_table,
    pclntab::Layout,
    source::{Source, c_str, u32_at},
};

/// The longest name of a function or a file that is read, in bytes; generic ones are long.
const MAX_NAME: u64 = 16 << 10;
/// The first try at reading a name.
const SHORT_NAME: u64 = 256;
/// How many places that look like a wanted function are looked at.
const MAX_CANDIDATES: u32 = 4096;

/// The function table of a program.
pub(super) struct Functions {
    pub(super) source: Arc<Source>,
    pub(super) module: ModuleData,
}

/// An entry of the function table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Function {
    pub(super) entry: FileAddress,
    /// Behind its last instruction: where the next function begins.
    pub(super) end: FileAddress,
    /// Place of its name among the names.
    name: u32,
    /// Place of this entry among the functions.
    place: u32,
    frame_table: u32,
    file_table: u32,
    line_table: u32,
    unit: u32,
    value_tables: u32,
    data_tables: u8,
    /// `funcID`: what the runtime knows the function as.
    pub(super) id: u8,
    flags: u8,
}

/// A place in the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) file: String,
    pub(super) line: u32,
}

impl Function {
    /// `FuncFlagTopFrame`: nothing called it, a stack ends with it.
    pub(super) fn is_outermost(&self) -> bool {
        self.flags & 1 != 0
    }

    /// `FuncFlagSPWrite`: it moves to another stack, or back, in a way that no table tells.
    pub(super) fn moves_stack(&self) -> bool {
        self.flags & 2 != 0
    }

    /// Whether there is a table of frame sizes; code from elsewhere has none.
    pub(super) fn has_frame_sizes(&self) -> bool {
        self.frame_table != 0
    }
}

impl Functions {
    /// The function that holds an address.
    pub(super) fn at(&self, pc: FileAddress) -> Result<Option<Function>, InspectError> {
        let module = &self.module;
        if pc < module.text || pc >= module.text_end {
            return Ok(None);
        }
        let Some(target) = pc.0.checked_sub(module.text.0).and_then(|at| u32::try_from(at).ok())
        else {
            return Ok(None);
        };
        // Invariant: entries below `low` begin at or before the target, those from `high` on after.
        let (mut low, mut high) = (0, module.header.functions);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.index_entry(middle)?.0 <= target { low = middle + 1 } else { high = middle }
        }
        let Some(found) = low.checked_sub(1) else { return Ok(None) };
        let (begin, place) = self.index_entry(found)?;
        let end = self.function_begin(low)?;
        self.read(place, begin, end)
    }

    /// The functions of these names, `None` for each that is not there, in the same order.
    ///
    /// # Errors
    ///
    /// A corrupt table; among others one that has two functions of one of the names.
    pub(super) fn named<const N: usize>(
        &self,
        wanted: [&'static str; N],
    ) -> Result<[Option<Function>; N], InspectError> {
        let names = self.name_places(wanted)?;
        // Most words are beside the names, which lie close together: those cost one comparison.
        let known = || names.iter().flatten().copied();
        let Some((first, last)) = known().min().zip(known().max()) else { return Ok([None; N]) };
        let mut found = [None; N];
        let mut candidates = 0;
        // Functions are found by the place of their name, the second of their words; whether it is
        // really one is then asked of the index.
        let index = self.module.header.functions.saturating_mul(8);
        let start = self.module.functions.offset.saturating_add(index);
        let mut places = Vec::new();
        self.source.scan(start, self.module.functions.end(), 4, |at, piece| {
            for (index, word) in piece.chunks_exact(4).enumerate() {
                let word = word.try_into().map_or(0, u32::from_le_bytes);
                if (first..=last).contains(&word) && names.contains(&Some(word)) {
                    places.push((at + index as u64 * 4).saturating_sub(4));
                    candidates += 1;
                }
                if candidates >= MAX_CANDIDATES {
                    return ControlFlow::Break(());
                }
            }
            ControlFlow::Continue(())
        })?;
        places.dedup();
        for offset in places {
            let Some(function) = self.confirm(offset)? else { continue };
            let slots = names.iter().zip(found.iter_mut());
            for (_, slot) in slots.filter(|(name, _)| **name == Some(function.name)) {
                if slot.is_some_and(|other| other != function) {
                    let what = "function table";
                    return Err(InspectError::Corrupt { what, offset, why: "a name comes twice" });
                }
                *slot = Some(function);
            }
        }
        Ok(found)
    }

    /// The places of these names among the names.
    fn name_places<const N: usize>(
        &self,
        wanted: [&'static str; N],
    ) -> Result<[Option<u32>; N], InspectError> {
        let names = self.module.names;
        let longest = wanted.iter().map(|name| name.len() as u64 + 2).max().unwrap_or(2);
        let mut found = [None; N];
        self.source.scan(names.offset, names.end(), longest, |at, piece| {
            let mut begin = at;
            for name in piece.split(|&byte| byte == 0) {
                for (wanted, place) in wanted.iter().zip(found.iter_mut()) {
                    // A piece may begin within a name and end within one; the overlap shows the
                    // whole of it in one of two pieces, with the zero bytes around it.
                    let whole = (begin > at || at == names.offset)
                        && begin + (name.len() as u64) < at + piece.len() as u64;
                    if whole && name == wanted.as_bytes() {
                        *place = u32::try_from(begin - names.offset).ok();
                    }
                }
                begin += name.len() as u64 + 1;
            }
            if found.iter().all(Option::is_some) {
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        })?;
        Ok(found)
    }

    fn confirm(&self, offset: u64) -> Result<Option<Function>, InspectError> {
        let entry = self.source.read_up_to(offset, 4)?;
        let Some(entry) = u32_at(&entry, 0) else { return Ok(None) };
        let pc = self.module.text.0.saturating_add(u64::from(entry));
        let place = offset.saturating_sub(self.module.functions.offset);
        Ok(self.at(FileAddress(pc))?.filter(|function| u64::from(function.place) == place))
    }

    /// The name of a function, as the table has it.
    pub(super) fn name(&self, function: &Function) -> Result<String, InspectError> {
        self.name_at(function.name)
    }

    /// The name at a place among the names.
    pub(super) fn name_at(&self, place: u32) -> Result<String, InspectError> {
        self.string("function name", self.module.names, place)
    }

    /// File and line of an address within a function; of the innermost call inlined there.
    pub(super) fn line(
        &self,
        function: &Function,
        pc: FileAddress,
    ) -> Result<Option<Line>, InspectError> {
        let file = self.value(function.file_table, function, pc)?;
        let line = self.value(function.line_table, function, pc)?;
        let (Some(file), Some(line)) = (file, line) else { return Ok(None) };
        let (Ok(file), Ok(line)) = (u32::try_from(file), u32::try_from(line)) else {
            return Ok(None);
        };
        let units = self.module.units;
        let into = (u64::from(function.unit) + u64::from(file)) * 4;
        if into.saturating_add(4) > units.size {
            return Ok(None);
        }
        let place = self.source.read("file of a function", units.offset.saturating_add(into), 4)?;
        let Some(place) = u32_at(&place, 0).filter(|&place| place != u32::MAX) else {
            return Ok(None);
        };
        Ok(Some(Line { file: self.string("file name", self.module.files, place)?, line }))
    }

    /// Bytes between the stack pointer and what was on the stack when the function was entered,
    /// before the instruction at an address; `None` where the table does not tell.
    pub(super) fn frame_size(
        &self,
        function: &Function,
        pc: FileAddress,
    ) -> Result<Option<u32>, InspectError> {
        let size = self.value(function.frame_table, function, pc)?;
        Ok(size.and_then(|size| u32::try_from(size).ok()))
    }

    /// Number of the entry of the inline tree that an address is in; `None` for the function's own
    /// code.
    pub(super) fn inline_index(
        &self,
        function: &Function,
        pc: FileAddress,
    ) -> Result<Option<u32>, InspectError> {
        if function.value_tables <= inline_tree::VALUE_TABLE {
            return Ok(None);
        }
        let table = self.trailing_word(function, u64::from(inline_tree::VALUE_TABLE))?;
        Ok(self.value(table, function, pc)?.and_then(|index| u32::try_from(index).ok()))
    }

    /// Where the inline tree of a function is.
    pub(super) fn inline_tree(
        &self,
        function: &Function,
    ) -> Result<Option<FileAddress>, InspectError> {
        let Some(base) = self.module.function_data else { return Ok(None) };
        if function.data_tables <= inline_tree::DATA_TABLE {
            return Ok(None);
        }
        let index = u64::from(function.value_tables) + u64::from(inline_tree::DATA_TABLE);
        let place = self.trailing_word(function, index)?;
        Ok((place != u32::MAX).then_some(FileAddress(base.0.saturating_add(u64::from(place)))))
    }

    fn trailing_word(&self, function: &Function, index: u64) -> Result<u32, InspectError> {
        let at = u64::from(function.place) + self.size() + index * 4;
        let offset = self.module.functions.offset.saturating_add(at);
        let what = "tables of a function";
        let word = self.source.read(what, offset, 4)?;
        u32_at(&word, 0).ok_or(InspectError::Truncated { what, offset, size: 4 })
    }

    fn value(
        &self,
        table: u32,
        function: &Function,
        pc: FileAddress,
    ) -> Result<Option<i32>, InspectError> {
        let Some(target) = pc.0.checked_sub(function.entry.0) else { return Ok(None) };
        let ModuleData { tables, header, .. } = self.module;
        pc_table::value_at(&self.source, tables, table, header.quantum, target)
    }

    fn string(
        &self,
        what: &'static str,
        strings: Extent,
        place: u32,
    ) -> Result<String, InspectError> {
        let offset = strings.offset.saturating_add(u64::from(place));
        let left = strings.end().saturating_sub(offset);
        for size in [SHORT_NAME, MAX_NAME] {
            let bytes = self.source.read_up_to(offset, size.min(left))?;
            if let Some(name) = c_str(&bytes) {
                return Ok(String::from_utf8_lossy(name).into_owned());
            }
        }
        Err(InspectError::Corrupt { what, offset, why: "it does not end" })
    }

    /// Entry of the index: where a function begins, from the begin of the code on, and its place
    /// among the functions.
    fn index_entry(&self, index: u64) -> Result<(u32, u32), InspectError> {
        let offset = self.module.functions.offset.saturating_add(index.saturating_mul(8));
        let what = "index of functions";
        let bytes = self.source.read(what, offset, 8)?;
        u32_at(&bytes, 0).zip(u32_at(&bytes, 4)).ok_or(InspectError::Truncated {
            what,
            offset,
            size: 8,
        })
    }

    /// The same without the place, which the entry behind the last function does not have.
    fn function_begin(&self, index: u64) -> Result<u32, InspectError> {
        let offset = self.module.functions.offset.saturating_add(index.saturating_mul(8));
        let what = "index of functions";
        let bytes = self.source.read(what, offset, 4)?;
        u32_at(&bytes, 0).ok_or(InspectError::Truncated { what, offset, size: 4 })
    }

    /// Size of an entry without the tables that follow it.
    fn size(&self) -> u64 {
        match self.module.header.layout {
            Layout::Go118 => 40,
            Layout::Go120 => 44,
        }
    }

    fn read(&self, place: u32, begin: u32, end: u32) -> Result<Option<Function>, InspectError> {
        let what = "function";
        let functions = self.module.functions;
        let offset = functions.offset.saturating_add(u64::from(place));
        if u64::from(place).saturating_add(self.size()) > functions.size {
            return Err(InspectError::Corrupt { what, offset, why: "it is outside the table" });
        }
        let bytes = self.source.read(what, offset, self.size())?;
        let word = |at| u32_at(&bytes, at).ok_or(InspectError::Truncated { what, offset, size: 4 });
        if word(0)? != begin || end <= begin {
            return Err(InspectError::Corrupt { what, offset, why: "the index contradicts it" });
        }
        let address = |at: u32| FileAddress(self.module.text.0.saturating_add(u64::from(at)));
        let from_end = |back: usize| bytes.iter().nth_back(back - 1).copied().unwrap_or(0);
        Ok(Some(Function {
            entry: address(begin),
            end: address(end),
            name: word(4)?,
            place,
            frame_table: word(16)?,
            file_table: word(20)?,
            line_table: word(24)?,
            value_tables: word(28)?,
            unit: word(32)?,
            data_tables: bytes.last().copied().unwrap_or(0),
            id: from_end(4),
            flags: from_end(3),
        }))
    }
}
