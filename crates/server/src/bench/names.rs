//! How requests name their series, in little memory: millions of them are kept while a long run goes on.

use nephometer_model::{MetricId, ResourceId};

/// How requests name their series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// `{"<metric id>": [measures]}`.
    ByMetricId,
    /// As Ceilometer's publisher does: `{"<resource id>": {"<name>": {"archive_policy_name": …, "unit": …,
    /// "measures": [measures]}}}`, metrics made on the way.
    ByResourceAndName,
    /// VictoriaMetrics' JSON lines: a line a series, values and times as columns.
    ImportLines,
}

impl Form {
    /// Where such bodies are posted.
    pub(super) fn path(self) -> &'static str {
        match self {
            Self::ByMetricId => "/v1/batch/metrics/measures",
            Self::ByResourceAndName => "/v1/batch/resources/metrics/measures?create_metrics=true",
            Self::ImportLines => "/api/v1/import",
        }
    }

    /// What stands around the series of a body.
    pub(super) fn frame(self) -> (&'static [u8], &'static [u8]) {
        match self {
            Self::ByMetricId => (b"{", b"}"),
            Self::ByResourceAndName => (b"{", b"}}"),
            Self::ImportLines => (b"", b""),
        }
    }

    /// What stands after the measures of a series.
    pub(super) fn close(self) -> &'static [u8] {
        match self {
            Self::ByMetricId => b"",
            Self::ByResourceAndName => b"}",
            Self::ImportLines => b"}\n",
        }
    }
}

/// The names of series that are written together.
#[derive(Debug, Clone)]
pub(super) struct Names {
    pub(super) form: Form,
    /// Archive policy of metrics that are made on the way.
    pub(super) policy: &'static str,
    /// Each has `per_resource` series but the last, which may have fewer.
    pub(super) resources: Vec<ResourceId>,
    pub(super) per_resource: usize,
    /// Ids of the metrics, where these are written by id.
    pub(super) ids: Vec<MetricId>,
    /// How many series there are.
    pub(super) len: usize,
}

impl Names {
    /// The resource of series `at`.
    pub(super) fn resource(&self, at: usize) -> ResourceId {
        self.resources[at / self.per_resource]
    }

    /// The name of series `at` in its resource.
    pub(super) fn name(&self, at: usize) -> String {
        name_of(at % self.per_resource)
    }

    /// Where the metric of series `at` is in Gnocchi's API.
    pub(super) fn path(&self, at: usize) -> String {
        match self.ids.get(at) {
            Some(id) => format!("/v1/metric/{id}"),
            None => format!("/v1/resource/generic/{}/metric/{}", self.resource(at).0, self.name(at)),
        }
    }

    /// Series `at` as VictoriaMetrics selects it.
    pub(super) fn selector(&self, at: usize) -> String {
        format!("{{__name__=\"{}\",resource=\"{}\"}}", self.name(at), self.resource(at).0)
    }

    /// Appends what stands in a body before the measures of series `at`.
    pub(super) fn open(&self, at: usize, out: &mut Vec<u8>) {
        let of_resource = at % self.per_resource;
        match self.form {
            Form::ByMetricId => {
                out.extend_from_slice(if at > 0 { b", \"" } else { b"\"" });
                write_uuid(&self.ids[at].0, out);
                out.extend_from_slice(b"\": ");
            }
            Form::ByResourceAndName => {
                if of_resource > 0 {
                    out.extend_from_slice(b", \"");
                } else {
                    out.extend_from_slice(if at > 0 { b"}, \"" } else { b"\"" });
                    write_uuid(&self.resource(at).0, out);
                    out.extend_from_slice(b"\": {\"");
                }
                write_name(of_resource, out);
                out.extend_from_slice(b"\": {\"archive_policy_name\": \"");
                out.extend_from_slice(self.policy.as_bytes());
                out.extend_from_slice(b"\", \"unit\": \"B\", \"measures\": ");
            }
            Form::ImportLines => {
                out.extend_from_slice(b"{\"metric\":{\"__name__\":\"");
                write_name(of_resource, out);
                out.extend_from_slice(b"\",\"resource\":\"");
                write_uuid(&self.resource(at).0, out);
                out.extend_from_slice(b"\"},");
            }
        }
    }
}

/// The name of the metric `at` of a resource.
pub(super) fn name_of(at: usize) -> String {
    format!("bench_{at:03}")
}

fn write_name(at: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(b"bench_");
    if at > 999 {
        out.extend_from_slice(at.to_string().as_bytes());
        return;
    }
    out.extend([100, 10, 1].map(|unit| b'0' + u8::try_from(at / unit % 10).unwrap_or(0)));
}

fn write_uuid(id: &impl AsRef<[u8]>, out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for (at, byte) in id.as_ref().iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            out.push(b'-');
        }
        out.extend_from_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
    }
}

#[cfg(test)]
mod tests {
    use nephometer_model::{IdSource, SystemClock};

    use super::*;

    #[test]
    fn written_as_printed() {
        let uuid = SystemClock::new().uuid();
        let mut text = Vec::new();
        write_uuid(&uuid, &mut text);
        assert_eq!(String::from_utf8(text).unwrap(), uuid.to_string());
        for at in [0, 7, 42, 999, 1000] {
            let mut text = Vec::new();
            write_name(at, &mut text);
            assert_eq!(String::from_utf8(text).unwrap(), name_of(at));
        }
    }
}
