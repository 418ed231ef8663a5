//! The Prometheus text format 0.0.4, which `prometheus-client` does not write, from the protobuf
//! messages, which it does make.
//!
//! <https://github.com/prometheus/docs/blob/main/docs/instrumenting/exposition_formats.md>

use std::fmt::{self, Write};

use prometheus_client::encoding::prometheus_protobuf::prometheus_data_model::{
    Histogram, LabelPair, Metric, MetricFamily, MetricType,
};

/// Writes `families`: counters, gauges and classic histograms.
pub(super) fn write(out: &mut String, families: &[MetricFamily]) -> fmt::Result {
    for family in families {
        let name = &family.name;
        writeln!(out, "# HELP {name} {}", family.help)?;
        writeln!(out, "# TYPE {name} {}", kind(family.r#type()))?;
        for metric in &family.metric {
            write_metric(out, name, metric)?;
        }
    }
    Ok(())
}

fn kind(kind: MetricType) -> &'static str {
    match kind {
        MetricType::Counter => "counter",
        MetricType::Gauge => "gauge",
        MetricType::Histogram => "histogram",
        _ => "untyped",
    }
}

fn write_metric(out: &mut String, name: &str, metric: &Metric) -> fmt::Result {
    let labels = &metric.label;
    if let Some(counter) = &metric.counter {
        write_sample(out, name, "", labels, None, counter.value)?;
    }
    if let Some(gauge) = &metric.gauge {
        write_sample(out, name, "", labels, None, gauge.value)?;
    }
    if let Some(histogram) = &metric.histogram {
        write_histogram(out, name, labels, histogram)?;
    }
    Ok(())
}

fn write_histogram(
    out: &mut String,
    name: &str,
    labels: &[LabelPair],
    histogram: &Histogram,
) -> fmt::Result {
    for bucket in &histogram.bucket {
        let count = bucket.cumulative_count as f64;
        write_sample(out, name, "_bucket", labels, Some(bucket.upper_bound), count)?;
    }
    write_sample(out, name, "_sum", labels, None, histogram.sample_sum)?;
    write_sample(out, name, "_count", labels, None, histogram.sample_count as f64)
}

fn write_sample(
    out: &mut String,
    name: &str,
    suffix: &str,
    labels: &[LabelPair],
    le: Option<f64>,
    value: f64,
) -> fmt::Result {
    write!(out, "{name}{suffix}")?;
    let mut before = '{';
    for label in labels {
        write!(out, "{before}{}=\"", label.name)?;
        write_escaped(out, &label.value)?;
        out.push('"');
        before = ',';
    }
    if let Some(bound) = le {
        write!(out, "{before}le=\"{}\"", Number(bound))?;
        before = ',';
    }
    if before == ',' {
        out.push('}');
    }
    // Whole numbers are written as such, up to where a double holds every one of them.
    if value.fract() == 0.0 && value.abs() <= 2_f64.powi(53) {
        writeln!(out, " {value:.0}")
    } else {
        writeln!(out, " {}", Number(value))
    }
}

fn write_escaped(out: &mut String, value: &str) -> fmt::Result {
    for c in value.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            c => out.push(c),
        }
    }
    Ok(())
}

/// A number as `prometheus-client` writes it in OpenMetrics, so that bounds (`le`) are the same
/// series in both text formats.
struct Number(f64);

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == f64::INFINITY {
            f.write_str("+Inf")
        } else if self.0 == f64::NEG_INFINITY {
            f.write_str("-Inf")
        } else {
            f.write_str(dtoa::Buffer::new().format(self.0))
        }
    }
}
