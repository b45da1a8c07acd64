//! Bars: how many times as fast as others, in groups.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::number::{digits, round};
use crate::plot::Axis;
use crate::results::{Row, Spread};
use crate::style::{AXIS, COLOURS, GRID, INK, finish};

const WIDTH: i32 = 860;
const LEFT: i32 = 250;
/// Room for what is written behind bars.
const RIGHT: i32 = WIDTH - 170;
const TOP: i32 = 48;
const GROUP_HEIGHT: i32 = 28;
const BAR_HEIGHT: i32 = 22;

struct Group<'a> {
    title: &'a str,
    bars: Vec<(&'a str, Spread)>,
}

/// Draws the ratios among the rows, one group for each title. `None`: there are none.
pub(crate) fn draw(title: &str, rows: &[&Row]) -> Option<Result<String, String>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for row in rows {
        let Row::Ratio { title, other, ratio, .. } = row else { continue };
        // Times as fast: the other way round, and the slowest rounds are the least.
        let speed = Spread { low: 1.0 / ratio.high, median: 1.0 / ratio.median, high: 1.0 / ratio.low };
        if !(ratio.median.is_finite() && ratio.median > 0.0) {
            continue;
        }
        let index = groups.iter().position(|group| group.title == title).unwrap_or_else(|| {
            groups.push(Group { title, bars: Vec::new() });
            groups.len() - 1
        });
        groups[index].bars.push((other, speed));
    }
    (!groups.is_empty()).then(|| draw_groups(title, &groups).map_err(|error| error.to_string()))
}

fn style(size: i32, colour: &RGBColor, horizontal: HPos, vertical: VPos) -> TextStyle<'static> {
    ("sans-serif", size).into_font().color(colour).pos(Pos::new(horizontal, vertical))
}

fn draw_groups(title: &str, groups: &[Group<'_>]) -> Result<String, Box<dyn std::error::Error>> {
    let all = || groups.iter().flat_map(|group| &group.bars);
    let ends = all().flat_map(|(_, of)| [of.low, of.median, of.high]).filter(|end| end.is_finite() && *end > 0.0);
    let (low, high) = ends.fold((0.8_f64, 1.25_f64), |(low, high), end| (low.min(end), high.max(end)));
    let x = Axis::log(low / 1.1, high * 1.1, LEFT, RIGHT);
    let one = x.place(1.0);
    let bars = i32::try_from(all().count())?;
    let bottom = TOP + i32::try_from(groups.len())? * GROUP_HEIGHT + bars * BAR_HEIGHT + 6;
    let mut others: Vec<&str> = Vec::new();

    let mut svg = String::new();
    {
        let size = (u32::try_from(WIDTH)?, u32::try_from(bottom + 52)?);
        let root = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        root.draw(&Text::new(title.to_owned(), (12, 14), style(16, &INK, HPos::Left, VPos::Top)))?;
        let label = style(12, &INK, HPos::Center, VPos::Top);
        for tick in x.ticks() {
            let at = x.place(tick);
            root.draw(&PathElement::new([(at, TOP), (at, bottom)], GRID))?;
            root.draw(&Text::new(round(tick, ""), (at, bottom + 8), label.clone()))?;
        }
        root.draw(&PathElement::new([(one, TOP), (one, bottom)], AXIS))?;
        let caption = "times as fast as the other; left of 1 it is slower".to_owned();
        root.draw(&Text::new(caption, ((LEFT + RIGHT) / 2, bottom + 28), label))?;

        let mut at = TOP;
        for group in groups {
            let heading = style(13, &INK, HPos::Left, VPos::Center);
            root.draw(&Text::new(group.title.to_owned(), (12, at + GROUP_HEIGHT / 2), heading))?;
            at += GROUP_HEIGHT;
            for (other, speed) in &group.bars {
                let index = others.iter().position(|known| known == other).unwrap_or_else(|| {
                    others.push(other);
                    others.len() - 1
                });
                let colour = COLOURS[index % COLOURS.len()];
                let middle = at + BAR_HEIGHT / 2;
                let name = style(13, &colour, HPos::Right, VPos::Center);
                root.draw(&Text::new((*other).to_owned(), (LEFT - 10, middle), name))?;
                let end = x.place(speed.median);
                let bar = [(one.min(end), at + 3), (one.max(end), at + BAR_HEIGHT - 3)];
                root.draw(&Rectangle::new(bar, colour.filled()))?;
                let (low, high) = (x.place(speed.low), x.place(speed.high));
                root.draw(&PathElement::new([(low, middle), (high, middle)], AXIS.stroke_width(1)))?;
                for end in [low, high] {
                    root.draw(&PathElement::new([(end, middle - 4), (end, middle + 4)], AXIS))?;
                }
                let Spread { low, median, high } = *speed;
                let text = format!("{} [{} to {}]", digits(median), digits(low), digits(high));
                let place = (x.place(high).max(one) + 8, middle);
                root.draw(&Text::new(text, place, style(12, &INK, HPos::Left, VPos::Center)))?;
                at += BAR_HEIGHT;
            }
        }
        root.present()?;
    }
    Ok(finish(&svg, title))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::style::tests::assert_follows_the_page;

    fn ratio(title: &str, other: &str, median: f64) -> Row {
        Row::Ratio {
            title: title.to_owned(),
            subject: "engine".to_owned(),
            subject_seconds: median,
            other: other.to_owned(),
            other_seconds: 1.0,
            ratio: Spread { low: median / 2.0, median, high: median * 2.0 },
            bar: None,
        }
    }

    #[test]
    fn bars_say_how_many_times_as_fast() {
        let rows = [ratio("get", "one", 0.25), ratio("get", "another", 4.0), ratio("put", "one", 1.0)];
        let svg = draw("beside others", &rows.iter().collect::<Vec<_>>()).unwrap().unwrap();
        assert_follows_the_page(&svg);
        for text in ["get", "put", "one", "another", "4.00 [2.00 to 8.00]", "0.25 [0.12 to 0.50]"] {
            assert!(svg.contains(&format!("\n{text}\n")), "{text} in {svg}");
        }
        assert_eq!(svg.matches("<rect").count(), 3, "{svg}");
        assert!(draw("nothing", &[]).is_none());
    }
}
