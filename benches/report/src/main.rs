//! Makes `docs/BENCHMARKS.md` and its plots of what the benches left in `benches/results`, and of the prose in
//! `BENCHMARKS.md` of this directory.
//!
//! With `--check` it writes nothing, and fails if what is there is not what it would write.

mod bars;
mod document;
mod number;
mod plot;
mod results;
mod style;
mod table;
mod template;

use std::path::Path;
use std::process::ExitCode;

use crate::document::Document;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] => make().and_then(|(document, docs)| document.write(&docs)),
        ["--check"] => make().and_then(|(document, docs)| document.check(&docs)),
        _ => Err("usage: cargo run --manifest-path benches/report/Cargo.toml [-- --check]".to_owned()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// The document, and the directory that it belongs into.
fn make() -> Result<(Document, std::path::PathBuf), String> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &Path| std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()));
    let template = read(&here.join("BENCHMARKS.md"))?;
    let benches = results::read(&here.join("../results"))?;
    let document = Document::make(&template, &benches)?;
    for warning in &document.warnings {
        eprintln!("{warning}");
    }
    Ok((document, here.join("../../docs")))
}
