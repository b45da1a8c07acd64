//! Counts beside those that the repository keeps: which case costs more than it did, and by how much.
//!
//! A baseline is text that can be reviewed: who counted, and one line for each case.
//!
//! ```text
//! # Comments and empty lines say nothing.
//! compiler 1.95.0
//! target x86_64-unknown-linux-gnu
//! get_secret_value 61728
//! ```

use std::fmt;
use std::str::FromStr;

/// By how much a count may be off from the baseline, in per cent.
const TOLERANCE_PER_CENT: f64 = 5.0;

/// What each case comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counts {
    pub compiler: String,
    pub target: String,
    /// In the order in which they are shown.
    pub cases: Vec<(String, u64)>,
}

/// A baseline that cannot be understood: which line, and what is wrong with it.
#[derive(Debug)]
pub struct NoCounts(String);

impl fmt::Display for NoCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Counts {
    type Err = NoCounts;

    fn from_str(text: &str) -> Result<Self, NoCounts> {
        let (mut compiler, mut target, mut cases) = (None, None, Vec::new());
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let fault = |what: &str| NoCounts(format!("line {}: {what}", index + 1));
            let (name, rest) = line.split_once(' ').ok_or_else(|| fault("a name and a count are expected"))?;
            match name {
                "compiler" => compiler = Some(rest.to_owned()),
                "target" => target = Some(rest.to_owned()),
                _ if cases.iter().any(|(case, _)| case == name) => return Err(fault("this case was there before")),
                _ => cases.push((name.to_owned(), rest.trim().parse().map_err(|_| fault("this is no count"))?)),
            }
        }
        let missing = |what: &str| NoCounts(format!("there is no line `{what} …`"));
        let (compiler, target) =
            (compiler.ok_or_else(|| missing("compiler"))?, target.ok_or_else(|| missing("target"))?);
        Ok(Self { compiler, target, cases })
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "compiler {}\ntarget {}", self.compiler, self.target)?;
        self.cases.iter().try_for_each(|(case, count)| writeln!(f, "{case} {count}"))
    }
}

impl Counts {
    /// Every case that was counted now or is in the baseline.
    pub fn compare(&self, baseline: &Self) -> Comparison {
        let find =
            |counts: &Self, name: &str| counts.cases.iter().find_map(|(case, count)| (case == name).then_some(*count));
        let row = |case: &str, before, now| Row { case: case.to_owned(), before, now };
        let counted = self.cases.iter().map(|(case, now)| row(case, find(baseline, case), Some(*now)));
        let is_gone = |(case, _): &&(String, u64)| find(self, case).is_none();
        let gone = baseline.cases.iter().filter(is_gone).map(|(case, before)| row(case, Some(*before), None));
        let differs = |what: &str, before: &str, now: &str| {
            (before != now).then(|| format!("The baseline is from {what} {before}, and this is {now}."))
        };
        let causes = [
            differs("compiler", &baseline.compiler, &self.compiler),
            differs("target", &baseline.target, &self.target),
        ];
        Comparison { rows: counted.chain(gone).collect(), causes: causes.into_iter().flatten().collect() }
    }
}

/// One case, as it was and as it is.
#[derive(Debug)]
struct Row {
    case: String,
    before: Option<u64>,
    now: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Verdict {
    Same,
    Slower,
    Faster,
    /// The baseline does not have it.
    New,
    /// It is only in the baseline.
    Gone,
}

impl Row {
    fn change(&self) -> Option<f64> {
        let (before, now) = (self.before? as f64, self.now? as f64);
        Some((now - before) * 100.0 / before.max(1.0))
    }

    fn verdict(&self) -> Verdict {
        match (self.before, self.change()) {
            (None, _) => Verdict::New,
            (Some(_), None) => Verdict::Gone,
            (_, Some(change)) if change > TOLERANCE_PER_CENT => Verdict::Slower,
            (_, Some(change)) if change < -TOLERANCE_PER_CENT => Verdict::Faster,
            _ => Verdict::Same,
        }
    }
}

/// All cases, as they were and as they are. Shown as a table.
#[derive(Debug)]
pub struct Comparison {
    rows: Vec<Row>,
    /// What may be to blame apart from the code.
    causes: Vec<String>,
}

impl Comparison {
    /// Whether nothing got slower, and the baseline has the cases that there are.
    pub fn is_passed(&self) -> bool {
        self.rows.iter().all(|row| matches!(row.verdict(), Verdict::Same | Verdict::Faster))
    }

