//! Prometheus' remote write, spelled out: one series with one sample.

use bytes::Bytes;

/// A body that writes `value` as `name` of the source `job@instance`.
pub(crate) fn body(job: &str, instance: &str, name: &str, value: f64, timestamp_ms: u8) -> Bytes {
    let mut series = Vec::new();
    for (key, text) in [("__name__", name), ("job", job), ("instance", instance)] {
        let label = [field(1, key.as_bytes()), field(2, text.as_bytes())].concat();
        series.extend(field(1, &label));
    }
    // Field 1 is a double, field 2 a varint.
    let sample = [&[0x09][..], &value.to_le_bytes(), &[0x10, timestamp_ms & 0x7f]].concat();
    series.extend(field(2, &sample));
    snappy(&field(1, &series)).into()
}

/// A length-delimited field.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    [&[number << 3 | 2, short(content)], content].concat()
}

/// Snappy's form of bytes that it does not compress: how many, and one literal.
fn snappy(plain: &[u8]) -> Vec<u8> {
    let length = short(plain);
    [&[length, 60 << 2, length - 1], plain].concat()
}

/// A length that needs one byte.
fn short(content: &[u8]) -> u8 {
    u8::try_from(content.len()).ok().filter(|length| *length < 128).unwrap()
}
