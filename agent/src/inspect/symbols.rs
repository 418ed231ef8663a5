//! Names for addresses, from the function table; files and lines from DWARF where the table cannot
//! be read. Both have the same lines, but those of DWARF are in a compressed section of many
//! megabytes, which would be decompressed from its begin for each of them.

use std::sync::Arc;

use super::{
    address::FileAddress,
    dwarf::Dwarf,
    elf::Elf,
    facts::Arch,
    func_name,
    functions::{Function, Functions, Line},
    inline_tree,
};

/// A place in the source of a program.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CodePlace {
    /// The function, as Go's own dumps print it.
    pub function: String,
    /// Path of the source file, as the compiler recorded it; `?` where it is not known.
    pub file: String,
    /// The line, from 1; 0 where it is not known.
    pub line: u32,
    /// The function is inlined into the next one of [`Symbols::frames`].
    pub inlined: bool,
}

/// Looks addresses up, reading what it needs from the file each time.
pub struct Symbols {
    pub(super) functions: Option<Functions>,
    dwarf: Option<Dwarf>,
    pub(super) elf: Arc<Elf>,
    pub(super) minor: Option<u16>,
}

impl Symbols {
    pub(super) fn new(
        functions: Option<Functions>,
        dwarf: Option<Dwarf>,
        elf: Arc<Elf>,
        minor: Option<u16>,
    ) -> Self {
        Self { functions, dwarf, elf, minor }
    }

    /// What Go's own dump shows behind "created by" for a goroutine with this `gopc`: the function
    /// that holds the address, and the line of the instruction before it.
    ///
    /// As `printcreatedby1` in
    /// <https://github.com/golang/go/blob/go1.26.0/src/runtime/traceback.go>, the same since 1.18.
    #[must_use]
    pub fn created_by(&self, gopc: FileAddress) -> Option<CodePlace> {
        let (functions, function) = self.lookup(gopc)?;
        let quantum = if self.elf.arch == Arch::Arm64 { 4 } else { 1 };
        let call = if gopc > function.entry { gopc.0.checked_sub(quantum)? } else { gopc.0 };
        self.place_in(functions, &function, FileAddress(call))
    }

    /// Name of the function that holds an address, as Go's own dumps print it.
    #[must_use]
    pub fn function(&self, pc: FileAddress) -> Option<String> {
        let (functions, function) = self.lookup(pc)?;
        Some(self.printed(&functions.name(&function).ok()?))
    }

    /// The function that holds an address, and the line at that address.
    ///
    /// For a return address ask for the one before it, which is in the call.
    #[must_use]
    pub fn place(&self, pc: FileAddress) -> Option<CodePlace> {
        let (functions, function) = self.lookup(pc)?;
        self.place_in(functions, &function, pc)
    }

    /// File and line of an address as DWARF alone has them; `None` where there is no DWARF, or
    /// where it does not tell.
    #[must_use]
    pub fn line_by_dwarf(&self, pc: FileAddress) -> Option<(String, u32)> {
        let Line { file, line } = self.dwarf.as_ref()?.line(pc)?;
        Some((file, line))
    }

    /// All functions whose code is at an address, the innermost inlined one first, the one that
    /// holds the address last; empty where the address is in none.
    #[must_use]
    pub fn frames(&self, pc: FileAddress) -> Vec<CodePlace> {
        let Some((functions, function)) = self.lookup(pc) else { return Vec::new() };
        let frames = inline_tree::frames(functions, &self.elf, &function, pc);
        let frames = frames.unwrap_or_default().into_iter();
        frames.map(|frame| self.code_place(&frame.name, frame.line, frame.inlined)).collect()
    }

    pub(super) fn lookup(&self, pc: FileAddress) -> Option<(&Functions, Function)> {
        let functions = self.functions.as_ref()?;
        Some((functions, functions.at(pc).ok()??))
    }

    fn place_in(
        &self,
        functions: &Functions,
        function: &Function,
        pc: FileAddress,
    ) -> Option<CodePlace> {
        let name = functions.name(function).ok()?;
        Some(self.code_place(&name, self.line(functions, function, pc), false))
    }

    fn line(&self, functions: &Functions, function: &Function, pc: FileAddress) -> Option<Line> {
        functions.line(function, pc).unwrap_or_else(|_| self.dwarf.as_ref()?.line(pc))
    }

    pub(super) fn code_place(&self, name: &str, line: Option<Line>, inlined: bool) -> CodePlace {
        let Line { file, line } = line.unwrap_or_else(|| Line { file: "?".to_owned(), line: 0 });
        CodePlace { function: self.printed(name), file, line, inlined }
    }

    fn printed(&self, name: &str) -> String {
        func_name::printed(name, self.minor)
    }
}
