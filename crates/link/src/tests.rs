//! What is said is understood as it was meant.

use nephometer_drivers::{DataPoints, MetricRead, MetricReadError, MetricSubject};
use nephometer_model::{SeriesKey, Timespan, Timestamp};
use proptest::prelude::*;
use prost::Message;
use serde_json::json;

use crate::wire::{Answers, Checked, Methods, Reads, SeriesLists};

fn subject() -> impl Strategy<Value = MetricSubject> {
    prop_oneof![
        (any::<String>(), any::<String>())
            .prop_map(|(resource_id, metric)| MetricSubject::OfResource { resource_id, metric }),
        prop::collection::vec(any::<String>(), 0..4).prop_map(MetricSubject::Metrics),
        (any::<String>(), any::<String>(), any::<String>(), any::<i64>()).prop_map(
            |(metric, resource_type, text, number)| {
                let search = json!({"and": [{"=": {text: number}}, {"<": {"n": 0.1}}]});
                MetricSubject::OfResources { metric, resource_type, search }
            }
        ),
    ]
}

fn read() -> impl Strategy<Value = MetricRead> {
    let times = (1..i64::MAX, any::<i64>(), any::<i64>());
    (subject(), any::<String>(), times, any::<Option<String>>()).prop_map(
        |(subject, method, (granularity, start, stop), project_id)| MetricRead {
            subject,
            method,
            granularity: Timespan::from_ns(granularity),
            start: Timestamp::from_ns(start),
            stop: Timestamp::from_ns(stop),
            project_id,
        },
    )
}

fn failure() -> impl Strategy<Value = MetricReadError> {
    prop_oneof![
        Just(MetricReadError::NoSuchMetric),
        Just(MetricReadError::NoSuchResource),
        Just(MetricReadError::NoSuchAggregate),
        (any::<u16>(), any::<String>()).prop_map(|(status, text)| MetricReadError::Refused { status, text }),
        any::<String>().prop_map(MetricReadError::Unavailable),
    ]
}

fn points() -> impl Strategy<Value = DataPoints> {
    prop::collection::vec((any::<i64>().prop_map(Timestamp::from_ns), prop::num::f64::ANY), 0..20)
}

/// Data points with the bits of their values, by which not-a-numbers are compared too.
fn bits(answer: &Result<DataPoints, MetricReadError>) -> Result<Vec<(Timestamp, u64)>, MetricReadError> {
    let bits = |points: &DataPoints| points.iter().map(|(start, value)| (*start, value.to_bits())).collect();
    answer.as_ref().map(bits).map_err(Clone::clone)
}

fn sent<M: Message + Default>(message: &M) -> M {
    M::decode(message.encode_to_vec().as_slice()).unwrap()
}

proptest! {
    #[test]
    fn readings_arrive(reads in prop::collection::vec(read(), 0..5)) {
        let arrived: Vec<MetricRead> = sent(&Reads::from(reads.as_slice())).try_into().unwrap();
        prop_assert_eq!(arrived, reads);
    }

    #[test]
    fn answers_arrive(answers in prop::collection::vec(prop::result::maybe_ok(points(), failure()), 0..5)) {
        let wanted: Vec<_> = answers.iter().map(bits).collect();
        let arrived: Vec<Result<DataPoints, MetricReadError>> = sent(&Answers::from(answers)).try_into().unwrap();
        prop_assert_eq!(arrived.iter().map(bits).collect::<Vec<_>>(), wanted);
    }

    #[test]
    fn the_rest_arrives(
        failure in failure(),
        names in prop::collection::vec(any::<String>(), 0..4),
        keys in prop::collection::vec(prop::option::of(prop::collection::vec(any::<u64>(), 0..5)), 0..5),
    ) {
        let checked = |checked: Result<(), MetricReadError>| -> Result<(), MetricReadError> {
            sent(&Checked::from(checked)).into()
        };
        prop_assert_eq!(checked(Ok(())), Ok(()));
        prop_assert_eq!(checked(Err(failure.clone())), Err(failure.clone()));
        let methods = |methods: Result<Vec<String>, MetricReadError>| -> Result<Vec<String>, MetricReadError> {
            sent(&Methods::from(methods)).into()
        };
        prop_assert_eq!(methods(Ok(names.clone())), Ok(names));
        prop_assert_eq!(methods(Err(failure.clone())), Err(failure));
        let lists: Vec<Option<Vec<SeriesKey>>> =
            keys.into_iter().map(|keys| keys.map(|keys| keys.into_iter().map(SeriesKey).collect())).collect();
        let arrived: Vec<Option<Vec<SeriesKey>>> = sent(&SeriesLists::from(lists.clone())).into();
        prop_assert_eq!(arrived, lists);
    }

    #[test]
    fn whatever_comes_is_an_answer_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(reads) = Reads::decode(bytes.as_slice()) {
            drop(Vec::<MetricRead>::try_from(reads));
        }
        if let Ok(answers) = Answers::decode(bytes.as_slice()) {
            drop(Vec::<Result<DataPoints, MetricReadError>>::try_from(answers));
        }
    }
}
