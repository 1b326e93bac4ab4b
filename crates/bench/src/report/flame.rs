//! A flame graph: what `perf script` prints, as an SVG in which a function is as wide as the share of the
//! samples that it was found in, and stands on the one that called it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// A function, below those that called it.
#[derive(Debug, Default)]
struct Frame {
    samples: u64,
    callees: BTreeMap<String, Frame>,
}

/// Draws the samples of `perf script`.
pub fn draw(title: &str, script: &str) -> String {
    let mut root = Frame::default();
    for stack in stacks(script) {
        root.add(&stack);
    }
    let height = ROW * (root.depth() + 2) as f64 + 10.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         font-family=\"monospace\" font-size=\"10\">\n<rect width=\"{WIDTH}\" height=\"{height}\" \
         fill=\"white\"/>\n<text x=\"4\" y=\"13\" font-size=\"13\">{}: {} samples</text>\n",
        escaped(title),
        root.samples
    );
    root.draw(&mut svg, "all", 0.0, height - ROW - 4.0, WIDTH / root.samples.max(1) as f64);
    svg + "</svg>\n"
}

/// The stacks, each from the outermost function to the innermost.
fn stacks(script: &str) -> Vec<Vec<&str>> {
    let samples = script.split("\n\n");
    let stacks = samples.map(|sample| {
        let lines = sample.lines().filter(|line| line.starts_with(char::is_whitespace));
        let mut stack: Vec<&str> = lines.filter_map(function).collect();
        stack.reverse();
        stack
    });
    stacks.filter(|stack| !stack.is_empty()).collect()
}

/// `   ffffffff tcp_sendmsg+0x1b ([kernel.kallsyms])`
fn function(line: &str) -> Option<&str> {
    let (_, rest) = line.trim().split_once(' ')?;
    let name = rest.rsplit_once(" (").map_or(rest, |(name, _)| name);
    Some(name.rsplit_once("+0x").map_or(name, |(name, _)| name))
}

impl Frame {
    fn add(&mut self, stack: &[&str]) {
        self.samples += 1;
        if let Some((first, rest)) = stack.split_first() {
            self.callees.entry((*first).to_owned()).or_default().add(rest);
        }
    }

    fn depth(&self) -> usize {
        1 + self.callees.values().map(Self::depth).max().unwrap_or(0)
    }

    fn draw(&self, svg: &mut String, name: &str, x: f64, y: f64, scale: f64) {
        let width = self.samples as f64 * scale;
        if width < NARROWEST {
            return;
        }
        let shown: String = short(name).chars().take((width / CHARACTER) as usize).collect();
        let _ = writeln!(
            svg,
            "<g><title>{}: {} samples</title><rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" \
             height=\"{}\" fill=\"{}\" stroke=\"white\" stroke-width=\"0.5\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\">{}</text></g>",
            escaped(name),
            self.samples,
            ROW - 1.0,
            colour(name),
            x + 2.0,
            y + 10.0,
            escaped(&shown)
        );
        let mut x = x;
        for (name, callee) in &self.callees {
            callee.draw(svg, name, x, y - ROW, scale);
            x += callee.samples as f64 * scale;
        }
    }
}

/// Ours, the runtime's, and the kernel's with the rest.
fn colour(name: &str) -> &'static str {
    match name {
        name if name.contains("jetstream") => "#8fbfe8",
        name if name.contains("tokio") || name.contains("mio") => "#c5d8a8",
        _ => "#f0c890",
    }
}

/// A function's name without the path before it.
fn short(name: &str) -> &str {
    let before_generics = name.split('<').next().filter(|name| !name.is_empty()).unwrap_or(name);
    let parts = before_generics.match_indices("::").map(|(at, _)| at);
    let parts: Vec<usize> = parts.collect();
    match parts.as_slice() {
        [.., second_last, _] => &name[second_last + 2..],
        _ => name,
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

const WIDTH: f64 = 1000.0;
const ROW: f64 = 14.0;
/// Narrower than this nobody could read or hit it.
const NARROWEST: f64 = 1.0;
const CHARACTER: f64 = 6.2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_is_as_wide_as_its_samples() {
        let script = "server 1 2.3: 1 cpu-clock:\n\tff write+0x1 ([kernel])\n\taa a::b::send+0x7 (x)\n\n\
                      server 1 2.4: 1 cpu-clock:\n\tab a::b::send+0x9 (x)\n\n";
        let drawn = draw("t", script);
        assert!(drawn.contains("<title>a::b::send: 2 samples</title>"), "{drawn}");
        assert!(drawn.contains("<title>write: 1 samples</title>"), "{drawn}");
        assert!(drawn.contains(">b::send</text>"), "{drawn}");
    }
}
