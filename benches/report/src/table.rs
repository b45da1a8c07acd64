//! Tables of ratios and figures.

use crate::number::{bar, digits, shown, spread};
use crate::results::{Bar, Row, Spread};

/// A text that stays in its cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let head_cells: Vec<String> = head.iter().map(|text| cell(text)).collect();
    let mut out = line(&head_cells);
    out += &format!("|{}\n", "---|".repeat(head.len()));
    rows.iter().for_each(|cells| out += &line(cells));
    out
}

/// `None`: there is no ratio among the rows.
pub(crate) fn ratios(rows: &[&Row]) -> Option<String> {
    let lines: Vec<Vec<String>> = rows
        .iter()
        .filter_map(|row| match row {
            Row::Ratio { title, subject, subject_seconds, other, other_seconds, ratio, bar: goal } => Some(vec![
                cell(title),
                format!("{}, {}", cell(subject), shown(*subject_seconds, "s")),
                format!("{}, {}", cell(other), shown(*other_seconds, "s")),
                spread(ratio, "x"),
                bar(*goal, ratio.median, "x"),
            ]),
            _ => None,
        })
        .collect();
    (!lines.is_empty()).then(|| table(&["Work", "Measured", "Beside", "Ratio", "Bar"], &lines))
}

/// `None`: there is no figure among the rows.
pub(crate) fn figures(rows: &[&Row]) -> Option<String> {
    let lines: Vec<Vec<String>> = rows
        .iter()
        .filter_map(|row| match row {
            Row::Figure { title, figure, unit, bar: goal } => {
                Some(vec![cell(title), spread(figure, unit), bar(*goal, figure.median, unit)])
            }
            _ => None,
        })
        .collect();
    (!lines.is_empty()).then(|| table(&["Work", "Measured", "Bar"], &lines))
}

/// Splits a title such as `get, 1,000 secrets`, whose number has commas too.
fn sized(title: &str) -> Option<(&str, f64)> {
    let without = title.strip_suffix(" secrets")?;
    let digits_from = without.rfind(|c: char| !c.is_ascii_digit() && c != ',').map_or(0, |at| at + 1);
    let (what, size) = without.split_at(digits_from);
    let what = what.trim_end().strip_suffix(',')?;
    Some((what, size.replace(',', "").parse().ok()?))
}

/// Whether [`sizes`] shows a figure of that title.
pub(crate) fn has_size(title: &str) -> bool {
    sized(title).is_some()
}

/// Figures whose titles end with a number of secrets: one line each, one column for each number. `None`: there are none.
pub(crate) fn sizes(rows: &[&Row]) -> Option<String> {
    struct Line<'a> {
        what: &'a str,
        unit: &'a str,
        cells: Vec<(f64, &'a Spread, Option<Bar>)>,
    }
    let mut sizes: Vec<f64> = Vec::new();
    let mut lines: Vec<Line<'_>> = Vec::new();
    for row in rows {
        let Row::Figure { title, figure, unit, bar } = row else { continue };
        let Some((what, size)) = sized(title) else { continue };
        if !sizes.contains(&size) {
            sizes.push(size);
        }
        let index = lines.iter().position(|line| line.what == what && line.unit == unit).unwrap_or_else(|| {
            lines.push(Line { what, unit, cells: Vec::new() });
            lines.len() - 1
        });
        lines[index].cells.push((size, figure, *bar));
    }
    sizes.sort_by(f64::total_cmp);
    let heads: Vec<String> = sizes.iter().map(|size| format!("{} secrets", digits(*size))).collect();
    let head: Vec<&str> = ["Work"].into_iter().chain(heads.iter().map(String::as_str)).chain(["Bar"]).collect();
    let lines: Vec<Vec<String>> = lines
        .iter()
        .map(|line| {
            let at = |size: &f64| line.cells.iter().find(|(own, ..)| own == size);
            let values = sizes.iter().map(|size| at(size).map_or("–".to_owned(), |(_, of, _)| spread(of, line.unit)));
            [cell(line.what)].into_iter().chain(values).chain([bars(&line.cells, line.unit)]).collect()
        })
        .collect();
    (!lines.is_empty()).then(|| table(&head, &lines))
}

/// A bar that is the same for several sizes is said once, with the sizes at which it was missed.
fn bars(cells: &[(f64, &Spread, Option<Bar>)], unit: &str) -> String {
    let mut bars: Vec<(String, Vec<String>)> = Vec::new();
    for (size, of, goal) in cells {
        let Some(goal) = goal else { continue };
        let text = bar(Some(*goal), of.median, unit);
        let (text, is_missed) = text.strip_suffix(": **missed**").map_or((text.as_str(), false), |text| (text, true));
        let index = bars.iter().position(|(known, _)| known == text).unwrap_or_else(|| {
            bars.push((text.to_owned(), Vec::new()));
            bars.len() - 1
        });
        if is_missed {
            bars[index].1.push(digits(*size));
        }
    }
    let shown = bars.iter().map(|(text, missed)| match missed.as_slice() {
        [] => text.clone(),
        missed => format!("{text}: **missed** at {}", missed.join(", ")),
    });
    let shown: Vec<String> = shown.collect();
    if shown.is_empty() { "–".to_owned() } else { shown.join("; ") }
}

