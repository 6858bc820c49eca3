//! `meters`: every meter that can be polled, with its type, its unit and where it comes from.

use std::sync::Arc;

use anyhow::Result;
use nephometer_model::SystemClock;
use serde::Serialize;

use crate::cli::{GlobalArgs, MetersArgs};
use crate::collection::{Collection, KNOWN};

use super::{load_config, say, table};

/// A meter as one pollster makes it.
#[derive(Debug, Serialize, PartialEq, Eq, PartialOrd, Ord)]
struct Row {
    meter: String,
    #[serde(rename = "type")]
    meter_type: String,
    unit: String,
    namespace: String,
    pollster: String,
    origin: String,
}

/// Prints the list.
pub(super) fn run(args: &MetersArgs, global: &GlobalArgs) -> Result<()> {
    let mut config = load_config(global)?;
    config.polling.namespaces = match &args.namespaces[..] {
        [] => KNOWN.map(str::to_owned).to_vec(),
        chosen => chosen.to_vec(),
    };
    let collection = Collection::open_to_show(&config, &Arc::new(SystemClock::new()))?;
    let mut rows = Vec::new();
    for namespace in collection.namespaces() {
        for pollster in &namespace.plugins.pollsters {
            rows.extend(pollster.meters().into_iter().map(|meter| Row {
                meter: meter.name.to_string(),
                meter_type: meter.meter_type.to_string(),
                unit: meter.unit.to_string(),
                namespace: namespace.name.to_string(),
                pollster: pollster.name().to_owned(),
                origin: pollster.origin().to_owned(),
            }));
        }
    }
    rows.sort();
    if args.json {
        return say(&(serde_json::to_string_pretty(&rows)? + "\n"));
    }
    let rows: Vec<[String; 6]> = rows
        .into_iter()
        .map(|row| [row.meter, row.meter_type, row.unit, row.namespace, row.pollster, row.origin])
        .collect();
    say(&table(["METER", "TYPE", "UNIT", "NAMESPACE", "POLLSTER", "ORIGIN"], &rows))
}