    /// What to make of it, in a sentence or two.
    pub fn conclusion(&self) -> String {
        let cases = |verdict| {
            let rows = self.rows.iter().filter(|row| row.verdict() == verdict);
            rows.map(|row| row.case.as_str()).collect::<Vec<_>>().join(", ")
        };
        let sentences = [
            (Verdict::Slower, format!("More than {TOLERANCE_PER_CENT} % slower than the baseline")),
            (Verdict::New, "Not in the baseline".to_owned()),
            (Verdict::Gone, "In the baseline alone".to_owned()),
            (Verdict::Faster, format!("More than {TOLERANCE_PER_CENT} % faster, so the baseline should be renewed")),
        ];
        let found = sentences.into_iter().map(|(verdict, text)| (text, cases(verdict)));
        let found: Vec<String> =
            found.filter(|(_, cases)| !cases.is_empty()).map(|(text, cases)| format!("{text}: {cases}.")).collect();
        if found.is_empty() {
            return format!("Everything is within {TOLERANCE_PER_CENT} % of the baseline.");
        }
        found.into_iter().chain(self.causes.iter().cloned()).collect::<Vec<_>>().join("\n")
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |count: Option<u64>| count.map_or_else(|| "–".to_owned(), |count| count.to_string());
        writeln!(f, "{:<44} {:>12} {:>12} {:>9}", "case", "baseline", "now", "change")?;
        for row in &self.rows {
            let change = row.change().map_or_else(|| "–".to_owned(), |change| format!("{change:+.2} %"));
            let remark = match row.verdict() {
                Verdict::Same => "",
                Verdict::Slower => "  SLOWER",
                Verdict::Faster => "  faster",
                Verdict::New => "  NEW",
                Verdict::Gone => "  GONE",
            };
            writeln!(f, "{:<44} {:>12} {:>12} {change:>9}{remark}", row.case, shown(row.before), shown(row.now))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(cases: &[(&str, u64)]) -> Counts {
        let cases = cases.iter().map(|(case, count)| ((*case).to_owned(), *count)).collect();
        Counts { compiler: "1.95.0".to_owned(), target: "x86_64-unknown-linux-gnu".to_owned(), cases }
    }

    #[test]
    fn only_what_costs_five_per_cent_more_fails() {
        let baseline = counts(&[("get", 10_000)]);
        for (now, is_passed, remark) in [
            (10_000, true, ""),
            (10_400, true, ""),
            (10_500, true, ""),
            (10_501, false, "SLOWER"),
            (10_600, false, "SLOWER"),
            (20_000, false, "SLOWER"),
            (9_600, true, ""),
            (9_500, true, ""),
            (9_400, true, "faster"),
        ] {
            let comparison = counts(&[("get", now)]).compare(&baseline);
            assert_eq!(comparison.is_passed(), is_passed, "{now}");
            let table = comparison.to_string();
            let row = table.lines().find(|line| line.starts_with("get")).unwrap_or_default();
            let expected = format!("10000 {now:>12} {:>+7.2} %", (now as f64 - 10_000.0) / 100.0);
            assert!(row.contains(&expected), "{expected} is not in {row}");
            assert_eq!(row.split('%').next_back().unwrap_or_default().trim(), remark, "{now}");
        }
    }

    #[test]
    fn one_slower_case_fails_among_faster_ones_and_is_named() {
        let baseline = counts(&[("get", 100), ("put", 100), ("list", 100)]);
        let comparison = counts(&[("get", 50), ("put", 106), ("list", 100)]).compare(&baseline);
        assert!(!comparison.is_passed());
        assert_eq!(
            comparison.conclusion(),
            "More than 5 % slower than the baseline: put.\n\
             More than 5 % faster, so the baseline should be renewed: get."
        );
    }

    #[test]
    fn a_case_on_one_side_alone_fails() {
        let (one, two) = (counts(&[("get", 100)]), counts(&[("get", 100), ("put", 100)]));
        let (new, gone) = (two.compare(&one), one.compare(&two));
        assert!(!new.is_passed() && !gone.is_passed());
        assert_eq!(new.conclusion(), "Not in the baseline: put.");
        assert_eq!(gone.conclusion(), "In the baseline alone: put.");
    }

    #[test]
    fn another_compiler_is_blamed_only_when_something_is_off() {
        let baseline = counts(&[("get", 100)]);
        for (now, is_blamed) in [(100, false), (106, true), (94, true)] {
            let mut now = counts(&[("get", now)]);
            now.compiler = "1.96.0".to_owned();
            let conclusion = now.compare(&baseline).conclusion();
            let blamed = "The baseline is from compiler 1.95.0, and this is 1.96.0.";
            assert_eq!(conclusion.contains(blamed), is_blamed, "{conclusion}");
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let written = counts(&[("get", 100), ("list_secrets,by_name", 2_000_000)]);
        let read: Counts = format!("# A comment.\n\n{written}").parse().expect("it was written so");
        assert_eq!(read, written);
    }

    #[test]
    fn a_baseline_that_is_not_understood_is_refused() {
        let head = "compiler 1.95.0\ntarget x86_64-unknown-linux-gnu\n";
        for (text, fault) in [
            ("target x\nget 1\n".to_owned(), "there is no line `compiler …`"),
            ("compiler 1\nget 1\n".to_owned(), "there is no line `target …`"),
            (format!("{head}get\n"), "line 3: a name and a count are expected"),
            (format!("{head}get many\n"), "line 3: this is no count"),
            (format!("{head}get -1\n"), "line 3: this is no count"),
            (format!("{head}get 1\nget 2\n"), "line 4: this case was there before"),
            ("<<<<<<< ours\n".to_owned(), "line 1: this is no count"),
        ] {
            let found = text.parse::<Counts>().map_err(|fault| fault.to_string());
            assert_eq!(found, Err(fault.to_owned()), "{text}");
        }
    }
}
