//! Debug information made by hand: lines of the functions of [`crate::program`], and the types of
//! the runtime's records as the table of layouts has them.

use std::collections::BTreeMap;

use crate::read::layout::table;
use gimli::{
    Encoding, Format, LineEncoding, LittleEndian, SectionId, constants as dw,
    write::{
        Address, AttributeValue as Value, DwarfUnit, EndianVec, LineProgram, LineString, Range,
        RangeList, Sections, UnitEntryId,
    },
};

/// Sections by name.
pub type Contents = Vec<(&'static str, Vec<u8>)>;

fn unit(version: u16, name: &str) -> DwarfUnit {
    let encoding = Encoding { format: Format::Dwarf32, version, address_size: 8 };
    let mut unit = DwarfUnit::new(encoding);
    let root = unit.unit.root();
    set(&mut unit, root, dw::DW_AT_name, text(name));
    set(&mut unit, root, dw::DW_AT_language, Value::Language(dw::DW_LANG_Go));
    unit
}

fn set(unit: &mut DwarfUnit, entry: UnitEntryId, name: gimli::DwAt, value: Value) {
    unit.unit.get_mut(entry).set(name, value);
}

fn text(text: &str) -> Value {
    Value::String(text.as_bytes().to_vec())
}

fn sections(unit: &mut DwarfUnit) -> Contents {
    let mut sections = Sections::new(EndianVec::new(LittleEndian));
    unit.write(&mut sections).expect("the debug information can be written");
    let mut contents = Vec::new();
    let collect = |id: SectionId, bytes: &EndianVec<LittleEndian>| {
        if !bytes.slice().is_empty() {
            contents.push((id.name(), bytes.slice().to_vec()));
        }
        Ok::<_, gimli::write::Error>(())
    };
    sections.for_each(collect).expect("nothing fails");
    contents
}

/// Lines of a program whose code is at `text`, and the type `runtime.g`.
pub fn lines(version: u16, [begin, end]: [u64; 2]) -> Contents {
    let mut unit = unit(version, "main");
    let root = unit.unit.root();
    let string = |text: &str| LineString::String(text.as_bytes().to_vec());
    let line_encoding = LineEncoding::default();
    let mut program = LineProgram::new(
        unit.unit.encoding(),
        line_encoding,
        string("."),
        None,
        string("/src/main.go"),
        None,
    );
    let folder = program.add_directory(string("/src/other"));
    let files =
        ["inlined.go", "/src/main.go"].map(|name| program.add_file(string(name), folder, None));
    program.begin_sequence(Some(Address::Constant(begin)));
    for step in 0..(end - begin) / 16 {
        let row = program.row();
        row.address_offset = step * 16;
        row.file = files[(step % 2) as usize];
        row.line = 10 + step * step % 7;
        program.generate_row();
    }
    program.end_sequence(end - begin);
    unit.unit.line_program = program;
    set(&mut unit, root, dw::DW_AT_stmt_list, Value::LineProgramRef);
    set(&mut unit, root, dw::DW_AT_low_pc, Value::Address(Address::Constant(begin)));
    let half = (end - begin) / 2;
    let ranges = RangeList(vec![
        Range::OffsetPair { begin: 0, end: half },
        Range::OffsetPair { begin: half, end: end - begin },
    ]);
    let ranges = unit.unit.ranges.add(ranges);
    set(&mut unit, root, dw::DW_AT_ranges, Value::RangeListRef(ranges));
    let mut g = Node::default();
    for (field, at) in [("gopc", 280), ("startpc", 296)] {
        g.inner.insert(field, Node { offset: Some(at), width: Some(8), ..Node::default() });
    }
    g.entry(&mut unit, "runtime.g");
    sections(&mut unit)
}

/// `.debug_info` and `.debug_abbrev` of package `runtime`, of a release as the table has it:
/// `go1.26 amd64`.
pub fn types(version: u16, release: &str) -> Contents {
    let mut unit = unit(version, "runtime");
    let head = format!("[{release}]");
    let mut lines = table::TABLE.lines().skip_while(|line| !line.contains(&head));
    assert!(lines.next().is_some(), "the table has no {release}");
    let mut records: BTreeMap<&str, Node<'_>> = BTreeMap::new();
    for line in lines.take_while(|line| !line.is_empty()) {
        let Some((fact, number)) = line.split_once(' ') else { continue };
        let Ok(number) = number.parse() else { continue };
        let (fact, count) = fact.strip_suffix("[]").map_or((fact, false), |fact| (fact, true));
        let (path, width) = fact.split_once(':').unwrap_or((fact, ""));
        let mut parts = path.split('.');
        let mut node = records.entry(parts.next().unwrap_or_default()).or_default();
        for part in parts {
            node = node.inner.entry(part).or_default();
        }
        if count {
            node.count = Some(number);
        } else {
            node.offset = Some(number);
            node.width = width.parse().ok();
        }
    }
    for (name, record) in &records {
        record.entry(&mut unit, &format!("runtime.{name}"));
    }
    sections(&mut unit)
}

/// A field, or a record.
#[derive(Default)]
struct Node<'a> {
    /// From the begin of the whole record; of a record its size.
    offset: Option<u64>,
    width: Option<u64>,
    count: Option<u64>,
    inner: BTreeMap<&'a str, Node<'a>>,
}

