//! The chart: what each proxy does with a second of processor time, bare nginx being 1. One group of bars a workload.

use std::fmt::Write as _;

const OWN: &str = "sekimori";
const BAR_HEIGHT: usize = 16;
const BAR_GAP: usize = 4;
const GROUP_GAP: usize = 26;
const LABEL_WIDTH: usize = 200;
const PLOT_WIDTH: usize = 480;
const WIDTH: usize = LABEL_WIDTH + PLOT_WIDTH + 60;

/// Groups of bars, in the order in which they were added.
#[derive(Debug, Default)]
pub struct Chart {
    bars: Vec<(String, String, f64)>,
}

impl Chart {
    /// Adds a bar.
    pub fn add(&mut self, workload: &str, proxy: &str, ratio: f64) {
        self.bars.push((workload.to_owned(), proxy.to_owned(), ratio));
    }

    /// The picture.
    pub fn svg(&self) -> String {
        let most = self.bars.iter().map(|(_, _, ratio)| *ratio).fold(1.25, f64::max);
        let place = |ratio: f64| LABEL_WIDTH as f64 + ratio / most * PLOT_WIDTH as f64;
        let mut groups: Vec<&str> = self.bars.iter().map(|(workload, _, _)| workload.as_str()).collect();
        groups.dedup();
        let height = 46 + groups.len() * GROUP_GAP + self.bars.len() * (BAR_HEIGHT + BAR_GAP);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" \
             role=\"img\" font-family=\"sans-serif\" font-size=\"12\">\n\
             <title>Requests for each second of processor time, bare nginx = 1</title>\n\
             <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#ffffff\"/>\n\
             <text x=\"10\" y=\"22\" font-size=\"14\" fill=\"#1a1a1a\">Requests for each second of processor time, bare nginx = 1</text>\n"
        );
        let mut top = 36;
        for group in groups {
            writeln!(
                svg,
                "<text x=\"10\" y=\"{}\" font-weight=\"bold\" fill=\"#1a1a1a\">{}</text>",
                top + 16,
                plain(group)
            )
            .unwrap();
            top += GROUP_GAP;
            for (_, proxy, ratio) in self.bars.iter().filter(|(workload, _, _)| workload == group) {
                // Dark enough beside white for whoever sees no colours, and each bar has its figure.
                let colour = if proxy == OWN { "#0b5fa5" } else { "#8a8f98" };
                let (middle, end) = (top + BAR_HEIGHT - 4, place(*ratio));
                writeln!(
                    svg,
                    "<text x=\"{}\" y=\"{middle}\" text-anchor=\"end\" fill=\"#1a1a1a\">{}</text>\
                     <rect x=\"{LABEL_WIDTH}\" y=\"{top}\" width=\"{:.1}\" height=\"{BAR_HEIGHT}\" fill=\"{colour}\"/>\
                     <text x=\"{:.1}\" y=\"{middle}\" fill=\"#1a1a1a\">{ratio:.2}</text>",
                    LABEL_WIDTH - 8,
                    plain(proxy),
                    end - LABEL_WIDTH as f64,
                    end + 6.0,
                )
                .unwrap();
                top += BAR_HEIGHT + BAR_GAP;
            }
        }
        let one = place(1.0);
        writeln!(
            svg,
            "<line x1=\"{one:.1}\" y1=\"36\" x2=\"{one:.1}\" y2=\"{}\" stroke=\"#1a1a1a\" stroke-dasharray=\"3 3\"/>\n</svg>",
            height - 8
        )
        .unwrap();
        svg
    }
}

fn plain(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_as_long_as_its_figure() {
        let mut chart = Chart::default();
        chart.add("h1 <200 B>", "nginx bare", 1.0);
        chart.add("h1 <200 B>", OWN, 2.0);
        let svg = chart.svg();
        let widths: Vec<&str> = svg.split("width=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        assert!(widths.contains(&"240.0") && widths.contains(&"480.0"), "{widths:?}");
        assert!(svg.contains("h1 &lt;200 B&gt;") && svg.contains(">2.00</text>"));
    }
}
