//! Completions and man pages.

use std::{
    fs,
    io::{self, Write as _},
    path::Path,
};

use anyhow::Context as _;
use clap::{Command, CommandFactory as _};
use clap_complete::Shell;

use super::args::Cli;

/// Prints the completions of a shell.
pub(super) fn completions(shell: Shell) -> io::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "goroscope", &mut script);
    io::stdout().lock().write_all(&script)
}

/// Prints the man page of the whole, or writes those of all commands.
pub(super) fn man(folder: Option<&Path>) -> anyhow::Result<()> {
    let Some(folder) = folder else {
        return Ok(io::stdout().lock().write_all(&page(Cli::command())?)?);
    };
    let mut whole = Cli::command().disable_help_subcommand(true);
    whole.build();
    let mut pages = vec![("goroscope.1".to_owned(), page(whole.clone())?)];
    for command in whole.get_subcommands() {
        let name = format!("goroscope-{}", command.get_name());
        pages.push((format!("{name}.1"), page(command.clone().display_name(name))?));
    }
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    for (name, page) in pages {
        // A name of its own first, so that no half page is ever under the final one.
        let (path, new) = (folder.join(&name), folder.join(format!(".{name}.new")));
        fs::write(&new, page)
            .and_then(|()| fs::rename(&new, &path))
            .inspect_err(|_| drop(fs::remove_file(&new)))
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

fn page(command: Command) -> io::Result<Vec<u8>> {
    let mut page = Vec::new();
    clap_mangen::Man::new(command).render(&mut page)?;
    Ok(page)
}