impl Node<'_> {
    /// The entry of a record or variable at the unit's top level.
    fn entry(&self, unit: &mut DwarfUnit, name: &str) {
        if self.inner.is_empty() && self.count.is_some() {
            let array = self.kind(unit);
            let root = unit.unit.root();
            let variable = unit.unit.add(root, dw::DW_TAG_variable);
            set(unit, variable, dw::DW_AT_name, text(name));
            set(unit, variable, dw::DW_AT_type, Value::UnitRef(array));
        } else {
            self.structure(unit, name, 0);
        }
    }

    fn structure(&self, unit: &mut DwarfUnit, name: &str, begin: u64) -> UnitEntryId {
        let root = unit.unit.root();
        let structure = unit.unit.add(root, dw::DW_TAG_structure_type);
        set(unit, structure, dw::DW_AT_name, text(name));
        let size = self.offset.unwrap_or(4096);
        set(unit, structure, dw::DW_AT_byte_size, Value::Udata(size));
        for (name, field) in &self.inner {
            let at = field.offset.unwrap_or(begin);
            let kind = if field.inner.is_empty() {
                field.kind(unit)
            } else {
                field.structure(unit, "", at)
            };
            let member = unit.unit.add(structure, dw::DW_TAG_member);
            set(unit, member, dw::DW_AT_name, text(name));
            let location = Value::Udata(at.saturating_sub(begin));
            set(unit, member, dw::DW_AT_data_member_location, location);
            set(unit, member, dw::DW_AT_type, Value::UnitRef(kind));
        }
        structure
    }

    /// The type of a field that is no record: an array, or a number behind a typedef.
    fn kind(&self, unit: &mut DwarfUnit) -> UnitEntryId {
        let root = unit.unit.root();
        let number = unit.unit.add(root, dw::DW_TAG_base_type);
        set(unit, number, dw::DW_AT_name, text("uint"));
        set(unit, number, dw::DW_AT_byte_size, Value::Udata(self.width.unwrap_or(8)));
        if let Some(count) = self.count {
            let array = unit.unit.add(root, dw::DW_TAG_array_type);
            set(unit, array, dw::DW_AT_type, Value::UnitRef(number));
            let range = unit.unit.add(array, dw::DW_TAG_subrange_type);
            set(unit, range, dw::DW_AT_count, Value::Udata(count));
            return array;
        }
        let named = unit.unit.add(root, dw::DW_TAG_typedef);
        set(unit, named, dw::DW_AT_name, text("runtime.named"));
        set(unit, named, dw::DW_AT_type, Value::UnitRef(number));
        named
    }
}
