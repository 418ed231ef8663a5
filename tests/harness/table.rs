//! The outcomes of a matrix of trials, as a table with the releases of Go across.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

/// Outcomes of the trials that were run.
#[derive(Debug)]
pub struct Table {
    title: &'static str,
    rows: Vec<String>,
    columns: Vec<&'static str>,
    cells: Mutex<HashMap<(String, &'static str), &'static str>>,
}

impl Table {
    /// An empty table.
    #[must_use]
    pub fn new(title: &'static str, rows: Vec<String>, columns: &[&'static str]) -> Self {
        Self { title, rows, columns: columns.to_vec(), cells: Mutex::default() }
    }

    /// Notes an outcome.
    pub fn note(&self, row: &str, column: &'static str, outcome: &'static str) {
        let mut cells = self.cells.lock().unwrap_or_else(PoisonError::into_inner);
        cells.insert((row.to_owned(), column), outcome);
    }

    /// Prints the rows with outcomes; nothing where there are none.
    pub fn show(&self) {
        let cells = self.cells.lock().unwrap_or_else(PoisonError::into_inner);
        let used = self.rows.iter().filter(|row| cells.keys().any(|(noted, _)| noted == *row));
        let used: Vec<&String> = used.collect();
        if used.is_empty() {
            return;
        }
        print!("\n{:18}", self.title);
        self.columns.iter().for_each(|column| print!("{column:>10}"));
        println!();
        for row in used {
            print!("{row:18}");
            for column in &self.columns {
                let outcome = cells.get(&(row.clone(), *column));
                print!("{:>10}", outcome.copied().unwrap_or("-"));
            }
            println!();
        }
    }
}
