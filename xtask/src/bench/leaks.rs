//! How many kernels of real leaks `goroscope check` finds, beside Go's own profile of leaks.

mod table;

use anyhow::Result;
use goroscope_tests::kernels::{Kernels, Run};

use self::table::Table;

/// Some leak in one run of several only; and where Go's own marks came into the last look, or the
/// first look came late, it is no use.
const TRIES: u32 = 20;

/// Runs all of them, and gives the document.
pub(super) fn measure() -> Result<String> {
    let kernels = Kernels::build()?;
    let mut table = Table::default();
    for name in &kernels.names {
        let (mut run, mut runs) = (Run::default(), 0);
        while runs < TRIES {
            runs += 1;
            run = kernels.run(name)?;
            if run.left().next().is_some() && !run.spoiled {
                break;
            }
        }
        println!("bench leaks: {name}: {}", table::words(&run));
        table.add(name, runs, run);
    }
    Ok(table.document())
}
