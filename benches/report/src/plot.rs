//! Lines over a number: of secrets, of threads, of versions.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::number::round;
use crate::results::{Row, Spread};
use crate::style::{AXIS, COLOURS, GRID, INK, finish};

const WIDTH: i32 = 860;
const HEIGHT: i32 = 420;
const LEFT: i32 = 84;
/// Room for the names of lines.
const RIGHT: i32 = WIDTH - 232;
const TOP: i32 = 44;
const BOTTOM: i32 = HEIGHT - 56;
/// Between the names of two lines.
const LABEL_STEP: i32 = 17;
/// From how many times the smallest number on an axis counts powers of ten.
const LOG_FROM: f64 = 8.0;

struct Line<'a> {
    name: &'a str,
    points: Vec<(f64, Spread)>,
}

/// From numbers to places.
pub(crate) struct Axis {
    low: f64,
    high: f64,
    is_log: bool,
    from: i32,
    to: i32,
}

impl Axis {
    /// An axis on which all the numbers have a place. With what is far below the rest, or far above, it is logarithmic.
    fn of(numbers: &[f64], is_from_zero: bool, from: i32, to: i32) -> Self {
        let low = numbers.iter().copied().fold(f64::INFINITY, f64::min);
        let high = numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        if low > 0.0 && high / low >= LOG_FROM {
            return Self { low, high, is_log: true, from, to };
        }
        let low = if is_from_zero { low.min(0.0) } else { low };
        let high = if high > low { high } else { low + 1.0 };
        Self { low, high, is_log: false, from, to }
    }

    pub(crate) fn log(low: f64, high: f64, from: i32, to: i32) -> Self {
        Self { low, high, is_log: true, from, to }
    }

    /// Makes room above, and below where that makes sense.
    fn with_room(mut self) -> Self {
        if self.is_log {
            (self.low, self.high) = (self.low / 1.3, self.high * 1.3);
        } else {
            self.high += (self.high - self.low) * 0.08;
        }
        self
    }

    pub(crate) fn place(&self, number: f64) -> i32 {
        let share = if self.is_log {
            (number / self.low).ln() / (self.high / self.low).ln()
        } else {
            (number - self.low) / (self.high - self.low)
        };
        self.from + (f64::from(self.to - self.from) * share.clamp(0.0, 1.0)).round() as i32
    }

    /// Round numbers, not too many.
    pub(crate) fn ticks(&self) -> Vec<f64> {
        let within = |number: &f64| *number >= self.low * (1.0 - 1e-9) && *number <= self.high * (1.0 + 1e-9);
        if !self.is_log {
            let about = (self.high - self.low) / 5.0;
            let power = 10_f64.powf(about.log10().floor());
            let step = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power).into_iter().find(|step| *step >= about);
            let step = step.unwrap_or(about);
            let first = (self.low / step).ceil() as i64;
            return (first..).map(|count| count as f64 * step).take_while(|number| *number <= self.high).collect();
        }
        let (low, high) = (self.low.log10().floor() as i32, self.high.log10().ceil() as i32);
        let decades = (self.high / self.low).log10();
        let factors: &[f64] = if decades > 3.0 { &[1.0] } else { &[1.0, 2.0, 5.0] };
        let all = (low..=high).flat_map(|power| factors.iter().map(move |factor| factor * 10_f64.powi(power)));
        all.filter(within).collect()
    }
}

/// Draws the points among the rows. `None`: there are none.
pub(crate) fn draw(title: &str, x_label: &str, rows: &[&Row]) -> Option<Result<String, String>> {
    let mut lines: Vec<Line<'_>> = Vec::new();
    let mut shared_unit = "";
    for row in rows {
        let Row::Point { line: name, x, y, unit, .. } = row else { continue };
        if !(x.is_finite() && y.median.is_finite()) {
            continue;
        }
        if !shared_unit.is_empty() && shared_unit != unit {
            return Some(Err(format!("the plot `{title}` has points in `{shared_unit}` and in `{unit}`")));
        }
        shared_unit = unit;
        let index = lines.iter().position(|line| line.name == name).unwrap_or_else(|| {
            lines.push(Line { name, points: Vec::new() });
            lines.len() - 1
        });
        lines[index].points.push((*x, *y));
    }
    lines.iter_mut().for_each(|line| line.points.sort_by(|a, b| a.0.total_cmp(&b.0)));
    (!lines.is_empty()).then(|| draw_lines(title, x_label, shared_unit, &lines).map_err(|error| error.to_string()))
}

