//! Colours of plots: readable on light and on dark pages.
//!
//! What surrounds the data follows the page through a style sheet within the image; where an image does not know what page
//! it is on, its colours are still told from both. A unit test computes it.

use plotters::prelude::RGBColor;

/// Lines and bars, in this order. In the middle between both pages.
pub(crate) const COLOURS: [RGBColor; 8] = [
    RGBColor(0x2f, 0x81, 0xf7),
    RGBColor(0xdb, 0x61, 0x1c),
    RGBColor(0x2d, 0x9a, 0x46),
    RGBColor(0xa3, 0x71, 0xf7),
    RGBColor(0xd6, 0x45, 0x8b),
    RGBColor(0x1b, 0x93, 0x9e),
    RGBColor(0xa8, 0x7a, 0x0f),
    RGBColor(0xe5, 0x4b, 0x4b),
];

/// Stand for what the style sheet decides. No colours of data.
pub(crate) const INK: RGBColor = RGBColor(1, 2, 3);
pub(crate) const AXIS: RGBColor = RGBColor(1, 2, 4);
pub(crate) const GRID: RGBColor = RGBColor(1, 2, 5);

/// Text and axes, on light pages and on dark ones.
const INKS: [&str; 2] = ["#656d76", "#848d97"];

/// Makes what was drawn follow the page, and gives it a title for whoever cannot see it.
pub(crate) fn finish(svg: &str, title: &str) -> String {
    let [light, dark] = INKS;
    let head = format!(
        "\n<title>{}</title>\n<style>\
text{{font-family:system-ui,-apple-system,'Segoe UI',Helvetica,Arial,sans-serif}}\
.ink{{fill:{light}}}.axis{{stroke:{light}}}.grid{{stroke:{light};stroke-opacity:.25}}\
@media (prefers-color-scheme:dark){{.ink{{fill:{dark}}}.axis{{stroke:{dark}}}.grid{{stroke:{dark}}}}}\
</style>",
        escape(title)
    );
    let mut out = svg.to_owned();
    for (colour, class) in [(INK, "ink"), (AXIS, "axis"), (GRID, "grid")] {
        let RGBColor(red, green, blue) = colour;
        let colour = format!("#{red:02X}{green:02X}{blue:02X}");
        for attribute in ["fill", "stroke"] {
            out = out.replace(&format!("{attribute}=\"{colour}\""), &format!("class=\"{class}\""));
        }
    }
    let root_ends = out.find("<svg").and_then(|start| out[start..].find('>').map(|end| start + end + 1));
    out.insert_str(root_ends.unwrap_or(out.len()), &head);
    out
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// A name of a file.
pub(crate) fn slug(text: &str) -> String {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_ascii_lowercase).collect::<Vec<_>>().join("-")
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    const PAGES: [RGBColor; 2] = [RGBColor(0xff, 0xff, 0xff), RGBColor(0x0d, 0x11, 0x17)];

    /// WCAG 2: relative luminance.
    fn luminance(RGBColor(red, green, blue): RGBColor) -> f64 {
        let [red, green, blue] = [red, green, blue].map(|part| {
            let part = f64::from(part) / 255.0;
            if part <= 0.040_45 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
        });
        0.2126 * red + 0.7152 * green + 0.0722 * blue
    }

    fn contrast(one: RGBColor, other: RGBColor) -> f64 {
        let [one, other] = [luminance(one), luminance(other)];
        (one.max(other) + 0.05) / (one.min(other) + 0.05)
    }

    fn parse(colour: &str) -> RGBColor {
        let part = |at: usize| u8::from_str_radix(&colour[at..at + 2], 16).unwrap();
        RGBColor(part(1), part(3), part(5))
    }

    #[test]
    fn every_colour_can_be_told_from_light_and_from_dark_pages() {
        assert!((contrast(PAGES[0], RGBColor(0, 0, 0)) - 21.0).abs() < 1e-9);
        for colour in COLOURS.into_iter().chain(INKS.map(parse)) {
            for page in PAGES {
                let contrast = contrast(colour, page);
                assert!(contrast >= 3.0, "{colour:?} on {page:?}: {contrast:.2}");
            }
        }
    }

    /// What makes an image unreadable on one of the pages.
    pub(crate) fn assert_follows_the_page(svg: &str) {
        for fixed in ["#000000", "\"black\"", "#FFFFFF", "#ffffff", "\"white\"", "#010203", "#010204", "#010205"] {
            assert!(!svg.contains(fixed), "{fixed} in {svg}");
        }
        assert!(svg.contains("prefers-color-scheme:dark") && svg.contains("class=\"ink\""), "{svg}");
    }

    #[test]
    fn names_of_files_are_plain() {
        assert_eq!(slug("durable puts: 1 KiB"), "durable-puts-1-kib");
    }
}
