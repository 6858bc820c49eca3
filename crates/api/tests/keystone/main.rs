//! Who may do what, with tokens of a real Keystone: every route of the list is asked by every kind of caller, and the
//! outcome is what the API's table says. Ignored where nobody asked for a Keystone: `./test keystone` runs these, and so
//! does `cargo test -p nephometer-api --test keystone -- --ignored`.
//!
//! An API brings a list of routes, a table (a TOML file: see `table`) and a world to ask about (`metric` and `alarm`
//! make those of our APIs). A route without a row fails a test that needs no Keystone.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod alarm;
mod callers;
mod matrix;
mod metric;
mod remote_write;
mod table;
mod world;

#[test]
fn every_route_of_the_metric_api_has_its_row() {
    matrix::require_rows(&metric::api());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Keystone: ./test keystone"]
async fn tenants_of_the_metric_api() {
    matrix::run(&metric::api()).await;
}

#[test]
fn every_route_of_the_alarm_api_has_its_row() {
    matrix::require_rows(&alarm::api());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Keystone: ./test keystone"]
async fn tenants_of_the_alarm_api() {
    matrix::run(&alarm::api()).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Keystone: ./test keystone"]
async fn doors_that_stand_open_are_noticed() {
    let api = metric::open_api();
    let routes = |row: &table::Row| {
        ["POST /v1/metric/{id}/measures", "POST /v1/aggregates"].contains(&row.route.as_str())
    };
    let problems = matrix::problems(&api, routes).await;
    for expected in [
        "POST /v1/metric/{id}/measures as stranger: 202 instead of 403",
        "POST /v1/metric/{id}/measures as stranger: changes something",
        "POST /v1/metric/{id}/measures as stranger: meddles with the other tenant's things",
        "POST /v1/aggregates as stranger: sees",
        "POST /v1/aggregates (of all resources) as stranger: notices the other tenant",
    ] {
        let noticed = problems.iter().any(|problem| problem.starts_with(expected));
        assert!(noticed, "not noticed: {expected}\n{}", problems.join("\n"));
    }
}
