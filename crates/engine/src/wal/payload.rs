//! Records as bytes: small, but above all quick, since each is written once and seldom read.

use nephometer_drivers::{SeriesRun, WriteBatch};
use nephometer_model::{PolicyKey, SeriesKey};
use nephometer_series::codec::{
    ByteReader, CodecError, MAX_EXPONENT, decimals_to_ints, int_to_decimal, ints_to_decimals, put_varint,
    put_zigzag,
};

use super::Record;

const WRITE: u8 = 1;
const DELETE_SPAN: u8 = 2;
const DELETE_SERIES: u8 = 3;

/// Nanoseconds of the units in which a record counts time, by code.
const UNITS_NS: [i64; 4] = [1, 1_000, 1_000_000, 1_000_000_000];

/// The key is the one after the key of the run before.
const NEXT_KEY: u8 = 1;
/// Same policy as the run before.
const SAME_POLICY: u8 = 2;
/// As many measures as the run before.
const SAME_LEN: u8 = 4;
/// The timestamps of the run before.
const SAME_TIMES: u8 = 8;
/// Where in a run's flags the form of its values begins: a decimal exponent, or [`RAW_VALUES`].
const VALUES_SHIFT: u8 = 4;
/// Values as their eight bytes.
const RAW_VALUES: u8 = 15;

/// A record whose payload is encoded already, so that the commit thread only has to append it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedRecord {
    pub(super) kind: u8,
    pub(super) payload: Vec<u8>,
}

impl EncodedRecord {
    /// The record of a request's measures. The lengths of the runs must add up to those of the columns.
    pub fn write(batch: &WriteBatch) -> Self {
        let mut payload = Vec::with_capacity(16 + batch.runs.len() * 4 + batch.values.len() * 6);
        let unit = common_unit(&batch.timestamps_ns);
        payload.push(unit as u8);
        put_varint(&mut payload, batch.runs.len() as u64);
        put_varint(&mut payload, batch.values.len() as u64);
        let mut writer = RunWriter { unit_ns: UNITS_NS[unit], before: Run::default(), ints: Vec::new() };
        let mut from = 0;
        for run in &batch.runs {
            let to = from + run.len as usize;
            writer.put(&mut payload, run, &batch.timestamps_ns[from..to], &batch.values[from..to]);
            from = to;
        }
        Self { kind: WRITE, payload }
    }

    /// The record of a deleted span; see [`Record::DeleteSpan`].
    pub fn delete_span(key: SeriesKey, start_ns: i64, stop_ns: i64) -> Self {
        let mut payload = Vec::with_capacity(24);
        payload.extend_from_slice(&key.0.to_le_bytes());
        payload.extend_from_slice(&start_ns.to_le_bytes());
        payload.extend_from_slice(&stop_ns.to_le_bytes());
        Self { kind: DELETE_SPAN, payload }
    }

    /// The record of forgotten series.
    pub fn delete_series(keys: &[SeriesKey]) -> Self {
        let payload = keys.iter().flat_map(|key| key.0.to_le_bytes()).collect();
        Self { kind: DELETE_SERIES, payload }
    }

    /// Bytes that the record takes in the log.
    pub fn log_bytes(&self) -> u64 {
        (super::segment::FRAME_LEN + self.payload.len()) as u64
    }

    /// What the record says; an error is a fault of the program, since records of the log are verified.
    pub fn decode(&self) -> Result<Record, CodecError> {
        decode(self.kind, &self.payload)
    }
}

