//! Tables for people, JSON for programs, both on standard output.

use std::io::{self, Write as _};

use comfy_table::Table;
use serde::Serialize;
use strongroom::Timestamp;

use crate::failure::Failure;

pub(crate) fn line(text: impl std::fmt::Display) -> Result<(), Failure> {
    finish(writeln!(io::stdout().lock(), "{text}"))
}

/// Indented JSON and a newline.
pub(crate) fn json(content: &impl Serialize) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, content)?;
    finish(writeln!(out))
}

/// Bytes as they are.
pub(crate) fn bytes(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    finish(out.write_all(bytes).and_then(|()| out.flush()))
}

/// Columns under a header, without lines around them.
pub(crate) fn table(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> Result<(), Failure> {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING).set_header(header.to_vec());
    for row in rows {
        table.add_row(row);
    }
    print(table)
}

/// Names and values below each other; absent ones are left out.
pub(crate) fn members(rows: impl IntoIterator<Item = (&'static str, Option<String>)>) -> Result<(), Failure> {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    for (name, value) in rows {
        if let Some(value) = value {
            table.add_row(vec![name.to_owned(), value]);
        }
    }
    print(table)
}

fn print(mut table: Table) -> Result<(), Failure> {
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    line(table.trim_fmt())
}

/// `2026-11-22 14:30:05 UTC`.
pub(crate) fn date(at: &Timestamp) -> String {
    at.format("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// A reader that has seen enough, like `head`, is no failure.
fn finish(written: io::Result<()>) -> Result<(), Failure> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}
