//! Bars in an SVG: one row for each server, one group for each case, on a logarithmic scale, since
//! servers differ by factors and not by differences.

use std::fmt::Write as _;

use crate::measure::Measure;

/// One row.
#[derive(Debug)]
pub struct Bar {
    pub name: &'static str,
    pub value: f64,
    pub is_ours: bool,
}

/// Draws the groups below each other.
pub fn bars(title: &str, measure: &Measure, groups: &[(&str, Vec<Bar>)]) -> String {
    let values = || groups.iter().flat_map(|(_, bars)| bars.iter().map(|bar| bar.value));
    let least = values().filter(|value| *value > 0.0).fold(f64::INFINITY, f64::min);
    let most = values().fold(0.0, f64::max);
    let scale = Scale::new(least, most);
    let rows: usize = groups.iter().map(|(_, bars)| bars.len() + 1).sum();
    let height = TOP + ROW * rows as f64 + 10.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"white\"/>\n\
         <text x=\"10\" y=\"20\" font-size=\"15\">{title}: {}</text>\n",
        measure.title
    );
    for power in scale.powers() {
        let x = scale.place(power);
        let _ = writeln!(
            svg,
            "<line x1=\"{x:.1}\" y1=\"{}\" x2=\"{x:.1}\" y2=\"{height}\" stroke=\"#ddd\"/>\
             <text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\" fill=\"#777\">{power}</text>",
            TOP - 8.0,
            TOP - 12.0
        );
    }
    let mut y = TOP;
    for (case, bars) in groups {
        let _ =
            writeln!(svg, "<text x=\"10\" y=\"{}\" font-weight=\"bold\">{case}</text>", y + 12.0);
        y += ROW;
        for bar in bars {
            row(&mut svg, &scale, bar, measure.digits, y);
            y += ROW;
        }
    }
    svg + "</svg>\n"
}

fn row(svg: &mut String, scale: &Scale, bar: &Bar, digits: usize, y: f64) {
    let Bar { name, value, is_ours } = bar;
    let colour = if *is_ours { "#1f77b4" } else { "#aaa" };
    let end = scale.place(*value);
    let _ = writeln!(
        svg,
        "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{name}</text>\
         <rect x=\"{LEFT}\" y=\"{}\" width=\"{:.1}\" height=\"{}\" fill=\"{colour}\"/>\
         <text x=\"{:.1}\" y=\"{}\">{value:.digits$}</text>",
        LEFT - 6.0,
        y + 12.0,
        y + 2.0,
        end - LEFT,
        ROW - 4.0,
        end + 4.0,
        y + 12.0
    );
}

struct Scale {
    from: f64,
    to: f64,
}

impl Scale {
    /// From the power of ten below the least to the one above the most.
    fn new(least: f64, most: f64) -> Self {
        if !least.is_finite() || most <= 0.0 {
            return Self { from: 0.0, to: 1.0 };
        }
        let (from, to) = (least.log10().floor(), most.log10().ceil());
        Self { from, to: to.max(from + 1.0) }
    }

    fn place(&self, value: f64) -> f64 {
        let share = (value.max(1e-12).log10() - self.from) / (self.to - self.from);
        LEFT + share.max(0.0) * (WIDTH - LEFT - RIGHT)
    }

    fn powers(&self) -> impl Iterator<Item = f64> {
        (self.from as i32..=self.to as i32).map(|power| 10f64.powi(power))
    }
}

const WIDTH: f64 = 760.0;
const LEFT: f64 = 210.0;
const RIGHT: f64 = 70.0;
const TOP: f64 = 60.0;
const ROW: f64 = 18.0;
