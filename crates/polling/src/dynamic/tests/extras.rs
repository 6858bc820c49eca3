//! Extra metadata: further questions about each sample.

use serde_json::{Value, json};

use super::api::{Api, Cloud};
use super::definitions::with;
use super::polls::World;

/// Servers with flavors, and what Keystone and Nova say of both.
async fn cloud() -> Api {
    let api = Api::start().await;
    api.has(
        "/v2/v1/x",
        r#"{"servers": [{"id": "1", "v": 1, "flavor": "m1", "project_id": "p", "up": true},
            {"id": "2", "v": 2, "flavor": "m1", "project_id": "q", "up": false}]}"#,
    )
    .has("/id/projects/p", r#"{"project": {"id": "p", "name": "alpha", "domain_id": "d"}}"#)
    .has("/id/projects/q", r#"{"project": {"id": "q", "name": "beta", "domain_id": "d"}}"#)
    .has("/id/domains/d", r#"{"domain": {"id": "d", "name": "default"}}"#)
    .has("/v2/flavors/m1", r#"{"flavor": {"id": "m1", "vcpus": 4, "description": null}}"#);
    api
}

fn world(api: &Api, extras: &str, more: &str) -> World {
    let more = if more.is_empty() { String::new() } else { format!(", {more}") };
    let services = [("compute", format!("{}/v2", api.address)), ("identity", format!("{}/id", api.address))];
    let services: Vec<_> = services.iter().map(|(name, url)| (*name, url.as_str())).collect();
    let yaml = with(&format!("extra_metadata_fields: {extras}, metadata_fields: [flavor]{more}"));
    World::defined(&format!("[{yaml}]"), Cloud::new(&services))
}

const PROJECT: &str = "{name: project_name, endpoint_type: identity, url_path: \"'projects/' + str(sample['project_id'])\", \
                       value: name, metadata_fields: [domain_id]}";
const DOMAIN: &str = "{name: domain_name, endpoint_type: identity, value: name, \
                      url_path: \"'domains/' + extra_metadata_captured['domain_id']\"}";
const FLAVOR: &str = "{name: flavor, endpoint_type: compute, value: vcpus, metadata_fields: [description, vcpus], \
                      url_path: \"'flavors/' + sample['metadata']['flavor']\"}";

fn metadata(samples: &[nephometer_model::Sample]) -> Vec<Value> {
    samples.iter().map(|sample| sample.metadata.to_json()).collect()
}

#[tokio::test]
async fn questions_build_on_each_other_and_answers_are_kept() {
    let api = cloud().await;
    let world = world(&api, &format!("[{PROJECT}, {DOMAIN}, {FLAVOR}]"), "");
    let wanted = |project: &str| json!({"flavor": "m1", "project_name": project, "domain_id": "d", "domain_name": "default", "description": null, "vcpus": 4});
    let (samples, failure) = world.poll_api(&api).await;
    assert_eq!(failure, None);
    // The pollster's own `flavor` stays.
    assert_eq!(metadata(&samples), [wanted("alpha"), wanted("beta")]);
    let times = |asked: &[String], path: &str| asked.iter().filter(|asked| asked.starts_with(path)).count();
    let asked = api.asked();
    assert_eq!((times(&asked, "/id/domains/d"), times(&asked, "/v2/flavors/m1"), asked.len()), (1, 1, 5));
    // An hour later they are asked again, the servers each time.
    world.poll_api(&api).await;
    assert_eq!(api.asked().len(), 1);
    world.clock.advance_ns(3_601 * 1_000_000_000);
    world.poll_api(&api).await;
    assert_eq!(api.asked().len(), 5);
}

#[tokio::test]
async fn answers_are_kept_as_long_as_is_said() {
    let api = cloud().await;
    let asked = |extra_seconds: &'static str, seconds: &'static str| {
        let extra = FLAVOR.replace("value: vcpus", &format!("value: vcpus{extra_seconds}"));
        let world = world(&api, &extra, seconds);
        let api = &api;
        async move {
            world.poll_api(api).await;
            world.clock.advance_ns(30 * 1_000_000_000);
            world.poll_api(api).await;
            api.asked().iter().filter(|asked| asked.starts_with("/v2/flavors")).count()
        }
    };
    assert_eq!(asked("", "extra_metadata_fields_cache_seconds: 60").await, 1);
    assert_eq!(asked("", "extra_metadata_fields_cache_seconds: 10").await, 2);
    assert_eq!(asked("", "extra_metadata_fields_cache_seconds: 0").await, 4);
    assert_eq!(
        asked(", extra_metadata_fields_cache_seconds: 60", "extra_metadata_fields_cache_seconds: 0").await,
        1
    );
}

#[tokio::test]
async fn some_are_not_asked_about() {
    let api = cloud().await;
    let world = world(&api, PROJECT, "extra_metadata_fields_skip: [{}, {up: false, id: '2'}, {value: 7}]");
    let (samples, failure) = world.poll_api(&api).await;
    assert_eq!(failure, None);
    let wanted =
        [json!({"flavor": "m1", "project_name": "alpha", "domain_id": "d"}), json!({"flavor": "m1"})];
    assert_eq!(metadata(&samples), wanted);
}

#[tokio::test]
async fn questions_have_questions_and_ask_commands() {
    let api = cloud().await;
    let nested = "{name: rack, host_command: \"'printf ' + sample['id']\", response_handlers: [text], value: out, \
                  extra_metadata_fields: {name: row, host_command: \"echo {}\", value_attribute: x}}";
    let (samples, failure) = world(&api, nested, "").poll_api(&api).await;
    assert_eq!(failure, None);
    assert_eq!(metadata(&samples)[1], json!({"flavor": "m1", "rack": "2"}));
    let nested = nested.replace("echo {}", "echo '[{\\\"x\\\": 5}]'");
    let (samples, failure) = world(&api, &nested, "").poll_api(&api).await;
    assert_eq!(failure, None);
    assert_eq!(metadata(&samples)[0], json!({"flavor": "m1", "rack": "1", "row": 5}));
}

#[tokio::test]
async fn a_question_that_fails_costs_its_sample_and_what_cannot_be_reached_costs_nothing() {
    let api = cloud().await;
    api.answers("/id/projects/q", 404, "", "gone");
    let (samples, failure) = world(&api, PROJECT, "").poll_api(&api).await;
    assert_eq!(samples.len(), 1);
    let failure = failure.unwrap();
    assert!(
        failure.contains("extra_metadata_fields [project_name]:") && failure.contains("404: gone"),
        "{failure}"
    );
    let unreachable = "{name: e, url_path: 'http://127.0.0.1:1/', module: requests.auth, authentication_object: HTTPBasicAuth, \
                       authentication_parameters: 'u,p', value: v}";
    let (samples, failure) = world(&api, unreachable, "").poll_api(&api).await;
    assert_eq!((metadata(&samples), failure), (vec![json!({"flavor": "m1"}); 2], None));
}