/// The points of a plot, for whoever cannot see it.
pub(crate) fn points(rows: &[&Row], x_label: &str) -> String {
    let lines: Vec<Vec<String>> = rows
        .iter()
        .filter_map(|row| match row {
            Row::Point { line, x, y, unit, .. } => Some(vec![cell(line), digits(*x), spread(y, unit)]),
            _ => None,
        })
        .collect();
    table(&["Line", x_label, "Measured"], &lines)
}

/// `None`: there is no note among the rows.
pub(crate) fn notes(rows: &[&Row]) -> Option<String> {
    let lines: Vec<String> = rows
        .iter()
        .filter_map(|row| match row {
            Row::Note { title, text } => Some(format!("- {title}: {}\n", text.replace('\n', " "))),
            _ => None,
        })
        .collect();
    (!lines.is_empty()).then(|| lines.concat())
}

/// One row as it is told within a sentence.
pub(crate) fn inline(row: &Row) -> String {
    match row {
        Row::Ratio { ratio, .. } => spread(ratio, "x"),
        Row::Figure { figure, unit, .. } => spread(figure, unit),
        Row::Point { y, unit, .. } => spread(y, unit),
        Row::Note { text, .. } => text.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(low: f64, median: f64, high: f64) -> Spread {
        Spread { low, median, high }
    }

    fn figure(title: &str, median: f64, bar: Option<Bar>) -> Row {
        Row::Figure {
            title: title.to_owned(),
            figure: of(median / 2.0, median, median * 2.0),
            unit: "s".to_owned(),
            bar,
        }
    }

    #[test]
    fn a_table_of_ratios_has_brackets_and_says_what_was_missed() {
        let ratio = |bar| Row::Ratio {
            title: "get | 1 KiB".to_owned(),
            subject: "engine".to_owned(),
            subject_seconds: 12e-6,
            other: "floor".to_owned(),
            other_seconds: 10e-6,
            ratio: of(1.1, 1.2, 1.4),
            bar,
        };
        let rows =
            [ratio(Some(Bar::AtMost(1.5))), ratio(Some(Bar::AtMost(1.1))), ratio(Some(Bar::AtLeast(6.0))), ratio(None)];
        let expected = "\
| Work | Measured | Beside | Ratio | Bar |
|---|---|---|---|---|
| get \\| 1 KiB | engine, 12.0 µs | floor, 10.0 µs | 1.20 [1.10 to 1.40] | 1.5 |
| get \\| 1 KiB | engine, 12.0 µs | floor, 10.0 µs | 1.20 [1.10 to 1.40] | 1.1: **missed** |
| get \\| 1 KiB | engine, 12.0 µs | floor, 10.0 µs | 1.20 [1.10 to 1.40] | at least 6: **missed** |
| get \\| 1 KiB | engine, 12.0 µs | floor, 10.0 µs | 1.20 [1.10 to 1.40] | – |
";
        assert_eq!(ratios(&rows.iter().collect::<Vec<_>>()).as_deref(), Some(expected));
        assert_eq!(figures(&rows.iter().collect::<Vec<_>>()), None);
    }

    #[test]
    fn a_table_of_figures_says_what_was_missed() {
        let rows = [figure("filter", 0.2, Some(Bar::AtMost(0.1))), figure("maintain", 2e-6, Some(Bar::AtMost(1e-3)))];
        let expected = "\
| Work | Measured | Bar |
|---|---|---|
| filter | 200 ms [100 to 400] | 100 ms: **missed** |
| maintain | 2.00 µs [1.00 to 4.00] | 1 ms |
";
        assert_eq!(figures(&rows.iter().collect::<Vec<_>>()).as_deref(), Some(expected));
    }

    #[test]
    fn figures_of_several_sizes_are_side_by_side() {
        let bar = Some(Bar::AtMost(0.1));
        let rows = [
            figure("filter by all, 1,000 secrets", 0.05, bar),
            figure("get, 1,000 secrets", 1e-6, None),
            figure("filter by all, 1,000,000 secrets", 0.2, bar),
            figure("no size", 1.0, None),
        ];
        let expected = "\
| Work | 1,000 secrets | 1,000,000 secrets | Bar |
|---|---|---|---|
| filter by all | 50.0 ms [25.0 to 100] | 200 ms [100 to 400] | 100 ms: **missed** at 1,000,000 |
| get | 1.00 µs [0.50 to 2.00] | – | – |
";
        assert_eq!(sizes(&rows.iter().collect::<Vec<_>>()).as_deref(), Some(expected));
    }

    #[test]
    fn notes_are_a_list_and_no_line_of_it_breaks() {
        let note = Row::Note { title: "redb".to_owned(), text: "could not be\nbuilt".to_owned() };
        assert_eq!(notes(&[&note]).as_deref(), Some("- redb: could not be built\n"));
        assert_eq!(notes(&[]), None);
    }
}
