//! How fast bodies with measures are read: `cargo bench -p nephometer-metric`.

use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use nephometer_metric::ingest::{read_measures, read_metric_batch, read_resource_batch};
use nephometer_model::Timestamp;

fn main() {
    divan::main();
}

const NOW: Timestamp = Timestamp::from_ns(1_700_000_000_000_000_000);

/// Measures as Ceilometer's publisher writes them: a point each 10 s with microseconds and offset.
fn list(count: usize) -> String {
    let measure = |n: usize| {
        let (hour, minute, second) = (n / 360 % 24, n / 6 % 60, n % 6 * 10);
        format!(
            "{{\"timestamp\": \"2025-10-09T{hour:02}:{minute:02}:{second:02}.123456+00:00\", \"value\": {}.{:02}}}",
            n * 37 % 100_000,
            n % 100
        )
    };
    format!("[{}]", (0..count).map(measure).collect::<Vec<_>>().join(", "))
}

#[divan::bench(args = [60, 143_330])]
fn measures(bencher: Bencher<'_, '_>, count: usize) {
    let body = list(count);
    bencher
        .counter(ItemsCount::new(count))
        .counter(BytesCount::new(body.len()))
        .bench(|| read_measures(body.as_bytes(), NOW));
}

#[divan::bench]
fn batch_of_100_metrics_by_60(bencher: Bencher<'_, '_>) {
    let entry = |n: u128| format!("\"{}\": {}", uuid::Uuid::from_u128(n), list(60));
    let body = format!("{{{}}}", (0..100).map(entry).collect::<Vec<_>>().join(", "));
    bencher
        .counter(ItemsCount::new(6000_usize))
        .counter(BytesCount::new(body.len()))
        .bench(|| read_metric_batch(body.as_bytes(), NOW));
}

#[divan::bench]
fn batch_of_100_resources_by_20_names_by_1(bencher: Bencher<'_, '_>) {
    let metric = |n: usize| {
        format!(
            "\"network.bytes.{n}\": {{\"measures\": {}, \"archive_policy_name\": \"low\", \"unit\": \"B\"}}",
            list(1)
        )
    };
    let metrics = (0..20).map(metric).collect::<Vec<_>>().join(", ");
    let resource = |n: u128| format!("\"{}\": {{{metrics}}}", uuid::Uuid::from_u128(n));
    let body = format!("{{{}}}", (0..100).map(resource).collect::<Vec<_>>().join(", "));
    bencher
        .counter(ItemsCount::new(2000_usize))
        .counter(BytesCount::new(body.len()))
        .bench(|| read_resource_batch(body.as_bytes(), Some("admin"), NOW));
}
