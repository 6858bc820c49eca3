//! What `ipmitool sdr -v` and `ipmitool sensor get` print, read as upstream reads it (spec ceilometer 3.2).

/// One sensor with a reading.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct SensorReading {
    /// Its id, `CPU1 Temp (0x1)`.
    pub(super) id: String,
    /// `Temperature`, `Fan`, …
    pub(super) sensor_type: String,
    /// What it reads.
    pub(super) value: f64,
    /// In what, `C`, `RPM`, `V`.
    pub(super) unit: String,
    /// How fast a fan may turn at most.
    pub(super) normal_maximum: Option<String>,
}

/// The sensors in `output` that read something. Fails where a block tells no type, or no sensor reads anything.
pub(super) fn read(output: &str) -> Result<Vec<SensorReading>, String> {
    let mut found = Vec::new();
    let mut some_reading = false;
    for block in blocks(output) {
        let get = |name: &str| block.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
        let sensor_type = ["Sensor Type (Analog)", "Sensor Type (Discrete)", "Sensor Type (Threshold)"]
            .into_iter()
            .find_map(get)
            .ok_or_else(|| format!("a sensor without a type: {}", get("Sensor ID").unwrap_or("no id")))?;
        let Some(reading) = get("Sensor Reading") else { continue };
        some_reading = true;
        let (Some(id), Some((value, unit))) = (get("Sensor ID"), value(reading)) else { continue };
        found.push(SensorReading {
            id: id.to_owned(),
            sensor_type: sensor_type.split(' ').next().unwrap_or_default().to_owned(),
            value,
            unit,
            normal_maximum: get("Normal Maximum").map(str::to_owned),
        });
    }
    if some_reading { Ok(found) } else { Err("no sensor reads anything".to_owned()) }
}

/// Blocks of lines `name : value`; lines that are no such pair say nothing.
fn blocks(output: &str) -> impl Iterator<Item = Vec<(&str, &str)>> {
    let blocks = output.split("\n\n").map(|block| block.lines().filter_map(pair).collect::<Vec<_>>());
    blocks.filter(|block| !block.is_empty())
}

fn pair(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line.split_once(':')?;
    (!value.contains(':')).then(|| (name.trim(), value.trim()))
}

/// Number and unit of a reading; nothing where it is `Disabled`, `No Reading` or a bare number.
fn value(reading: &str) -> Option<(f64, String)> {
    let (number, rest) = reading.split_once(' ').filter(|_| reading != "Disabled")?;
    let unit = match rest.rsplit(' ').next().unwrap_or_default() {
        "Watts" => "W",
        "Volts" => "V",
        other => other,
    };
    Some((number.parse().ok()?, unit.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_real_controllers_sensors_are_read() {
        let sensors = read(include_str!("fixtures/sdr-v.txt")).unwrap();
        let short: Vec<_> = sensors
            .iter()
            .map(|s| (s.id.as_str(), s.sensor_type.as_str(), s.value, s.unit.as_str()))
            .collect();
        assert_eq!(short[0], ("CPU1 Temp (0x1)", "Temperature", 45.0, "C"));
        assert_eq!(short[2], ("Fan1 (0x3)", "Fan", 4800.0, "RPM"));
        assert_eq!(short[4], ("P12V (0x5)", "Voltage", 12.06, "V"));
        assert_eq!((short[6].2, short[6].3), (1.7, "Amps"));
    }

    #[test]
    fn what_reads_nothing_is_left_out_and_what_has_no_type_spoils_all() {
        let with = |reading: &str| {
            format!("Sensor ID : a (0x1)\nSensor Type (Discrete) : Fan (0x04)\nSensor Reading : {reading}\n")
        };
        for nothing in ["Disabled", "No Reading", "0h", "123"] {
            assert_eq!(read(&with(nothing)), Ok(Vec::new()), "{nothing}");
        }
        assert_eq!(read(&with("-2.5 (+/- 1) degrees C")).unwrap()[0].value, -2.5);
        assert!(read("Sensor ID : a\nSensor Reading : 1 C\n").is_err());
        assert!(read("").is_err());
    }
}
