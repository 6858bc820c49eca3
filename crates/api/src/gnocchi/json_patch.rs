//! The part of JSON Patch (RFC 6902) that changes of resource types use: `add` and `remove` of members of objects.

use serde_json::Value;

/// Why a patch cannot be applied, in upstream's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum PatchError {
    /// Nothing to remove.
    #[error("can't remove a non-existent object '{0}'")]
    Missing(String),
    /// Nothing to add.
    #[error("The operation does not contain a 'value' member")]
    NoValue,
    /// A path through something that is not there or no object.
    #[error("member '{0}' not found")]
    NoParent(String),
}

/// Applies checked operations to `document`, in their order.
pub(super) fn apply(document: &mut Value, operations: &[Value]) -> Result<(), PatchError> {
    operations.iter().try_for_each(|operation| apply_one(document, operation))
}

fn apply_one(document: &mut Value, operation: &Value) -> Result<(), PatchError> {
    let path = operation["path"].as_str().unwrap_or_default();
    let mut steps: Vec<String> =
        path.split('/').skip(1).map(|step| step.replace("~1", "/").replace("~0", "~")).collect();
    let last = steps.pop().unwrap_or_default();
    let mut parent = document;
    for step in steps {
        parent = parent.get_mut(&step).ok_or(PatchError::NoParent(step))?;
    }
    let Value::Object(parent) = parent else { return Err(PatchError::NoParent(last)) };
    if operation["op"] == "remove" {
        return parent.shift_remove(&last).map(|_| ()).ok_or(PatchError::Missing(last));
    }
    let value = operation.get("value").ok_or(PatchError::NoValue)?;
    parent.insert(last, value.clone());
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn members_are_added_and_removed_in_order() {
        let mut document = json!({"attributes": {"a": {"type": "bool"}}});
        let add = json!({"op": "add", "path": "/attributes/x~1y", "value": {"type": "uuid"}});
        let remove = json!({"op": "remove", "path": "/attributes/a"});
        apply(&mut document, &[add, remove.clone()]).unwrap();
        assert_eq!(document, json!({"attributes": {"x/y": {"type": "uuid"}}}));
        assert_eq!(apply(&mut document, &[remove]), Err(PatchError::Missing("a".to_owned())));
        let no_value = json!({"op": "add", "path": "/attributes/b"});
        assert_eq!(apply(&mut document, &[no_value]), Err(PatchError::NoValue));
        let deep = json!({"op": "add", "path": "/attributes/q/min", "value": {}});
        assert_eq!(apply(&mut document, &[deep]), Err(PatchError::NoParent("q".to_owned())));
    }
}
