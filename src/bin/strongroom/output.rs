//! Tables for people, JSON for programs, both on standard output.

use std::io::{self, IsTerminal as _, Write};

use comfy_table::Table;
use serde::Serialize;
use serde_json::Number;
use strongroom::Timestamp;

use crate::failure::Failure;

pub(crate) fn line(text: impl std::fmt::Display) -> Result<(), Failure> {
    finish(writeln!(io::stdout().lock(), "{text}"))
}

/// Indented JSON and a newline.
pub(crate) fn json(content: &impl Serialize) -> Result<(), Failure> {
    let mut out = Escaping(io::stdout().lock());
    let written = serde_json::to_writer_pretty(&mut out, content).map_err(io::Error::from);
    finish(written.and_then(|()| writeln!(out)))
}

/// JSON on one line.
pub(crate) fn json_line(content: &impl Serialize) -> Result<(), Failure> {
    let mut out = Escaping(io::stdout().lock());
    let written = serde_json::to_writer(&mut out, content).map_err(io::Error::from);
    finish(written.and_then(|()| writeln!(out)))
}

/// Writes the controls that JSON allows inside texts as escapes, because terminals obey them.
struct Escaping<W>(W);

impl<W: Write> Write for Escaping<W> {
    /// Characters are never torn apart: the writer of JSON writes whole texts.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Ok(text) = std::str::from_utf8(bytes) else { return Err(io::ErrorKind::InvalidData.into()) };
        let mut rest = text;
        while let Some((at, control)) = rest.char_indices().find(|(_, c)| ('\u{7f}'..='\u{9f}').contains(c)) {
            let (before, behind) = rest.split_at(at);
            write!(self.0, "{before}\\u{:04x}", u32::from(control))?;
            rest = behind.strip_prefix(control).unwrap_or_default();
        }
        self.0.write_all(rest.as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Text that others may have written, without what would command the terminal.
pub(crate) fn shown(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    shown
}

/// Text that only the asker may see: as it is, with a newline only where a person looks at it.
pub(crate) fn secret(text: &str) -> Result<(), Failure> {
    if io::stdout().is_terminal() { line(text) } else { bytes(text.as_bytes()) }
}

/// A document of several lines that others may have written: as it is for programs, and without what would command the
/// terminal for people. It ends with a newline in any case.
pub(crate) fn document(text: &str) -> Result<(), Failure> {
    let text = text.strip_suffix('\n').unwrap_or(text);
    if io::stdout().is_terminal() { line(text.lines().map(shown).collect::<Vec<_>>().join("\n")) } else { line(text) }
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
        table.add_row(row.iter().map(|cell| shown(cell)).collect::<Vec<_>>());
    }
    print(table)
}

/// Names, and lines below each other; what has no line is left out.
pub(crate) fn members(rows: impl IntoIterator<Item = (&'static str, Vec<String>)>) -> Result<(), Failure> {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    for (name, lines) in rows {
        if !lines.is_empty() {
            let lines: Vec<String> = lines.iter().map(|line| shown(line)).collect();
            table.add_row(vec![name.to_owned(), lines.join("\n")]);
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

/// `1,234 secrets`, or `1 secret`.
pub(crate) fn counted(count: u64, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {what}{plural}", grouped(count))
}

/// `1,234,567`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// `2026-11-22 14:30:05 UTC`.
pub(crate) fn date(at: &Timestamp) -> String {
    at.format("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// Seconds since 1970, as the API writes dates: with at most three digits behind the point.
pub(crate) fn seconds(at: &Timestamp) -> Option<Number> {
    match (at.timestamp(), at.timestamp_subsec_millis()) {
        (seconds, 0) => Some(seconds.into()),
        _ => Number::from_f64(at.timestamp_millis() as f64 / 1000.0),
    }
}

/// A reader that has seen enough, like `head`, is no failure.
fn finish(written: io::Result<()>) -> Result<(), Failure> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}
