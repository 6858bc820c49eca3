//! Resource types. A change of a type changes rows, never tables.

use std::collections::BTreeMap;

use nephometer_drivers::{IndexError, ResourceTypeChange};
use nephometer_model::{
    Attribute, AttributeKind, AttributeValue, Attributes, ResourceType, ResourceTypeState,
};
use serde_json::json;

use crate::session::{Dialect, Session, query_one, query_opt};
use crate::value::Value;
use crate::{Failure, attributes};

/// The type that every resource has.
pub(crate) const GENERIC: &str = "generic";

/// A type with the keys of its rows.
#[derive(Debug, Clone)]
pub(crate) struct StoredType {
    pub(crate) pk: i64,
    pub(crate) name: String,
    pub(crate) state: ResourceTypeState,
    pub(crate) attributes: BTreeMap<String, (i64, Attribute)>,
}

impl StoredType {
    pub(crate) fn is_generic(&self) -> bool {
        self.name == GENERIC
    }

    fn into_model(self) -> ResourceType {
        let attributes = self.attributes.into_iter().map(|(name, (_, attribute))| (name, attribute));
        ResourceType { name: self.name, attributes: attributes.collect(), state: self.state }
    }
}

fn corrupt(error: impl std::fmt::Display) -> Failure {
    Failure::Internal(format!("a stored resource type cannot be read: {error}"))
}

/// The type called `name`; `lock` is `{share}` where its attributes must stay as they are until the transaction ends,
/// `{lock}` where they are to be changed.
pub(crate) async fn find(
    session: &mut dyn Session,
    name: &str,
    lock: &str,
) -> Result<Option<StoredType>, Failure> {
    let sql = format!("SELECT pk, name, state FROM resource_type WHERE name = $1 {lock}");
    let Some(mut row) = query_opt(session, &sql, &[name.into()]).await? else { return Ok(None) };
    let (pk, name) = (row.int()?, row.text()?);
    let state = serde_json::from_str(&row.text()?).map_err(corrupt)?;
    let sql = "SELECT pk, name, definition FROM attribute WHERE type_pk = $1";
    let mut attributes = BTreeMap::new();
    for mut row in session.query(sql, &[pk.into()]).await? {
        let (pk, name) = (row.int()?, row.text()?);
        attributes.insert(name, (pk, serde_json::from_str(&row.text()?).map_err(corrupt)?));
    }
    Ok(Some(StoredType { pk, name, state, attributes }))
}

/// The type called `name`, or the error that there is none.
pub(crate) async fn require(
    session: &mut dyn Session,
    name: &str,
    lock: &str,
) -> Result<StoredType, Failure> {
    let found = find(session, name, lock).await?;
    found.ok_or_else(|| IndexError::NoSuchResourceType(name.to_owned()).into())
}

pub(crate) async fn create(
    session: &mut dyn Session,
    resource_type: &ResourceType,
) -> Result<ResourceType, Failure> {
    if find(session, &resource_type.name, "").await?.is_some() {
        return Err(IndexError::ResourceTypeAlreadyExists(resource_type.name.clone()).into());
    }
    let state = serde_json::to_string(&resource_type.state).map_err(corrupt)?;
    let sql = "INSERT INTO resource_type (name, state) VALUES ($1, $2) RETURNING pk";
    let pk = query_one(session, sql, &[(&resource_type.name).into(), state.into()]).await?.int()?;
    for (name, attribute) in &resource_type.attributes {
        insert_attribute(session, pk, name, attribute).await?;
    }
    Ok(resource_type.clone())
}

async fn insert_attribute(
    session: &mut dyn Session,
    type_pk: i64,
    name: &str,
    attribute: &Attribute,
) -> Result<i64, Failure> {
    let definition = serde_json::to_string(attribute).map_err(corrupt)?;
    let sql = "INSERT INTO attribute (type_pk, name, definition) VALUES ($1, $2, $3) RETURNING pk";
    query_one(session, sql, &[type_pk.into(), name.into(), definition.into()]).await?.int()
}

pub(crate) async fn get(session: &mut dyn Session, name: &str) -> Result<ResourceType, Failure> {
    require(session, name, "").await.map(StoredType::into_model)
}

pub(crate) async fn list(session: &mut dyn Session) -> Result<Vec<ResourceType>, Failure> {
    let mut types = Vec::new();
    for mut row in session.query("SELECT name FROM resource_type ORDER BY name", &[]).await? {
        types.push(require(session, &row.text()?, "").await?.into_model());
    }
    Ok(types)
}

pub(crate) async fn delete(session: &mut dyn Session, name: &str) -> Result<(), Failure> {
    let stored = require(session, name, "{lock}").await?;
    let sql = "SELECT pk FROM resource WHERE type_pk = $1 LIMIT 1";
    if stored.is_generic() || query_opt(session, sql, &[stored.pk.into()]).await?.is_some() {
        return Err(IndexError::ResourceTypeInUse(name.to_owned()).into());
    }
    session.execute("DELETE FROM attribute WHERE type_pk = $1", &[stored.pk.into()]).await?;
    session.execute("DELETE FROM resource_type WHERE pk = $1", &[stored.pk.into()]).await?;
    Ok(())
}