/// Undoes [`EncodedRecord`].
pub(super) fn decode(kind: u8, payload: &[u8]) -> Result<Record, CodecError> {
    let mut reader = ByteReader::new(payload);
    let record = match kind {
        WRITE => Record::Write(decode_write(&mut reader)?),
        DELETE_SPAN => Record::DeleteSpan {
            key: SeriesKey(u64::from_le_bytes(reader.array()?)),
            start_ns: i64::from_le_bytes(reader.array()?),
            stop_ns: i64::from_le_bytes(reader.array()?),
        },
        DELETE_SERIES => {
            let mut keys = Vec::with_capacity(payload.len() / 8);
            while !reader.is_empty() {
                keys.push(SeriesKey(u64::from_le_bytes(reader.array()?)));
            }
            Record::DeleteSeries(keys)
        }
        _ => return Err(CodecError::Invalid("unknown kind of record")),
    };
    if reader.is_empty() { Ok(record) } else { Err(CodecError::Invalid("bytes behind a record")) }
}

/// Code of the largest unit that all `timestamps` are whole multiples of.
fn common_unit(timestamps: &[i64]) -> usize {
    let mut unit = UNITS_NS.len() - 1;
    for timestamp in timestamps {
        while timestamp % UNITS_NS[unit] != 0 {
            unit -= 1;
        }
    }
    unit
}

/// The run that was written or read last; its timestamps are a range of the columns.
#[derive(Debug, Clone, Copy, Default)]
struct Run<'a> {
    key: u64,
    policy: u32,
    timestamps: &'a [i64],
}

struct RunWriter<'a> {
    unit_ns: i64,
    before: Run<'a>,
    ints: Vec<i64>,
}

impl<'a> RunWriter<'a> {
    fn put(&mut self, out: &mut Vec<u8>, run: &SeriesRun, timestamps: &'a [i64], values: &[f64]) {
        self.ints.clear();
        let before = self.before;
        let exponent = decimals_to_ints(values, &mut self.ints).filter(|_| self.ints_pay());
        let mut flags = exponent.unwrap_or(RAW_VALUES) << VALUES_SHIFT;
        let same_len = timestamps.len() == before.timestamps.len();
        let same_times = same_len && timestamps == before.timestamps;
        for (flag, holds) in [
            (NEXT_KEY, run.key.0 == before.key.wrapping_add(1)),
            (SAME_POLICY, run.policy.0 == before.policy),
            (SAME_LEN, same_len),
            (SAME_TIMES, same_times),
        ] {
            flags |= if holds { flag } else { 0 };
        }
        out.push(flags);
        if flags & NEXT_KEY == 0 {
            put_zigzag(out, run.key.0.wrapping_sub(before.key).cast_signed());
        }
        if flags & SAME_POLICY == 0 {
            put_varint(out, run.policy.0.into());
        }
        if !same_len {
            put_varint(out, timestamps.len() as u64);
        }
        if !same_times {
            self.put_times(out, timestamps);
        }
        match exponent {
            Some(_) => put_differences(out, &self.ints),
            None => values.iter().for_each(|value| out.extend_from_slice(&value.to_bits().to_le_bytes())),
        }
        self.before = Run { key: run.key.0, policy: run.policy.0, timestamps };
    }

    /// Whether the differences of a run of integers are shorter than eight bytes; they are but for huge single ones.
    fn ints_pay(&self) -> bool {
        match self.ints.as_slice() {
            [only] => only.unsigned_abs() < 1 << 55,
            _ => true,
        }
    }

    /// The first against the first of the run before, then the first step, then what each step differs by from the
    /// one before: a zero byte each where measures are regular.
    fn put_times(&self, out: &mut Vec<u8>, timestamps: &[i64]) {
        let (mut last, mut step) =
            (self.before.timestamps.first().map_or(0, |first| first / self.unit_ns), 0_i64);
        for (at, timestamp) in timestamps.iter().enumerate() {
            let scaled = timestamp / self.unit_ns;
            let next = scaled.wrapping_sub(last);
            put_zigzag(out, next.wrapping_sub(step));
            last = scaled;
            step = if at == 0 { 0 } else { next };
        }
    }
}

fn put_differences(out: &mut Vec<u8>, ints: &[i64]) {
    let mut last = 0;
    for int in ints {
        put_zigzag(out, int - last);
        last = *int;
    }
}

