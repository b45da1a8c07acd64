//! What the benches left, as they left it.

use std::fs;
use std::path::Path;

use serde_json::Value;

/// What one bench found.
pub(crate) struct Bench {
    pub(crate) name: String,
    /// Of the machine: label and text.
    pub(crate) machine: Vec<(String, String)>,
    pub(crate) rows: Vec<Row>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) low: f64,
    pub(crate) median: f64,
    pub(crate) high: f64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Bar {
    AtMost(f64),
    AtLeast(f64),
}

impl Bar {
    pub(crate) fn is_met(self, number: f64) -> bool {
        match self {
            Self::AtMost(bar) => number <= bar,
            Self::AtLeast(bar) => number >= bar,
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Row {
    Ratio {
        title: String,
        subject: String,
        subject_seconds: f64,
        other: String,
        other_seconds: f64,
        ratio: Spread,
        bar: Option<Bar>,
    },
    Figure {
        title: String,
        figure: Spread,
        unit: String,
        bar: Option<Bar>,
    },
    Point {
        plot: String,
        line: String,
        x: f64,
        y: Spread,
        unit: String,
    },
    /// What is to be known of figures.
    Note {
        title: String,
        text: String,
    },
}

impl Row {
    /// What rows are chosen by.
    pub(crate) fn title(&self) -> &str {
        match self {
            Self::Ratio { title, .. } | Self::Figure { title, .. } | Self::Note { title, .. } => title,
            Self::Point { plot, .. } => plot,
        }
    }
}

/// Everything in a directory, in the order of names. A directory that is missing has nothing.
pub(crate) fn read(directory: &Path) -> Result<Vec<Bench>, String> {
    if !directory.exists() {
        return Ok(Vec::new());
    }
    let failed = |error: std::io::Error| format!("{}: {error}", directory.display());
    let mut benches = Vec::new();
    for entry in fs::read_dir(directory).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
            benches.push(parse(&name, &text).map_err(|error| format!("{}: {error}", path.display()))?);
        }
    }
    benches.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(benches)
}

pub(crate) fn parse(name: &str, text: &str) -> Result<Bench, String> {
    let all: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let machine = all["machine"].as_object().ok_or("there is no machine")?.iter();
    let machine = machine.map(|(label, value)| {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        (label.clone(), text)
    });
    let rows = all["rows"].as_array().ok_or("there are no rows")?;
    let rows = rows.iter().enumerate().map(|(index, value)| row(value).ok_or(format!("row {index} is not understood")));
    Ok(Bench { name: name.to_owned(), machine: machine.collect(), rows: rows.collect::<Result<_, _>>()? })
}

/// `None`: it is of no known form.
fn row(row: &Value) -> Option<Row> {
    let text = |member: &str| row[member].as_str().map(str::to_owned);
    // What is not a number, such as a ratio to nothing, has no form in JSON.
    let number = |value: &Value| if value.is_null() { Some(f64::NAN) } else { value.as_f64() };
    let spread = |member: &str| {
        let of = row.get(member)?;
        let [low, median, high] = ["low", "median", "high"].map(|part| of.get(part).and_then(number));
        Some(Spread { low: low?, median: median?, high: high? })
    };
    let bar = match &row["bar"] {
        Value::Null => None,
        bar => {
            let at = |member: &str| bar.get(member).and_then(Value::as_f64);
            Some(at("at_most").map(Bar::AtMost).or_else(|| at("at_least").map(Bar::AtLeast))?)
        }
    };
    Some(match row["kind"].as_str()? {
        "ratio" => Row::Ratio {
            title: text("title")?,
            subject: text("subject")?,
            subject_seconds: number(&row["subject_seconds"])?,
            other: text("other")?,
            other_seconds: number(&row["other_seconds"])?,
            ratio: spread("ratio")?,
            bar,
        },
        "figure" => Row::Figure { title: text("title")?, figure: spread("figure")?, unit: text("unit")?, bar },
        "point" => Row::Point {
            plot: text("plot")?,
            line: text("line")?,
            x: row["x"].as_f64()?,
            y: spread("y")?,
            unit: text("unit")?,
        },
        "note" => Row::Note { title: text("title")?, text: text("text")? },
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_of_no_known_form_is_an_error_that_says_which() {
        let text = r#"{"machine": {}, "rows": [{"kind": "point", "plot": "p", "line": "l", "x": 1,
            "y": {"low": 1, "median": null, "high": 3}, "unit": "s"}, {"kind": "guess"}]}"#;
        assert_eq!(parse("b", text).err().as_deref(), Some("row 1 is not understood"));
        let text = text.replace(r#", {"kind": "guess"}"#, "");
        let bench = parse("b", &text).unwrap();
        let [Row::Point { y, .. }] = bench.rows.as_slice() else { panic!("one point") };
        assert!(y.median.is_nan() && y.high == 3.0, "{y:?}");
    }

    #[test]
    fn a_directory_that_is_missing_has_no_results() {
        assert!(read(Path::new("nowhere/at/all")).unwrap().is_empty());
    }
}