fn style(size: i32, colour: &RGBColor, horizontal: HPos, vertical: VPos) -> TextStyle<'static> {
    ("sans-serif", size).into_font().color(colour).pos(Pos::new(horizontal, vertical))
}

fn draw_lines(
    title: &str,
    x_label: &str,
    unit: &str,
    lines: &[Line<'_>],
) -> Result<String, Box<dyn std::error::Error>> {
    let numbers =
        |of: fn(&(f64, Spread)) -> f64| lines.iter().flat_map(|line| &line.points).map(of).collect::<Vec<_>>();
    let x = Axis::of(&numbers(|point| point.0), false, LEFT + 12, RIGHT - 12);
    // What lies outside is cut off: one slow round must not make the rest flat.
    let spreads = [numbers(|point| point.1.low), numbers(|point| point.1.median), numbers(|point| point.1.high)];
    let all: Vec<f64> = spreads.concat().into_iter().filter(|number| number.is_finite()).collect();
    let y = Axis::of(&all, true, BOTTOM, TOP).with_room();

    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, (WIDTH as u32, HEIGHT as u32)).into_drawing_area();
        root.draw(&Text::new(title.to_owned(), (LEFT, 14), style(16, &INK, HPos::Left, VPos::Top)))?;
        let label = style(12, &INK, HPos::Center, VPos::Top);
        for tick in x_ticks(&x, lines) {
            let at = x.place(tick);
            root.draw(&PathElement::new([(at, TOP), (at, BOTTOM)], GRID))?;
            root.draw(&Text::new(round(tick, ""), (at, BOTTOM + 8), label.clone()))?;
        }
        root.draw(&Text::new(x_label.to_owned(), ((LEFT + RIGHT) / 2, BOTTOM + 30), label))?;
        let label = style(12, &INK, HPos::Right, VPos::Center);
        for tick in y.ticks() {
            let at = y.place(tick);
            root.draw(&PathElement::new([(LEFT, at), (RIGHT, at)], GRID))?;
            root.draw(&Text::new(round(tick, unit), (LEFT - 8, at), label.clone()))?;
        }
        root.draw(&PathElement::new([(LEFT, TOP), (LEFT, BOTTOM), (RIGHT, BOTTOM)], AXIS))?;

        let ends = lines.iter().map(|line| line.points.last().map_or(BOTTOM, |(_, of)| y.place(of.median)));
        let places = spread_out(&ends.collect::<Vec<_>>());
        for (index, (line, label_at)) in lines.iter().zip(places).enumerate() {
            let colour = COLOURS[index % COLOURS.len()];
            let middle: Vec<(i32, i32)> =
                line.points.iter().map(|(at, of)| (x.place(*at), y.place(of.median))).collect();
            for (at, of) in line.points.iter().filter(|(_, of)| of.low < of.high) {
                let (at, low, high) = (x.place(*at), y.place(of.low), y.place(of.high));
                let faint = colour.mix(0.5);
                root.draw(&PathElement::new([(at, low), (at, high)], faint))?;
                for end in [low, high] {
                    root.draw(&PathElement::new([(at - 3, end), (at + 3, end)], faint))?;
                }
            }
            for at in &middle {
                root.draw(&Circle::new(*at, 4, colour.filled()))?;
            }
            if let Some(end) = middle.last() {
                root.draw(&PathElement::new([(end.0 + 6, end.1), (RIGHT + 8, label_at)], colour.mix(0.5)))?;
            }
            root.draw(&PathElement::new(middle, colour.stroke_width(2)))?;
            root.draw(&Circle::new((RIGHT + 14, label_at), 4, colour.filled()))?;
            let label = style(13, &colour, HPos::Left, VPos::Center);
            root.draw(&Text::new(line.name.to_owned(), (RIGHT + 24, label_at), label))?;
        }
        root.present()?;
    }
    Ok(finish(&svg, title))
}

