//! `goroscope diff`

mod args;
mod source;
mod text;

use std::{
    io::{self, BufWriter, IsTerminal as _, Write},
    process::ExitCode,
};

pub(super) use self::args::{DiffArgs, DiffConfig};
use self::text::Sides;
use super::{
    dump::Output,
    failure::Failure,
    value::{By, DiffForm},
};
use crate::{
    dumps::diff::{self, Diff},
    show::{escape::escape_json, table::terminal_width},
};

pub(super) fn run(args: &DiffArgs) -> anyhow::Result<ExitCode> {
    let source = source::Source::new(args)?;
    let form = args.output.unwrap_or(DiffForm::Table);
    if form == DiffForm::Svg && args.output_file.is_none() && io::stdout().is_terminal() {
        let failure = Failure::usage("the form svg is nothing for a terminal");
        return Err(failure.hint("name a file with --output-file, or send it on with |").into());
    }
    let file = args.output_file.as_deref().map(Output::create).transpose()?;
    let sides = source.take()?;
    match file {
        Some(mut file) => {
            file.write(|out| write(args, &sides, None, out))?;
            // Where there is no stderr there is nobody to tell.
            let diff = Diff::new(&sides.before, &sides.after);
            let _ = io::stderr().lock().write_all(text::summary(&sides, &diff).as_bytes());
        }
        None => {
            let width = terminal_width(&io::stdout());
            let mut out = BufWriter::new(io::stdout().lock());
            write(args, &sides, width, &mut out)?;
            out.flush()?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn write(
    args: &DiffArgs,
    sides: &Sides,
    width: Option<usize>,
    out: &mut impl Write,
) -> io::Result<()> {
    let Sides { before, after, .. } = sides;
    match args.output.unwrap_or(DiffForm::Table) {
        DiffForm::Table => {
            let diff = Diff::new(before, after);
            out.write_all(
                text::text(sides, &diff, args.by.unwrap_or(By::Site), args.limit(), width)
                    .as_bytes(),
            )
        }
        DiffForm::Json => {
            let value = diff::json(&Diff::new(before, after), args.limit());
            writeln!(out, "{}", escape_json(&serde_json::to_string_pretty(&value)?))
        }
        DiffForm::Svg => diff::svg(before, after, out),
        DiffForm::Folded => diff::folded(before, after, out),
    }
}
