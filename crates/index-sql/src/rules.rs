//! Archive policy rules.

use nephometer_drivers::IndexError;
use nephometer_model::ArchivePolicyRule;

use crate::session::{Session, query_opt};
use crate::value::Row;
use crate::{Failure, policies};

const SELECT: &str = "SELECT r.name, r.metric_pattern, p.name FROM archive_policy_rule r \
                      JOIN archive_policy p ON p.key = r.policy_key";

fn read(mut row: Row) -> Result<ArchivePolicyRule, Failure> {
    Ok(ArchivePolicyRule { name: row.text()?, metric_pattern: row.text()?, archive_policy_name: row.text()? })
}

fn no_such(name: &str) -> Failure {
    IndexError::NoSuchArchivePolicyRule(name.to_owned()).into()
}

async fn find(session: &mut dyn Session, name: &str) -> Result<Option<ArchivePolicyRule>, Failure> {
    let sql = format!("{SELECT} WHERE r.name = $1");
    query_opt(session, &sql, &[name.into()]).await?.map(read).transpose()
}

pub(crate) async fn create(session: &mut dyn Session, rule: &ArchivePolicyRule) -> Result<(), Failure> {
    let policy_name = rule.archive_policy_name.as_str();
    let keys = policies::keys_by_name(session, [policy_name]).await?;
    let Some((key, _)) = keys.get(policy_name) else {
        return Err(IndexError::NoSuchArchivePolicy(policy_name.to_owned()).into());
    };
    if find(session, &rule.name).await?.is_some() {
        return Err(IndexError::ArchivePolicyRuleAlreadyExists(rule.name.clone()).into());
    }
    let sql = "INSERT INTO archive_policy_rule (name, metric_pattern, policy_key) VALUES ($1, $2, $3)";
    session.execute(sql, &[(&rule.name).into(), (&rule.metric_pattern).into(), (*key).into()]).await?;
    Ok(())
}

pub(crate) async fn get(session: &mut dyn Session, name: &str) -> Result<ArchivePolicyRule, Failure> {
    find(session, name).await?.ok_or_else(|| no_such(name))
}

pub(crate) async fn list(session: &mut dyn Session) -> Result<Vec<ArchivePolicyRule>, Failure> {
    let sql = format!("{SELECT} ORDER BY r.metric_pattern DESC, r.name");
    session.query(&sql, &[]).await?.into_iter().map(read).collect()
}

pub(crate) async fn rename(
    session: &mut dyn Session,
    (name, new_name): &(String, String),
) -> Result<ArchivePolicyRule, Failure> {
    let rule = find(session, name).await?.ok_or_else(|| no_such(name))?;
    if name != new_name && find(session, new_name).await?.is_some() {
        return Err(IndexError::ArchivePolicyRuleAlreadyExists(new_name.clone()).into());
    }
    let sql = "UPDATE archive_policy_rule SET name = $2 WHERE name = $1";
    session.execute(sql, &[name.into(), new_name.into()]).await?;
    Ok(ArchivePolicyRule { name: new_name.clone(), ..rule })
}

pub(crate) async fn delete(session: &mut dyn Session, name: &str) -> Result<(), Failure> {
    match session.execute("DELETE FROM archive_policy_rule WHERE name = $1", &[name.into()]).await? {
        0 => Err(no_such(name)),
        _ => Ok(()),
    }
}