pub(crate) async fn update(
    session: &mut dyn Session,
    (name, change): &(String, ResourceTypeChange),
) -> Result<ResourceType, Failure> {
    let mut stored = require(session, name, "{lock}").await?;
    if stored.is_generic() && *change != ResourceTypeChange::default() {
        return Err(IndexError::ResourceTypeInUse(name.clone()).into());
    }
    for attribute in &change.remove {
        let Some((pk, _)) = stored.attributes.remove(attribute) else {
            let resource_type = name.clone();
            return Err(IndexError::NoSuchAttribute { resource_type, attribute: attribute.clone() }.into());
        };
        remove_attribute(session, stored.pk, pk, attribute).await?;
    }
    for (attribute_name, (attribute, fill)) in &change.set {
        let pk = set_attribute(session, &stored, attribute_name, attribute).await?;
        stored.attributes.insert(attribute_name.clone(), (pk, *attribute));
        if let Some(fill) = fill {
            attributes::checked(&stored, attribute_name, Some(fill))?;
            fill_rows(session, stored.pk, pk, attribute_name, fill).await?;
        }
    }
    Ok(stored.into_model())
}

async fn set_attribute(
    session: &mut dyn Session,
    stored: &StoredType,
    name: &str,
    attribute: &Attribute,
) -> Result<i64, Failure> {
    let Some((pk, known)) = stored.attributes.get(name) else {
        let pk = insert_attribute(session, stored.pk, name, attribute).await?;
        let sql = "INSERT INTO resource_attribute (resource_pk, attribute_pk, id) \
                   SELECT r.pk, CAST($2 AS BIGINT), r.id FROM resource r WHERE r.type_pk = $1";
        session.execute(sql, &[stored.pk.into(), pk.into()]).await?;
        return Ok(pk);
    };
    if std::mem::discriminant::<AttributeKind>(&known.kind) != std::mem::discriminant(&attribute.kind) {
        return Err(Failure::Internal(format!("attribute {name} cannot become another kind")));
    }
    let definition = serde_json::to_string(attribute).map_err(corrupt)?;
    let sql = "UPDATE attribute SET definition = $2 WHERE pk = $1";
    session.execute(sql, &[(*pk).into(), definition.into()]).await?;
    Ok(*pk)
}

/// Where rows with attributes are.
struct AttributeRows {
    /// Resources or revisions,
    table: &'static str,
    /// their key,
    key: &'static str,
    /// the table that searches look at,
    values: &'static str,
    /// and its reference to the key.
    owner: &'static str,
    /// Condition that a row belongs to the type `$1`.
    of_type: &'static str,
}

const CURRENT: AttributeRows = AttributeRows {
    table: "resource",
    key: "pk",
    values: "resource_attribute",
    owner: "resource_pk",
    of_type: "o.type_pk = $1",
};

const PAST: AttributeRows = AttributeRows {
    table: "resource_history",
    key: "revision",
    values: "history_attribute",
    owner: "revision",
    of_type: "o.resource_pk IN (SELECT pk FROM resource WHERE type_pk = $1)",
};

async fn remove_attribute(
    session: &mut dyn Session,
    type_pk: i64,
    attribute_pk: i64,
    name: &str,
) -> Result<(), Failure> {
    for AttributeRows { table, key, values, owner, of_type } in [&CURRENT, &PAST] {
        let (without, param) = match session.dialect() {
            Dialect::Sqlite => ("json_patch(o.attributes, $3)", json!({ name: null }).to_string()),
            Dialect::Postgres => ("(o.attributes::jsonb - CAST($3 AS TEXT))::text", name.to_owned()),
        };
        let sql = format!(
            "UPDATE {table} AS o SET attributes = {without} WHERE {of_type} \
             AND o.{key} IN (SELECT a.{owner} FROM {values} a WHERE a.attribute_pk = $2)"
        );
        session.execute(&sql, &[type_pk.into(), attribute_pk.into(), param.into()]).await?;
        let sql = format!("DELETE FROM {values} WHERE attribute_pk = $1");
        session.execute(&sql, &[attribute_pk.into()]).await?;
    }
    session.execute("DELETE FROM attribute WHERE pk = $1", &[attribute_pk.into()]).await?;
    Ok(())
}

/// Gives a value to all resources and revisions that have none of an attribute.
async fn fill_rows(
    session: &mut dyn Session,
    type_pk: i64,
    attribute_pk: i64,
    name: &str,
    fill: &AttributeValue,
) -> Result<(), Failure> {
    let with = match session.dialect() {
        Dialect::Sqlite => "json_patch(o.attributes, $3)",
        Dialect::Postgres => "(o.attributes::jsonb || CAST($3 AS TEXT)::jsonb)::text",
    };
    let json = attributes::encode(&Attributes::from([(name.to_owned(), fill.clone())]));
    let without = attributes::without_value("a");
    let [text, number, integer] = attributes::cells(fill);
    let params: [Value; 5] = [type_pk.into(), attribute_pk.into(), text, number, integer];
    for AttributeRows { table, key, values, owner, of_type } in [&CURRENT, &PAST] {
        let empty = format!(
            "{of_type} AND NOT EXISTS (SELECT 1 FROM {values} a \
             WHERE a.{owner} = o.{key} AND a.attribute_pk = $2 AND NOT ({without}))"
        );
        let sql = format!("UPDATE {table} AS o SET attributes = {with} WHERE {empty}");
        session.execute(&sql, &[type_pk.into(), attribute_pk.into(), json.as_str().into()]).await?;
        if *table == PAST.table {
            let sql = format!(
                "INSERT INTO {values} ({owner}, attribute_pk, text, number, integer) SELECT o.{key}, \
                 CAST($2 AS BIGINT), CAST($3 AS TEXT), CAST($4 AS DOUBLE PRECISION), CAST($5 AS BIGINT) \
                 FROM {table} o WHERE {empty}"
            );
            session.execute(&sql, &params).await?;
        }
    }
    let sql = format!(
        "UPDATE resource_attribute AS a SET text = $2, number = $3, integer = $4 \
         WHERE a.attribute_pk = $1 AND {without}"
    );
    session.execute(&sql, &params[1..]).await?;
    Ok(())
}