fn decode_write(reader: &mut ByteReader<'_>) -> Result<WriteBatch, CodecError> {
    let unit_ns =
        UNITS_NS.get(usize::from(reader.byte()?)).ok_or(CodecError::Invalid("unknown unit of time"))?;
    // Each run and each value takes a byte at least.
    let limit = reader.rest().len();
    let runs = reader.count(limit)?;
    let len = reader.count(limit)?;
    let mut batch = WriteBatch {
        runs: Vec::with_capacity(runs),
        timestamps_ns: Vec::with_capacity(len),
        values: Vec::with_capacity(len),
    };
    let mut before = SeriesRun { key: SeriesKey(0), policy: PolicyKey(0), len: 0 };
    let mut ints = Vec::new();
    for _ in 0..runs {
        let flags = reader.byte()?;
        let run = decode_run(reader, flags, &before)?;
        let run_len = run.len as usize;
        if run_len > len - batch.values.len() {
            return Err(CodecError::Invalid("runs beyond the columns"));
        }
        let earlier = batch.timestamps_ns.len() - before.len as usize;
        if flags & SAME_TIMES == 0 {
            let last = batch.timestamps_ns.get(earlier).filter(|_| before.len > 0);
            let last = last.map_or(0, |first| first / unit_ns);
            decode_times(reader, run_len, last, *unit_ns, &mut batch.timestamps_ns)?;
        } else if run.len == before.len {
            batch.timestamps_ns.extend_from_within(earlier..);
        } else {
            return Err(CodecError::Invalid("timestamps of a run of another length"));
        }
        decode_values(reader, flags >> VALUES_SHIFT, run_len, &mut ints, &mut batch.values)?;
        batch.runs.push(run);
        before = run;
    }
    if batch.values.len() == len { Ok(batch) } else { Err(CodecError::Invalid("runs short of the columns")) }
}

fn decode_run(reader: &mut ByteReader<'_>, flags: u8, before: &SeriesRun) -> Result<SeriesRun, CodecError> {
    let step = if flags & NEXT_KEY == 0 { reader.zigzag()? } else { 1 };
    let small = |value: u64| u32::try_from(value).map_err(|_| CodecError::Invalid("number too large"));
    let policy = if flags & SAME_POLICY == 0 { small(reader.varint()?)? } else { before.policy.0 };
    let len = if flags & SAME_LEN == 0 { small(reader.varint()?)? } else { before.len };
    Ok(SeriesRun {
        key: SeriesKey(before.key.0.wrapping_add(step.cast_unsigned())),
        policy: PolicyKey(policy),
        len,
    })
}

fn decode_times(
    reader: &mut ByteReader<'_>,
    len: usize,
    mut last: i64,
    unit_ns: i64,
    out: &mut Vec<i64>,
) -> Result<(), CodecError> {
    let mut step = 0_i64;
    for at in 0..len {
        let next = step.wrapping_add(reader.zigzag()?);
        last = last.wrapping_add(next);
        step = if at == 0 { 0 } else { next };
        out.push(last.wrapping_mul(unit_ns));
    }
    Ok(())
}

fn decode_values(
    reader: &mut ByteReader<'_>,
    form: u8,
    len: usize,
    ints: &mut Vec<i64>,
    out: &mut Vec<f64>,
) -> Result<(), CodecError> {
    if form == RAW_VALUES {
        let (bytes, _) = reader.slice(len.saturating_mul(8))?.as_chunks::<8>();
        out.extend(bytes.iter().map(|bytes| f64::from_bits(u64::from_le_bytes(*bytes))));
        return Ok(());
    }
    if form > MAX_EXPONENT {
        return Err(CodecError::Invalid("unknown form of values"));
    }
    if len == 1 {
        out.push(int_to_decimal(reader.zigzag()?, form));
        return Ok(());
    }
    ints.clear();
    let mut last = 0_i64;
    for _ in 0..len {
        last = last.wrapping_add(reader.zigzag()?);
        ints.push(last);
    }
    ints_to_decimals(ints, form, out);
    Ok(())
}
