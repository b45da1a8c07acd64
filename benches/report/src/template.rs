//! The prose with its placeholders.
//!
//! `{{name argument | more}}`. `more` are beginnings of titles, with `;` between them; rows that begin with one of them are
//! meant, and without them all rows of the bench.
//!
//! | placeholder | becomes |
//! |---|---|
//! | `{{machine}}` | what the benches ran on |
//! | `{{ratios BENCH \| TITLES}}` | a table of ratios |
//! | `{{figures BENCH \| TITLES}}` | a table of figures |
//! | `{{sizes BENCH \| TITLES}}` | the same, of titles that end with a number of secrets: a column for each number |
//! | `{{notes BENCH \| TITLES}}` | a list of notes |
//! | `{{value BENCH \| TITLE}}` | one row, within a sentence |
//! | `{{plot NAME \| LABEL}}` | the plot of that name, of whichever bench; the label of its axis |
//! | `{{bars BENCH \| TITLES}}` | ratios as bars |
//! | `{{others}}` | whatever was measured and shown nowhere else |

/// A part of the template.
#[derive(Debug, PartialEq)]
pub(crate) enum Part<'a> {
    Prose(&'a str),
    Machine,
    Ratios(Choice<'a>),
    Figures(Choice<'a>),
    Sizes(Choice<'a>),
    Notes(Choice<'a>),
    Value(Choice<'a>),
    Plot { name: &'a str, label: Option<&'a str> },
    Bars(Choice<'a>),
    Others,
}

/// Rows of a bench.
#[derive(Debug, PartialEq)]
pub(crate) struct Choice<'a> {
    pub(crate) bench: &'a str,
    /// Beginnings of titles. None: all rows.
    pub(crate) titles: Vec<&'a str>,
}

impl Choice<'_> {
    pub(crate) fn takes(&self, title: &str) -> bool {
        self.titles.is_empty() || self.titles.iter().any(|begin| title.starts_with(begin))
    }
}

pub(crate) fn parse(template: &str) -> Result<Vec<Part<'_>>, String> {
    let mut parts = Vec::new();
    let mut rest = template;
    while let Some((prose, behind)) = rest.split_once("{{") {
        let line = template[..template.len() - behind.len()].lines().count();
        let (inside, behind) = behind.split_once("}}").ok_or(format!("line {line}: a placeholder has no end"))?;
        parts.push(Part::Prose(prose));
        parts.push(
            placeholder(inside.trim()).ok_or(format!("line {line}: there is no placeholder `{{{{{inside}}}}}`"))?,
        );
        rest = behind;
    }
    parts.push(Part::Prose(rest));
    Ok(parts)
}

fn placeholder(inside: &str) -> Option<Part<'_>> {
    let (head, more) = inside.split_once('|').map_or((inside, None), |(head, more)| (head, Some(more.trim())));
    let head = head.trim();
    let (name, argument) = head.split_once(' ').map_or((head, ""), |(name, argument)| (name, argument.trim()));
    let titles =
        more.map_or(Vec::new(), |more| more.split(';').map(str::trim).filter(|title| !title.is_empty()).collect());
    let choice = (!argument.is_empty()).then_some(Choice { bench: argument, titles });
    match name {
        "machine" if inside == "machine" => Some(Part::Machine),
        "others" if inside == "others" => Some(Part::Others),
        "ratios" => choice.map(Part::Ratios),
        "figures" => choice.map(Part::Figures),
        "sizes" => choice.map(Part::Sizes),
        "notes" => choice.map(Part::Notes),
        "bars" => choice.map(Part::Bars),
        "value" => choice.filter(|choice| choice.titles.len() == 1).map(Part::Value),
        "plot" if !argument.is_empty() => Some(Part::Plot { name: argument, label: more }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_found_between_prose() {
        let parts = parse("a\n{{ ratios get | get 1 KiB; put }}\nb {{plot durable put|threads}}{{others}}").unwrap();
        let expected = [
            Part::Prose("a\n"),
            Part::Ratios(Choice { bench: "get", titles: vec!["get 1 KiB", "put"] }),
            Part::Prose("\nb "),
            Part::Plot { name: "durable put", label: Some("threads") },
            Part::Prose(""),
            Part::Others,
            Part::Prose(""),
        ];
        assert_eq!(parts, expected);
    }

    #[test]
    fn what_is_no_placeholder_is_an_error_that_says_where() {
        let cases = [
            ("x\n\n{{rations get}}", "line 3: there is no placeholder `{{rations get}}`"),
            ("{{ratios}}", "line 1: there is no placeholder `{{ratios}}`"),
            ("{{machine get}}", "line 1: there is no placeholder `{{machine get}}`"),
            ("{{value get}}", "line 1: there is no placeholder `{{value get}}`"),
            ("x\n{{machine", "line 2: a placeholder has no end"),
        ];
        for (template, expected) in cases {
            assert_eq!(parse(template).err().as_deref(), Some(expected));
        }
    }
}