/// The numbers that were measured, if they are few.
fn x_ticks(axis: &Axis, lines: &[Line<'_>]) -> Vec<f64> {
    let mut measured: Vec<f64> = lines.iter().flat_map(|line| &line.points).map(|point| point.0).collect();
    measured.sort_by(f64::total_cmp);
    measured.dedup();
    if measured.len() <= 8 { measured } else { axis.ticks() }
}

/// Moves places apart until names at them do not overlap. In the order of the places, which stays.
fn spread_out(places: &[i32]) -> Vec<i32> {
    let mut order: Vec<usize> = (0..places.len()).collect();
    order.sort_by_key(|index| places[*index]);
    let mut out = places.to_vec();
    let mut free_from = TOP;
    for index in &order {
        out[*index] = out[*index].max(free_from);
        free_from = out[*index] + LABEL_STEP;
    }
    let mut free_to = BOTTOM;
    for index in order.iter().rev() {
        out[*index] = out[*index].min(free_to);
        free_to = out[*index] - LABEL_STEP;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::style::tests::assert_follows_the_page;

    fn point(line: &str, x: f64, y: f64, unit: &str) -> Row {
        let y = Spread { low: y * 0.9, median: y, high: y * 1.2 };
        Row::Point { plot: "read".to_owned(), line: line.to_owned(), x, y, unit: unit.to_owned() }
    }

    #[test]
    fn a_plot_has_every_line_with_its_name_and_no_fixed_ink() {
        let rows: Vec<Row> = ["get", "describe <&>"]
            .into_iter()
            .flat_map(|line| [1e3, 1e4, 1e5].map(|x| point(line, x, x * 1e-8, "s")))
            .collect();
        let svg = draw("read", "secrets", &rows.iter().collect::<Vec<_>>()).unwrap().unwrap();
        assert_follows_the_page(&svg);
        for text in ["get", "describe &lt;&amp;&gt;", "1,000", "10,000", "100,000", "secrets", "20 µs", "1 ms"] {
            assert!(svg.contains(&format!("\n{text}\n")), "{text} in {svg}");
        }
        // A line is what has three points and is thick.
        let is_line = |element: &&str| element.contains("stroke-width=\"2\"") && element.matches(',').count() >= 3;
        assert_eq!(svg.split("<polyline").filter(is_line).count(), 2, "{svg}");
        assert!(!svg.contains("NaN"), "{svg}");
    }

    #[test]
    fn what_has_no_points_has_no_plot_and_units_are_not_mixed() {
        assert!(draw("read", "secrets", &[]).is_none());
        let rows = [point("a", 1.0, 1.0, "s"), point("b", 1.0, 1.0, "bytes")];
        assert!(draw("read", "secrets", &rows.iter().collect::<Vec<_>>()).unwrap().is_err());
        // One point alone, and nothing but zeros.
        for y in [0.0, 1.0] {
            let rows = [point("a", 1_000.0, y, "s")];
            let svg = draw("read", "secrets", &rows.iter().collect::<Vec<_>>()).unwrap().unwrap();
            assert!(!svg.contains("NaN") && svg.contains("1,000"), "{svg}");
        }
    }

    #[test]
    fn names_of_lines_do_not_overlap() {
        let mut places = spread_out(&[300, 300, 299, 362, 100]);
        places.sort_unstable();
        assert!(places.windows(2).all(|pair| pair[1] - pair[0] >= LABEL_STEP), "{places:?}");
        assert!(places.iter().all(|place| (TOP..=BOTTOM).contains(place)), "{places:?}");
    }

    #[test]
    fn ticks_are_round_numbers() {
        let cases = [
            (Axis::of(&[1e3, 1e6], false, 0, 1), vec![1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 2e5, 5e5, 1e6]),
            (Axis::of(&[2.0, 9.0], true, 0, 1), vec![0.0, 2.0, 4.0, 6.0, 8.0]),
            (Axis::log(0.9, 12.0, 0, 1), vec![1.0, 2.0, 5.0, 10.0]),
            (Axis::log(1.0, 1e5, 0, 1), vec![1.0, 10.0, 100.0, 1e3, 1e4, 1e5]),
        ];
        for (axis, expected) in cases {
            let ticks = axis.ticks();
            let is_near =
                ticks.iter().zip(&expected).all(|(tick, expected)| (tick - expected).abs() <= expected * 1e-9);
            assert!(is_near && ticks.len() == expected.len(), "{ticks:?}, not {expected:?}");
        }
    }
}
