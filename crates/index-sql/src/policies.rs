//! Archive policies.

use std::collections::HashMap;
use std::sync::Arc;

use nephometer_drivers::{IndexError, PolicyChange};
use nephometer_model::{ArchivePolicy, PolicyKey};
use parking_lot::Mutex;

use crate::Failure;
use crate::session::{Session, query_one, query_opt};
use crate::value::{Batch, ColumnType, Row};

/// Policies by key, each with the version that was seen: metrics of one policy share one allocation.
#[derive(Default)]
pub(crate) struct PolicyCache(Mutex<HashMap<i64, (i64, Arc<ArchivePolicy>)>>);

impl PolicyCache {
    fn get(&self, key: i64, version: i64) -> Option<Arc<ArchivePolicy>> {
        let known = self.0.lock();
        known.get(&key).filter(|(seen, _)| *seen == version).map(|(_, policy)| Arc::clone(policy))
    }

    fn insert(&self, key: i64, version: i64, policy: &Arc<ArchivePolicy>) {
        self.0.lock().insert(key, (version, Arc::clone(policy)));
    }

    /// Forgets everything.
    pub(crate) fn clear(&self) {
        self.0.lock().clear();
    }
}

const COLUMNS: &str = "key, version, name, back_window, definition, methods";

fn corrupt(error: impl std::fmt::Display) -> Failure {
    Failure::Internal(format!("a stored archive policy cannot be read: {error}"))
}

fn read(row: &mut Row) -> Result<(i64, i64, Arc<ArchivePolicy>), Failure> {
    let (key, version) = (row.int()?, row.int()?);
    let policy = ArchivePolicy {
        key: PolicyKey(u32::try_from(key).map_err(corrupt)?),
        name: row.text()?,
        back_window: row.int()?.cast_unsigned(),
        definition: serde_json::from_str(&row.text()?).map_err(corrupt)?,
        methods: serde_json::from_str(&row.text()?).map_err(corrupt)?,
    };
    Ok((key, version, Arc::new(policy)))
}

/// Definition and methods as they are stored.
fn json(policy: &ArchivePolicy) -> Result<(String, String), Failure> {
    let definition = serde_json::to_string(&policy.definition).map_err(corrupt)?;
    Ok((definition, serde_json::to_string(&policy.methods).map_err(corrupt)?))
}

/// The policies of these (key, version) pairs, by key.
pub(crate) async fn by_key(
    session: &mut dyn Session,
    wanted: impl IntoIterator<Item = (i64, i64)>,
) -> Result<HashMap<i64, Arc<ArchivePolicy>>, Failure> {
    let mut found = HashMap::new();
    for (key, version) in wanted {
        if found.contains_key(&key) {
            continue;
        }
        if let Some(policy) = session.shared().policies.get(key, version) {
            found.insert(key, policy);
            continue;
        }
        let sql = format!("SELECT {COLUMNS} FROM archive_policy WHERE key = $1");
        let (_, version, policy) = read(&mut query_one(session, &sql, &[key.into()]).await?)?;
        session.shared().policies.insert(key, version, &policy);
        found.insert(key, policy);
    }
    Ok(found)
}

/// Keys and versions of the policies of these names; unknown ones are left out.
pub(crate) async fn keys_by_name(
    session: &mut dyn Session,
    names: impl IntoIterator<Item = &str>,
) -> Result<HashMap<String, (i64, i64)>, Failure> {
    const NAMES: [(&str, ColumnType); 1] = [("name", ColumnType::Text)];
    let sql = "SELECT p.name, p.key, p.version FROM {rows} JOIN archive_policy p ON p.name = v.name";
    let rows = session.query_batch(sql, &Batch::of(&NAMES, names)).await?;
    rows.into_iter().map(|mut row| Ok((row.text()?, (row.int()?, row.int()?)))).collect()
}

async fn find(
    session: &mut dyn Session,
    name: &str,
    lock: &str,
) -> Result<Option<(i64, i64, Arc<ArchivePolicy>)>, Failure> {
    let sql = format!("SELECT {COLUMNS} FROM archive_policy WHERE name = $1 {lock}");
    query_opt(session, &sql, &[name.into()]).await?.map(|mut row| read(&mut row)).transpose()
}

fn no_such(name: &str) -> Failure {
    IndexError::NoSuchArchivePolicy(name.to_owned()).into()
}

pub(crate) async fn create(
    session: &mut dyn Session,
    policy: &ArchivePolicy,
) -> Result<Arc<ArchivePolicy>, Failure> {
    if find(session, &policy.name, "").await?.is_some() {
        return Err(IndexError::ArchivePolicyAlreadyExists(policy.name.clone()).into());
    }
    let (definition, methods) = json(policy)?;
    let params =
        [(&policy.name).into(), policy.back_window.cast_signed().into(), definition.into(), methods.into()];
    let sql = "INSERT INTO archive_policy (name, back_window, definition, methods, version) \
               VALUES ($1, $2, $3, $4, 1) RETURNING key";
    let key = query_one(session, sql, &params).await?.int()?;
    let key = PolicyKey(u32::try_from(key).map_err(corrupt)?);
    Ok(Arc::new(ArchivePolicy { key, ..policy.clone() }))
}

pub(crate) async fn get(session: &mut dyn Session, name: &str) -> Result<Arc<ArchivePolicy>, Failure> {
    let (_, _, policy) = find(session, name, "").await?.ok_or_else(|| no_such(name))?;
    Ok(policy)
}

pub(crate) async fn list(session: &mut dyn Session) -> Result<Vec<Arc<ArchivePolicy>>, Failure> {
    let sql = format!("SELECT {COLUMNS} FROM archive_policy ORDER BY name");
    let rows = session.query(&sql, &[]).await?;
    rows.into_iter().map(|mut row| read(&mut row).map(|(_, _, policy)| policy)).collect()
}

pub(crate) async fn update(
    session: &mut dyn Session,
    (name, change): &(String, PolicyChange),
) -> Result<Arc<ArchivePolicy>, Failure> {
    let (key, _, policy) = find(session, name, "{lock}").await?.ok_or_else(|| no_such(name))?;
    let mut policy = Arc::unwrap_or_clone(policy);
    if let Some(definition) = &change.definition {
        policy.definition.clone_from(definition);
    }
    if let Some(back_window) = change.back_window {
        policy.back_window = back_window;
    }
    if let Some(methods) = &change.methods {
        policy.methods.clone_from(methods);
    }
    let (definition, methods) = json(&policy)?;
    let params = [key.into(), policy.back_window.cast_signed().into(), definition.into(), methods.into()];
    let sql = "UPDATE archive_policy SET back_window = $2, definition = $3, methods = $4, version = version + 1 \
               WHERE key = $1";
    session.execute(sql, &params).await?;
    Ok(Arc::new(policy))
}

pub(crate) async fn delete(session: &mut dyn Session, name: &str) -> Result<(), Failure> {
    let (key, _, _) = find(session, name, "{lock}").await?.ok_or_else(|| no_such(name))?;
    for sql in [
        "SELECT key FROM metric WHERE policy_key = $1 LIMIT 1",
        "SELECT policy_key FROM archive_policy_rule WHERE policy_key = $1 LIMIT 1",
    ] {
        if query_opt(session, sql, &[key.into()]).await?.is_some() {
            return Err(IndexError::ArchivePolicyInUse(name.to_owned()).into());
        }
    }
    session.execute("DELETE FROM archive_policy WHERE key = $1", &[key.into()]).await?;
    Ok(())
}
