//! Interned texts: names and units of metrics, and creators. Rows are made on first use and stay.

use std::collections::{BTreeSet, HashMap};

use crate::Failure;
use crate::session::{Session, query_opt};
use crate::value::{Batch, ColumnType, Value};

const TEXTS: [(&str, ColumnType); 1] = [("text", ColumnType::Text)];
const CREATORS: [(&str, ColumnType); 2] = [("text", ColumnType::Text), ("project", ColumnType::Text)];

/// Keys of the texts that are known in `table`.
async fn known<'a>(
    session: &mut dyn Session,
    table: &str,
    texts: impl IntoIterator<Item = &'a str>,
) -> Result<HashMap<String, i64>, Failure> {
    let sql = format!("SELECT x.text, x.pk FROM {{rows}} JOIN {table} x ON x.text = v.text");
    let rows = session.query_batch(&sql, &Batch::of(&TEXTS, texts)).await?;
    rows.into_iter().map(|mut row| Ok((row.text()?, row.int()?))).collect()
}

/// Keys of labels; unknown ones are left out.
pub(crate) async fn find(
    session: &mut dyn Session,
    texts: BTreeSet<&str>,
) -> Result<HashMap<String, i64>, Failure> {
    known(session, "label", texts).await
}

/// Keys of labels; unknown ones are made.
pub(crate) async fn intern(
    session: &mut dyn Session,
    texts: BTreeSet<&str>,
) -> Result<HashMap<String, i64>, Failure> {
    let mut keys = known(session, "label", texts.iter().copied()).await?;
    let missing: Vec<_> = texts.into_iter().filter(|text| !keys.contains_key(*text)).collect();
    if !missing.is_empty() {
        let sql = "INSERT INTO label (text) SELECT v.text FROM {rows}";
        session.execute_batch(sql, &Batch::of(&TEXTS, missing.iter().copied())).await?;
        keys.extend(known(session, "label", missing).await?);
    }
    Ok(keys)
}

/// Keys of creators; unknown ones are made.
pub(crate) async fn intern_creators(
    session: &mut dyn Session,
    texts: BTreeSet<&str>,
) -> Result<HashMap<String, i64>, Failure> {
    let mut keys = known(session, "creator", texts.iter().copied()).await?;
    let missing: Vec<_> = texts.into_iter().filter(|text| !keys.contains_key(*text)).collect();
    if !missing.is_empty() {
        let mut batch = Batch::new(&CREATORS);
        for text in &missing {
            let project = text.rsplit_once(':').map(|(_, project)| project);
            batch.push(vec![Value::from(*text), project.into()]);
        }
        let sql = "INSERT INTO creator (text, project) SELECT v.text, v.project FROM {rows}";
        session.execute_batch(sql, &batch).await?;
        keys.extend(known(session, "creator", missing).await?);
    }
    Ok(keys)
}

/// The key of one creator, made where it is unknown.
pub(crate) async fn creator(session: &mut dyn Session, text: Option<&str>) -> Result<Option<i64>, Failure> {
    let Some(text) = text else { return Ok(None) };
    let sql = "SELECT pk FROM creator WHERE text = $1";
    if let Some(mut row) = query_opt(session, sql, &[text.into()]).await? {
        return row.int().map(Some);
    }
    Ok(intern_creators(session, BTreeSet::from([text])).await?.remove(text))
}
