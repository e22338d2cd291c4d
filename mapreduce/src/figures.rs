//! Figures in Prometheus' text format.

use std::fmt::Write;

/// Figures, written out one after another.
#[derive(Default)]
pub(crate) struct Figures {
    text: String,
}

impl Figures {
    /// One that may shrink, without a label.
    pub fn single(&mut self, name: &str, help: &str, value: u64) {
        self.begin(name, "gauge", help);
        self.line(format_args!("{name} {value}"));
    }

    /// One that may shrink, for each value of a label.
    pub fn gauge<const N: usize>(&mut self, name: &str, help: &str, label: &str, values: [(&str, u64); N]) {
        self.family(name, "gauge", help, label, values);
    }

    /// One that only grows, for each value of a label.
    pub fn counter<const N: usize>(&mut self, name: &str, help: &str, label: &str, values: [(&str, u64); N]) {
        self.family(name, "counter", help, label, values);
    }

    pub fn into_text(self) -> String {
        self.text
    }

    fn family<const N: usize>(&mut self, name: &str, kind: &str, help: &str, label: &str, values: [(&str, u64); N]) {
        self.begin(name, kind, help);
        for (of, value) in values {
            self.line(format_args!("{name}{{{label}=\"{of}\"}} {value}"));
        }
    }

    fn begin(&mut self, name: &str, kind: &str, help: &str) {
        self.line(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}"));
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        writeln!(self.text, "{line}").expect("a String takes whatever is written to it");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_are_written_as_prometheus_reads_them() {
        let mut figures = Figures::default();
        figures.single("a", "One.", 3);
        figures.counter("b_total", "Many.", "kind", [("map", 1), ("reduce", 2)]);
        let expected = "# HELP a One.\n# TYPE a gauge\na 3\n# HELP b_total Many.\n# TYPE b_total counter\n\
                        b_total{kind=\"map\"} 1\nb_total{kind=\"reduce\"} 2\n";
        assert_eq!(figures.into_text(), expected);
    }
}
