//! Readings and their answers.

use nephometer_drivers::{DataPoints, MetricRead, MetricReadError, MetricSubject};
use nephometer_model::{SeriesKey, Timespan, Timestamp};
use prost::{Enumeration, Message, Oneof};

use super::{Series, WireError, keys, numbers};

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Reads {
    #[prost(message, repeated, tag = "1")]
    reads: Vec<Read>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Read {
    #[prost(oneof = "Subject", tags = "1, 2, 3")]
    subject: Option<Subject>,
    #[prost(string, tag = "4")]
    method: String,
    #[prost(int64, tag = "5")]
    granularity_ns: i64,
    #[prost(sint64, tag = "6")]
    start_ns: i64,
    #[prost(sint64, tag = "7")]
    stop_ns: i64,
    #[prost(string, optional, tag = "8")]
    project_id: Option<String>,
}

#[derive(Clone, PartialEq, Oneof)]
enum Subject {
    #[prost(message, tag = "1")]
    OfResource(OfResource),
    #[prost(message, tag = "2")]
    Metrics(Metrics),
    #[prost(message, tag = "3")]
    OfResources(OfResources),
}

#[derive(Clone, PartialEq, Message)]
struct OfResource {
    #[prost(string, tag = "1")]
    resource_id: String,
    #[prost(string, tag = "2")]
    metric: String,
}

#[derive(Clone, PartialEq, Message)]
struct Metrics {
    #[prost(string, repeated, tag = "1")]
    ids: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
struct OfResources {
    #[prost(string, tag = "1")]
    metric: String,
    #[prost(string, tag = "2")]
    resource_type: String,
    /// JSON.
    #[prost(string, tag = "3")]
    search: String,
}

impl From<&MetricRead> for Read {
    fn from(read: &MetricRead) -> Self {
        let MetricRead { subject, method, granularity, start, stop, project_id } = read;
        let subject = match subject.clone() {
            MetricSubject::OfResource { resource_id, metric } => {
                Subject::OfResource(OfResource { resource_id, metric })
            }
            MetricSubject::Metrics(ids) => Subject::Metrics(Metrics { ids }),
            MetricSubject::OfResources { metric, resource_type, search } => {
                Subject::OfResources(OfResources { metric, resource_type, search: search.to_string() })
            }
        };
        Self {
            subject: Some(subject),
            method: method.clone(),
            granularity_ns: granularity.ns(),
            start_ns: start.ns(),
            stop_ns: stop.ns(),
            project_id: project_id.clone(),
        }
    }
}

impl TryFrom<Read> for MetricRead {
    type Error = WireError;

    fn try_from(read: Read) -> Result<Self, WireError> {
        let meaningless = |text: String| WireError::Meaningless(text);
        let subject = match read.subject {
            Some(Subject::OfResource(OfResource { resource_id, metric })) => {
                MetricSubject::OfResource { resource_id, metric }
            }
            Some(Subject::Metrics(Metrics { ids })) => MetricSubject::Metrics(ids),
            Some(Subject::OfResources(OfResources { metric, resource_type, search })) => {
                let search = serde_json::from_str(&search)
                    .map_err(|error| meaningless(format!("a search is no JSON: {error}")))?;
                MetricSubject::OfResources { metric, resource_type, search }
            }
            None => return Err(meaningless("a reading does not say whose measures it wants".to_owned())),
        };
        if read.granularity_ns <= 0 {
            return Err(meaningless(format!("a granularity of {} ns", read.granularity_ns)));
        }
        Ok(Self {
            subject,
            method: read.method,
            granularity: Timespan::from_ns(read.granularity_ns),
            start: Timestamp::from_ns(read.start_ns),
            stop: Timestamp::from_ns(read.stop_ns),
            project_id: read.project_id,
        })
    }
}

impl From<&[MetricRead]> for Reads {
    fn from(reads: &[MetricRead]) -> Self {
        Self { reads: reads.iter().map(Read::from).collect() }
    }
}

impl TryFrom<Reads> for Vec<MetricRead> {
    type Error = WireError;

    fn try_from(Reads { reads }: Reads) -> Result<Self, WireError> {
        reads.into_iter().map(MetricRead::try_from).collect()
    }
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Answers {
    #[prost(message, repeated, tag = "1")]
    answers: Vec<Answer>,
}

/// To one reading: data points, unless it failed.
#[derive(Clone, PartialEq, Message)]
struct Answer {
    #[prost(sint64, repeated, tag = "1")]
    starts_ns: Vec<i64>,
    #[prost(double, repeated, tag = "2")]
    values: Vec<f64>,
    #[prost(message, optional, tag = "3")]
    failure: Option<Failure>,
}

/// Whether a reading can be made: it can where there is no failure.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Checked {
    #[prost(message, optional, tag = "1")]
    failure: Option<Failure>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Methods {
    #[prost(string, repeated, tag = "1")]
    names: Vec<String>,
    #[prost(message, optional, tag = "2")]
    failure: Option<Failure>,
}

#[derive(Clone, PartialEq, Message)]
struct Failure {
    #[prost(enumeration = "Kind", tag = "1")]
    kind: i32,
    /// Of [`Kind::Refused`].
    #[prost(uint32, tag = "2")]
    status: u32,
    #[prost(string, tag = "3")]
    text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Enumeration)]
#[repr(i32)]
enum Kind {
    Unavailable = 0,
    NoSuchMetric = 1,
    NoSuchResource = 2,
    NoSuchAggregate = 3,
    Refused = 4,
}

impl From<MetricReadError> for Failure {
    fn from(error: MetricReadError) -> Self {
        let (kind, status, text) = match error {
            MetricReadError::NoSuchMetric => (Kind::NoSuchMetric, 0, String::new()),
            MetricReadError::NoSuchResource => (Kind::NoSuchResource, 0, String::new()),
            MetricReadError::NoSuchAggregate => (Kind::NoSuchAggregate, 0, String::new()),
            MetricReadError::Refused { status, text } => (Kind::Refused, status, text),
            MetricReadError::Unavailable(text) => (Kind::Unavailable, 0, text),
        };
        Self { kind: kind.into(), status: status.into(), text }
    }
}

impl From<Failure> for MetricReadError {
    /// A kind that a newer version knows is taken for [`Kind::Unavailable`], its first.
    fn from(failure: Failure) -> Self {
        let kind = failure.kind();
        let Failure { status, text, .. } = failure;
        match kind {
            Kind::NoSuchMetric => Self::NoSuchMetric,
            Kind::NoSuchResource => Self::NoSuchResource,
            Kind::NoSuchAggregate => Self::NoSuchAggregate,
            Kind::Refused => Self::Refused { status: u16::try_from(status).unwrap_or(500), text },
            Kind::Unavailable => Self::Unavailable(text),
        }
    }
}

impl From<Vec<Result<DataPoints, MetricReadError>>> for Answers {
    fn from(answers: Vec<Result<DataPoints, MetricReadError>>) -> Self {
        let answer = |answer: Result<DataPoints, MetricReadError>| match answer {
            Ok(points) => {
                let (starts, values): (Vec<Timestamp>, Vec<f64>) = points.into_iter().unzip();
                let starts_ns = starts.into_iter().map(Timestamp::ns).collect();
                Answer { starts_ns, values, failure: None }
            }
            Err(error) => Answer { failure: Some(error.into()), ..Answer::default() },
        };
        Self { answers: answers.into_iter().map(answer).collect() }
    }
}

impl TryFrom<Answer> for Result<DataPoints, MetricReadError> {
    type Error = WireError;

    fn try_from(Answer { starts_ns, values, failure }: Answer) -> Result<Self, WireError> {
        if let Some(failure) = failure {
            return Ok(Err(failure.into()));
        }
        if starts_ns.len() != values.len() {
            let text = format!("{} starts of {} data points", starts_ns.len(), values.len());
            return Err(WireError::Meaningless(text));
        }
        Ok(Ok(starts_ns.into_iter().map(Timestamp::from_ns).zip(values).collect()))
    }
}

impl TryFrom<Answers> for Vec<Result<DataPoints, MetricReadError>> {
    type Error = WireError;

    fn try_from(Answers { answers }: Answers) -> Result<Self, WireError> {
        answers.into_iter().map(TryInto::try_into).collect()
    }
}

impl From<Result<(), MetricReadError>> for Checked {
    fn from(checked: Result<(), MetricReadError>) -> Self {
        Self { failure: checked.err().map(Failure::from) }
    }
}

impl From<Checked> for Result<(), MetricReadError> {
    fn from(Checked { failure }: Checked) -> Self {
        failure.map_or(Ok(()), |failure| Err(failure.into()))
    }
}

impl From<Result<Vec<String>, MetricReadError>> for Methods {
    fn from(methods: Result<Vec<String>, MetricReadError>) -> Self {
        match methods {
            Ok(names) => Self { names, failure: None },
            Err(error) => Self { names: Vec::new(), failure: Some(error.into()) },
        }
    }
}

impl From<Methods> for Result<Vec<String>, MetricReadError> {
    fn from(Methods { names, failure }: Methods) -> Self {
        failure.map_or(Ok(names), |failure| Err(failure.into()))
    }
}

/// The series of each reading; nothing where nobody can tell.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct SeriesLists {
    #[prost(message, repeated, tag = "1")]
    lists: Vec<SeriesList>,
}

#[derive(Clone, PartialEq, Message)]
struct SeriesList {
    #[prost(message, optional, tag = "1")]
    series: Option<Series>,
}

impl From<Vec<Option<Vec<SeriesKey>>>> for SeriesLists {
    fn from(lists: Vec<Option<Vec<SeriesKey>>>) -> Self {
        let list = |list: Option<Vec<SeriesKey>>| SeriesList {
            series: list.map(|series| Series { keys: numbers(&series) }),
        };
        Self { lists: lists.into_iter().map(list).collect() }
    }
}

impl From<SeriesLists> for Vec<Option<Vec<SeriesKey>>> {
    fn from(SeriesLists { lists }: SeriesLists) -> Self {
        lists.into_iter().map(|list| list.series.map(|series| keys(series.keys))).collect()
    }
}
