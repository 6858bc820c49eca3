//! Samples as plain objects, in the texts that Python makes of them.

use nephometer_model::{Sample, Volume, json, python};

/// How a text is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// `json.dumps`.
    Json,
    /// `repr` of a dict.
    Repr,
}

/// A sample with all its fields. JSON has no word for some numbers; Python writes them all the same.
pub(super) fn text(sample: &Sample, form: Form) -> String {
    let entries = sample.to_map().into_iter().map(|(name, value)| match form {
        Form::Json => match sample.volume {
            Volume::Float(volume) if name == "volume" && !volume.is_finite() => {
                let mut out = Vec::new();
                json::write_f64(&mut out, volume);
                format!("\"{name}\": {}", String::from_utf8_lossy(&out))
            }
            _ => format!("\"{name}\": {}", python::dumps(&value)),
        },
        Form::Repr => match sample.volume {
            Volume::Float(volume) if name == "volume" => format!("'{name}': {}", python::float(volume)),
            _ => format!("'{name}': {}", python::repr(&value)),
        },
    });
    format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use nephometer_model::{Meter, MeterType};

    use super::*;

    #[test]
    fn samples_as_python_writes_them() {
        let meter = Meter::new("cpu", MeterType::Gauge, "é");
        let sample = Sample::new(&meter, f64::NAN, "i");
        assert_eq!(
            text(&sample, Form::Repr),
            "{'name': 'cpu', 'type': 'gauge', 'unit': 'é', 'volume': nan, 'user_id': None, 'user_name': None, \
             'project_id': None, 'project_name': None, 'resource_id': None, 'timestamp': None, \
             'resource_metadata': {}, 'source': 'openstack', 'id': 'i', 'monotonic_time': None}"
        );
        assert!(text(&sample, Form::Json).starts_with(
            r#"{"name": "cpu", "type": "gauge", "unit": "\u00e9", "volume": NaN, "user_id": null, "#
        ));
    }
}
