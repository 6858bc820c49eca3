//! Silences.

use uuid::Uuid;

use super::fixtures::after;
use crate::{AlarmStore, Silence};

/// Silences are there until they end or are removed; a project has its own.
pub async fn silences_are_kept_until_they_end(store: &dyn AlarmStore) {
    let silence = |number: u128, project: Option<&str>, starts, ends| Silence {
        id: Uuid::from_u128(number),
        project_id: project.map(str::to_owned),
        user_id: Some("u".to_owned()),
        filter: r#"{"=": {"name": "a"}}"#.to_owned(),
        comment: "a window".to_owned(),
        starts_at: after(starts),
        ends_at: after(ends),
    };
    let (first, second, third) =
        (silence(1, Some("p"), 0, 10), silence(2, None, 1, 20), silence(3, Some("q"), 2, 30));
    for silence in [&first, &second, &third] {
        store.put_silence(silence.clone()).await.unwrap();
    }
    let all = store.silences(None, after(0)).await.unwrap();
    assert_eq!(all, [first.clone(), second.clone(), third.clone()]);
    assert_eq!(store.silences(Some("p"), after(9)).await.unwrap(), std::slice::from_ref(&first));
    assert_eq!(store.silences(None, after(10)).await.unwrap(), [second.clone(), third]);
    let longer = Silence { ends_at: after(40), comment: String::new(), project_id: None, ..first };
    store.put_silence(longer.clone()).await.unwrap();
    assert!(store.delete_silence(Uuid::from_u128(3)).await.unwrap());
    assert!(!store.delete_silence(Uuid::from_u128(3)).await.unwrap());
    assert_eq!(store.silences(None, after(10)).await.unwrap(), [longer.clone(), second.clone()]);
    assert_eq!(store.expire_silences(after(20)).await.unwrap(), 0);
    assert_eq!(store.expire_silences(after(21)).await.unwrap(), 1);
    assert_eq!(store.silences(None, after(0)).await.unwrap(), [longer]);
}
