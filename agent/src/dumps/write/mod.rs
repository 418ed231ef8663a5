//! From a dump to each form.

pub(super) mod text;
mod json;
mod pprof;
pub(super) mod folded;
pub(super) mod svg;

use std::io::{self, Write};

use super::Format;
use crate::model::dump::Dump;

/// Writes a dump in a form. The writer should be buffered.
///
/// # Errors
/// The writer's.
pub fn write(format: Format, dump: &Dump, out: &mut impl Write) -> io::Result<()> {
    match format {
        Format::Text => text::write(dump, out),
        Format::Json => json::write(dump, out),
        Format::Pprof => pprof::write(dump, out),
        Format::Folded => folded::write(dump, out),
        Format::Svg => svg::write(dump, out),
    }
}
