//! Lines over two logarithmic axes, as inline SVG.

use std::fmt::Write;

use super::escaped;

/// The drawing, in units that are pixels on a phone.
const WIDTH: f64 = 360.0;
const HEIGHT: f64 = 250.0;
const LEFT: f64 = 54.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 36.0;

/// A logarithmic axis over a span of pixels.
#[derive(Clone, Copy, Debug)]
pub struct Axis {
    from: f64,
    to: f64,
    start: f64,
    end: f64,
}

impl Axis {
    /// An axis for values of this span, drawn from one pixel to another.
    pub fn new((from, to): (f64, f64), start: f64, end: f64) -> Self {
        Axis {
            from: from.log10(),
            to: to.log10(),
            start,
            end,
        }
    }

    /// Where a value lies.
    pub fn at(&self, value: f64) -> f64 {
        let part = (value.log10() - self.from) / (self.to - self.from);
        self.start + part * (self.end - self.start)
    }

    /// Values to mark: the decades, and 2 and 5 between where there are few.
    pub fn marks(&self) -> Vec<f64> {
        let (low, high) = (self.from.min(self.to), self.from.max(self.to));
        let between: &[f64] = match high - low {
            few if few <= 1.2 => &[1.0, 2.0, 5.0],
            some if some <= 2.2 => &[1.0, 3.0],
            _ => &[1.0],
        };
        let decades = low.floor() as i32..=high.ceil() as i32;
        let values = decades.flat_map(|ten| between.iter().map(move |b| b * 10_f64.powi(ten)));
        let near = 1e-9;
        values
            .filter(|v| (low - near..=high + near).contains(&v.log10()))
            .collect()
    }
}

/// The smallest and the largest, with a little room, and not equal.
pub fn span(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (mut low, mut high) = (f64::INFINITY, 0.0_f64);
    for value in values.filter(|value| value.is_finite() && *value > 0.0) {
        low = low.min(value);
        high = high.max(value);
    }
    match low.is_finite() {
        true => (low / 1.3, high * 1.3),
        false => (1.0, 10.0),
    }
}

/// A line.
#[derive(Debug)]
pub struct Series {
    pub name: String,
    pub points: Vec<(f64, f64)>,
    /// A limit is drawn dashed, in a quiet colour.
    pub is_limit: bool,
}

/// Lines, the axes that they lie on, and what is written at them.
#[derive(Debug)]
pub struct Plot<'a> {
    pub title: &'a str,
    /// What is written under the horizontal axis.
    pub across: &'a str,
    /// The horizontal axis, and its marks with their texts.
    pub x: (f64, f64),
    pub marks: Vec<(f64, String)>,
    /// The text of a mark of the vertical axis.
    pub show: fn(f64) -> String,
    pub series: Vec<Series>,
}

impl Plot<'_> {
    /// The SVG, with a legend under it.
    pub fn render(&self) -> String {
        let ys = self.series.iter().flat_map(|s| &s.points).map(|p| p.1);
        let x = Axis::new(self.x, LEFT, WIDTH - RIGHT);
        let y = Axis::new(span(ys), HEIGHT - BOTTOM, TOP);
        let mut out = open(self.title, WIDTH, HEIGHT);
        self.grid(&mut out, x, y);
        for (place, series) in self.series.iter().enumerate() {
            let points = series.points.iter();
            let points = points.map(|p| format!("{:.1},{:.1}", x.at(p.0), y.at(p.1)));
            let points: Vec<String> = points.collect();
            let class = self.class(place);
            for point in points.iter().filter(|_| points.len() <= 8) {
                let (x, y) = point.split_once(',').expect("x and y");
                write!(
                    out,
                    "<circle class=\"{class}\" cx=\"{x}\" cy=\"{y}\" r=\"2\"/>"
                )
                .expect("a string takes all");
            }
            write!(
                out,
                "<polyline class=\"{class}\" points=\"{}\"/>",
                points.join(" ")
            )
            .expect("a string takes all");
        }
        out + "</svg>" + &self.legend()
    }

    fn grid(&self, out: &mut String, x: Axis, y: Axis) {
        let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
        for value in y.marks() {
            let (at, text) = (y.at(value), (self.show)(value));
            write!(
                out,
                "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{right}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>\
                 <text class=\"soft\" text-anchor=\"end\" x=\"{:.1}\" y=\"{:.1}\">{text}</text>",
                LEFT - 6.0,
                at + 4.0
            )
            .expect("a string takes all");
        }
        for (value, text) in &self.marks {
            let at = x.at(*value);
            let anchor = if at > right - 20.0 { "end" } else { "middle" };
            write!(
                out,
                "<line class=\"grid\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{TOP}\" y2=\"{bottom}\"/>\
                 <text class=\"soft\" text-anchor=\"{anchor}\" x=\"{at:.1}\" y=\"{:.1}\">{text}</text>",
                bottom + 15.0
            )
            .expect("a string takes all");
        }
        let middle = (LEFT + right) / 2.0;
        write!(
            out,
            "<text class=\"soft\" text-anchor=\"middle\" x=\"{middle}\" y=\"{}\">{}</text>",
            HEIGHT - 4.0,
            escaped(self.across)
        )
        .expect("a string takes all");
    }

    /// The style of a line: a colour of its own, or a limit's.
    fn class(&self, place: usize) -> String {
        match self.series[place].is_limit {
            true => "line limit sl".into(),
            false => {
                let before = self.series[..place].iter().filter(|s| !s.is_limit).count();
                format!("line s{}", before % 6)
            }
        }
    }

    fn legend(&self) -> String {
        let entries = self.series.iter().enumerate().map(|(place, series)| {
            format!(
                "<li><svg viewBox=\"0 0 24 8\" aria-hidden=\"true\"><line class=\"{}\" x1=\"0\" x2=\"24\" y1=\"4\" \
                 y2=\"4\"/></svg>{}</li>",
                self.class(place),
                escaped(&series.name)
            )
        });
        format!("<ul class=\"legend\">{}</ul>", entries.collect::<String>())
    }
}

/// The beginning of a drawing of this size.
pub fn open(title: &str, width: f64, height: f64) -> String {
    let title = escaped(title);
    format!("<svg viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{title}\">")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_lie_where_their_logarithm_says() {
        let axis = Axis::new((1.0, 100.0), 0.0, 200.0);
        assert_eq!(
            (axis.at(1.0), axis.at(10.0), axis.at(100.0)),
            (0.0, 100.0, 200.0)
        );
    }

    #[test]
    fn short_axes_have_marks_between_the_decades() {
        let marks = |from, to| Axis::new((from, to), 0.0, 1.0).marks();
        assert_eq!(marks(1.0, 10.0), [1.0, 2.0, 5.0, 10.0]);
        assert_eq!(marks(1.0, 10_000.0).len(), 5);
    }

    #[test]
    fn nothing_to_draw_is_drawn_all_the_same() {
        assert_eq!(span(std::iter::empty()), (1.0, 10.0));
    }
}
