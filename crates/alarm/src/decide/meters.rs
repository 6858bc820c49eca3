//! The threshold rule over metered samples, retired upstream.

use nephometer_model::MetersRule;

use super::{Finding, Samples};

/// Statistics of a period.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MeterPoint {
    /// The statistic that the rule names.
    pub value: f64,
    /// How many samples the period has; needed where outliers are left out.
    pub count: f64,
}

fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let count = values.len() as f64;
    if count > 0.0 { values.sum::<f64>() / count } else { 0.0 }
}

/// Periods whose count of samples lies within two standard deviations of the mean count.
fn without_outliers(points: &[MeterPoint]) -> Vec<MeterPoint> {
    let middle = mean(points.iter().map(|point| point.count));
    let spread = mean(points.iter().map(|point| (point.count - middle).powi(2))).sqrt();
    let usual = |point: &&MeterPoint| (point.count - middle).abs() <= 2.0 * spread;
    points.iter().filter(usual).copied().collect()
}

/// What periods, oldest first, say to the rule.
pub fn meters(rule: &MetersRule, points: &[MeterPoint]) -> Finding {
    let kept = if rule.exclude_outliers { without_outliers(points) } else { points.to_vec() };
    let wanted = rule.evaluation_periods as usize;
    let values: Vec<f64> =
        kept[kept.len().saturating_sub(wanted)..].iter().map(|point| point.value).collect();
    let compared = Samples::compare(&values, rule.comparison_operator, rule.threshold);
    match compared.filter(|_| values.len() >= wanted) {
        Some(samples) => Finding::Samples(samples),
        None => Finding::Insufficient {
            reason: format!("{wanted} datapoints are unknown"),
            samples: values,
            count: wanted,
        },
    }
}
