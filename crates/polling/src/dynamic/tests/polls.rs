//! Whole polls: what is asked, and the samples that come of it.

use std::path::Path;
use std::sync::Arc;

use nephometer_drivers::CloudReader;
use nephometer_model::{Clock, ManualClock, Sample, Timestamp};
use serde_json::{Value, json};

use super::super::{DynamicDefinitions, plugins};
use super::api::{Api, Cloud};
use super::definitions::with;
use crate::fakes::FakeSink;
use crate::{Cycle, LocalNode, Plugins, PollError, Resource, SampleOut};

/// A pollster, and what it reads.
pub(super) struct World {
    plugins: Plugins,
    pub(super) cycle: Cycle,
    pub(super) clock: Arc<ManualClock>,
}

impl World {
    /// The pollsters that `yaml` (a list) defines, over `cloud`.
    pub(super) fn defined(yaml: &str, cloud: Cloud) -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("a.yaml"), yaml).unwrap();
        let namespaces = ["central".to_owned()];
        let definitions = DynamicDefinitions::load(&[directory.path().to_owned()], &namespaces).unwrap();
        assert_eq!(definitions.problems, [], "{yaml}");
        let clock = Arc::new(ManualClock::at(Timestamp::from_ns(1_700_000_000_000_000_000)));
        let by = Arc::clone(&clock) as Arc<dyn Clock>;
        let cloud = Arc::new(cloud) as Arc<dyn CloudReader>;
        let mut plugins = plugins(&definitions, "central", &cloud, &by).unwrap();
        plugins.discoveries.push(Arc::new(LocalNode::new("host")));
        let cycle = Cycle::new(Arc::clone(&clock) as _, Arc::clone(&clock) as _);
        Self { plugins, cycle, clock }
    }

    /// One pollster of `compute` at `api`, which is defined by `more`.
    pub(super) fn of(api: &Api, more: &str) -> Self {
        let url = format!("{}/v2", api.address);
        Self::defined(&format!("[{}]", with(more)), Cloud::new(&[("compute", url.as_str())]))
    }

    /// The samples of its first pollster of what its discovery finds, and why there are not more.
    pub(super) async fn poll(&self) -> (Vec<Sample>, Option<String>) {
        let pollster = &self.plugins.pollsters[0];
        let spec = pollster.default_discovery().unwrap().to_owned();
        let (name, parameter) = spec.split_once(':').unwrap_or((&spec, ""));
        let found = self.plugins.discoveries.iter().find(|discovery| discovery.name() == name);
        let resources = match found {
            Some(discovery) => discovery.discover(&self.cycle, Some(parameter)).await.unwrap(),
            None => Vec::new(),
        };
        self.poll_of(&resources).await
    }

    pub(super) async fn poll_of(&self, resources: &[Resource]) -> (Vec<Sample>, Option<String>) {
        let sink = FakeSink::default();
        let mut out = SampleOut::new(&sink, "2026-11-20T08:30:00".into(), 2);
        let polled = self.plugins.pollsters[0].poll(&self.cycle, resources, &mut out).await;
        out.flush().await.unwrap();
        let failure = polled.err().map(|error| match error {
            PollError::Failed(reason) => reason,
            other => panic!("{other}"),
        });
        (sink.samples.into_inner(), failure)
    }

    /// The same of one endpoint.
    pub(super) async fn poll_api(&self, api: &Api) -> (Vec<Sample>, Option<String>) {
        self.poll_of(&[Resource::from_id(format!("{}/v2", api.address))]).await
    }
}

/// Name, volume and resource of samples.
pub(super) fn short(samples: &[Sample]) -> Vec<String> {
    let one = |sample: &Sample| {
        format!(
            "{} {} {}",
            sample.name,
            sample.volume.to_json(),
            sample.resource_id.as_deref().unwrap_or("-")
        )
    };
    samples.iter().map(one).collect()
}

#[tokio::test]
async fn a_service_is_read_with_headers_ids_and_metadata() {
    let api = Api::start().await;
    let body = include_str!("../../central/fixtures/volumes.json");
    api.has("/v2/volumes/detail?all_tenants=True", body);
    let world = World::of(
        &api,
        "name: dynamic.volume, value_attribute: 'size | value * 1024', url_path: volumes/detail?all_tenants=True, \
         response_entries_key: volumes, headers: {x-api-version: 3.64, x-more: a}, sample_type: cumulative, \
         project_id_attribute: 'os-vol-tenant-attr:tenant_id', metadata_fields: [status, 'name | value or \"-\"'], \
         metadata_mapping: {status: state}, preserve_mapped_metadata: false",
    );
    let (samples, failure) = world.poll_api(&api).await;
    assert_eq!(failure, None);
    let volumes: Value = serde_json::from_str(body).unwrap();
    let volumes = volumes["volumes"].as_array().unwrap();
    assert_eq!(samples.len(), volumes.len());
    for (sample, volume) in samples.iter().zip(volumes) {
        let map = Value::Object(sample.to_map());
        assert_eq!(map["volume"], json!(volume["size"].as_i64().unwrap() * 1024));
        assert_eq!((&map["resource_id"], &map["user_id"]), (&volume["id"], &volume["user_id"]));
        assert_eq!(map["project_id"], volume["os-vol-tenant-attr:tenant_id"]);
        assert_eq!(
            (&map["type"], &map["unit"], &map["timestamp"]),
            (&json!("cumulative"), &json!("B"), &json!("2026-11-20T08:30:00"))
        );
        let keys: Vec<_> = sample.metadata.keys().collect();
        assert_eq!(keys, ["name | value or \"-\"", "state"]);
        assert_eq!(sample.metadata["state"], volume["status"]);
    }
    let asked = api.asked();
    assert_eq!(asked.len(), 1);
    for header in ["x-api-version: 3.64", "x-more: a", "x-auth-token: t"] {
        assert!(asked[0].contains(header), "{asked:?}");
    }
}

#[tokio::test]
async fn readings_are_mapped_and_passed_over() {
    let api = Api::start().await;
    let entries = r#"{"servers": [{"id": "1", "v": "ACTIVE"}, {"id": "2", "v": "ERROR"}, {"id": "3", "v": "GONE"},
        {"id": "4", "v": 1}, {"id": "5", "v": true}, {"id": "6", "v": 2.5}, {"id": "7", "v": null}]}"#;
    api.has("/v2/v1/x", entries);
    for (more, wanted) in [
        (
            "value_mapping: {ACTIVE: 1, ERROR: '2'}, skip_sample_values: [GONE, ~, 1]",
            vec!["1 1", "\"2\" 2", "-1 6"],
        ),
        (
            "value_mapping: {1: one, 2.5: 3}, default_value: 0, skip_sample_values: [ACTIVE, ERROR, GONE]",
            vec!["\"one\" 4", "\"one\" 5", "3 6", "0 7"],
        ),
        ("skip_sample_values: [ACTIVE, ERROR, GONE, ~]", vec!["1 4", "true 5", "2.5 6"]),
        (
            "value_attribute: 'v | str(value)', skip_sample_values: GONE ACTIVE ERROR 1 True",
            vec!["\"2.5\" 6", "\"None\" 7"],
        ),
        (
            "value_attribute: 'v | len(str(value))', skip_sample_values: [5, 6]",
            vec!["4 3", "1 4", "4 5", "3 6", "4 7"],
        ),
    ] {
        let (samples, failure) = World::of(&api, more).poll_api(&api).await;
        assert_eq!(failure, None, "{more}");
        let short: Vec<_> = short(&samples).into_iter().map(|text| text.replace("dynamic.a ", "")).collect();
        assert_eq!(short, wanted, "{more}");
    }
}

#[tokio::test]
async fn pages_are_followed_in_each_way() {
    let api = Api::start().await;
    let page = |id: u32, next: &str| {
        format!(r#"{{"a": {{"items": [{{"id": "{id}", "v": {id}}}]}}, "next": {next}}}"#)
    };
    api.has("/v2/v1/x", &page(1, "\"v1/x?page=2\""))
        .has("/v2/v1/x?page=2", &page(2, "\"/v2/v1/x?page=3\""))
        .has("/v2/v1/x?page=3", &page(3, "\"{here}/v2/v1/x?page=4\""))
        .has("/v2/v1/x?page=4", &page(4, "null"));
    let more = "response_entries_key: a.items, next_sample_url_attribute: ";
    let (samples, failure) = World::of(&api, &format!("{more} next")).poll_api(&api).await;
    assert_eq!((short(&samples).len(), failure), (4, None));
    // What is not there is the end; anything else that goes wrong is told, and costs what would have followed.
    assert_eq!(World::of(&api, &format!("{more} links.next")).poll_api(&api).await.0.len(), 1);
    let (samples, failure) = World::of(&api, &format!("{more} 'a.items | value[5]'")).poll_api(&api).await;
    assert_eq!(samples.len(), 1);
    assert!(failure.unwrap().contains("next_sample_url_attribute [a.items | value[5]]: IndexError"));
    let (samples, failure) =
        World::of(&api, &format!("{more} '. | \"http://evil.test/x\" if value else 0'")).poll_api(&api).await;
    assert_eq!(samples.len(), 1);
    assert!(failure.unwrap().contains("is on no host of the catalogue"));
    let (samples, failure) =
        World::of(&api, &format!("{more} '. | \"v1/x\" if value else 0'")).poll_api(&api).await;
    assert_eq!(samples.len(), 1);
    assert!(failure.unwrap().contains("the next one itself"));
}

#[tokio::test]
async fn what_is_broken_costs_itself_alone() {
    let api = Api::start().await;
    api.has("/v2/v1/x", r#"{"servers": [{"id": "1", "v": 1}, {"id": "2"}, 3, {"id": "4", "v": 4}]}"#)
        .answers("/v3/v1/x", 403, "", "you may not");
    let world = World::of(&api, "");
    let place = |path: &str| Resource::from_id(format!("{}/{path}", api.address));
    let (samples, failure) =
        world.poll_of(&[place("v3"), place("v2"), Resource::from_id("no address")]).await;
    assert_eq!(short(&samples), ["dynamic.a 1 1", "dynamic.a 4 4"]);
    let failure = failure.unwrap();
    for words in [
        "/v3/v1/x was answered with 403: you may not",
        "no address: `no address` is no address",
        "of 4 entries 2 samples are missing, the first for this: value_attribute [v]: KeyError: 'v'",
    ] {
        assert!(failure.contains(words), "{failure}");
    }
}

#[tokio::test]
async fn answers_are_objects_lists_xml_or_text() {
    let api = Api::start().await;
    api.has("/v2/v1/x", r#"{"id": "1", "v": 1}"#)
        .has("/v2/list", r#"[{"id": "1", "v": 1}]"#)
        .has("/v2/object", r#"{"usage": {"id": "1", "v": 1, "owner": "p"}, "b": []}"#)
        .has("/v2/none", "[]")
        .has("/v2/number", "5")
        .has("/v2/xml", "<r><b a='x'><id>1</id><v>7</v></b><b a='y'><id>2</id><v>8</v></b></r>")
        .has("/v2/text", "load 3 4");
    for (more, wanted) in [
        ("url_path: list, response_entries_key: nothing", Ok(vec!["1 1"])),
        ("url_path: object, resource_id_attribute: owner", Ok(vec!["1 p"])),
        ("response_entries_key: .", Ok(vec!["1 1"])),
        ("url_path: none", Ok(vec![])),
        (
            "url_path: xml, response_handlers: [json, xml], response_entries_key: r.b, value_attribute: 'v | int(value)'",
            Ok(vec!["7 1", "8 2"]),
        ),
        (
            "url_path: text, response_handlers: [text], value_attribute: \"out | value.split(' ')[1] | int(value)\"",
            Ok(vec!["3 -"]),
        ),
        ("url_path: number", Err("its answer is neither a list nor a map")),
        (
            "url_path: text",
            Err(
                "No remaining handlers to handle the response [load 3 4], used handlers [JsonResponseHandler].",
            ),
        ),
        ("", Err("TypeError: string indices must be integers, not 'str'")),
        ("value_attribute: .", Err("an entry is a str, not a map")),
        ("url_path: object, response_entries_key: x.y", Err("response_entries_key [x.y]: KeyError: 'x'")),
    ] {
        let (samples, failure) = World::of(&api, more).poll_api(&api).await;
        let short: Vec<_> = short(&samples).into_iter().map(|text| text.replace("dynamic.a ", "")).collect();
        match wanted {
            Ok(wanted) => assert_eq!(
                (short, failure),
                (wanted.into_iter().map(str::to_owned).collect(), None),
                "{more}"
            ),
            Err(words) => {
                assert!(failure.clone().is_some_and(|failure| failure.contains(words)), "{more}: {failure:?}")
            }
        }
    }
}

#[tokio::test]
async fn a_list_within_an_entry_makes_several_meters() {
    let api = Api::start().await;
    let body = r#"[{"id": "r", "project_id": "p", "status": "up", "usages": [{"kind": "cpu", "v": {"used": 1}},
        {"kind": "ram", "v": {"used": 2}}, {"kind": "gpu", "v": {"used": 3}}, {"kind": "ssd", "v": {"used": 9}}, {"kind": "x"}]},
        {"id": "s", "usages": {}}]"#;
    api.has("/v2/v1/x", body);
    let world = World::of(
        &api,
        "name: 'dynamic.usage.{kind}', value_attribute: '[usages].v.used', skip_sample_values: [gpu, 9], \
         metadata_fields: [status], value_mapping: {1: 5}",
    );
    let (samples, failure) = world.poll_api(&api).await;
    assert_eq!(short(&samples), ["dynamic.usage.cpu 1 r", "dynamic.usage.ram 2 r"]);
    assert!(samples.iter().all(|sample| sample.metadata["status"] == json!("up")));
    let failure = failure.unwrap();
    assert!(failure.contains("of 2 entries 2 samples are missing"), "{failure}");
    let (_, failure) = world.poll_of(&[]).await;
    assert_eq!(failure, None);
}

#[tokio::test]
async fn redirections_are_followed_where_the_catalogue_goes_and_time_is_limited() {
    let api = Api::start().await;
    let here = api.address.clone();
    api.answers("/v2/v1/x", 302, "location: /v2/there\r\n", "").has("/v2/there", r#"[{"id": "1", "v": 1}]"#);
    api.answers("/v2/evil", 302, "location: http://evil.test/\r\n", "").answers("/v2/silent", 0, "", "");
    assert_eq!(World::of(&api, "").poll_api(&api).await.0.len(), 1);
    let (_, failure) = World::of(&api, "url_path: evil").poll_api(&api).await;
    assert!(failure.unwrap().contains("is on no host of the catalogue"));
    let (_, failure) = World::of(&api, "url_path: silent, timeout: 0.2").poll_api(&api).await;
    assert!(failure.unwrap().starts_with(&here));
}

#[tokio::test]
async fn another_api_is_asked_with_signed_requests() {
    let api = Api::start().await;
    api.has("/usage", r#"{"summary": [{"user": "u", "total": {"size": 5}}], "next": "?marker=u"}"#)
        .has("/usage/?marker=u", r#"{"summary": []}"#)
        .answers("/denied?key=secret", 403, "", "no");
    let more = |path: &str| {
        format!(
            "endpoint_type: ~, url_path: '{}/{path}', module: awsauth, authentication_object: S3Auth, \
             authentication_parameters: 'access, secret, rgw.test', value_attribute: total.size, user_id_attribute: user, \
             project_id_attribute: user, resource_id_attribute: user, response_entries_key: summary, \
             next_sample_url_attribute: next",
            api.address
        )
    };
    let (samples, failure) = World::of(&api, &more("usage")).poll().await;
    assert_eq!((short(&samples), failure), (vec!["dynamic.a 5 u".to_owned()], None));
    let asked = api.asked();
    assert_eq!(asked.len(), 2);
    assert!(asked.iter().all(|asked| asked.contains("authorization: AWS access:")), "{asked:?}");
    assert!(!asked[0].contains("x-auth-token"));
    let (_, failure) = World::of(&api, &more("denied?key=secret")).poll().await;
    let words =
        format!("Error while executing request[{}/denied]. Status[403] and reason [Forbidden].", api.address);
    assert!(failure.clone().is_some_and(|failure| failure.contains(&words)), "{failure:?}");
    // Without attributes for ids upstream wants the usual keys.
    let plain = more("usage").replace("user_id_attribute: user, ", "");
    let (_, failure) = World::of(&api, &plain).poll().await;
    assert!(failure.unwrap().contains("user_id [user_id]: KeyError: 'user_id'"));
    let plain = more("usage").replace("user_id_attribute: user, ", "user_id_attribute: '', ");
    assert_eq!(World::of(&api, &plain).poll().await.0.len(), 1);
}

#[tokio::test]
async fn credentials_come_from_barbican() {
    let api = Api::start().await;
    api.has("/v1/secrets/s-1/payload", "user, pass").has("/data", r#"[{"id": "1", "v": 1}]"#);
    let more = format!(
        "url_path: '{}/data', module: requests.auth, authentication_object: HTTPBasicAuth, barbican_secret_id: s-1, \
         user_id_attribute: '', project_id_attribute: ''",
        api.address
    );
    let yaml = format!("[{}]", with(&more));
    let url = format!("{}/key/v9", api.address);
    let cloud = Cloud::new(&[("key-manager", url.as_str())]);
    let (samples, failure) = World::defined(&yaml, cloud).poll().await;
    assert_eq!((short(&samples), failure), (vec!["dynamic.a 1 1".to_owned()], None));
    assert!(api.asked().last().unwrap().contains("authorization: Basic dXNlcjpwYXNz"));
    // Without a Barbican there is the API alone.
    let (_, failure) = World::defined(&yaml, Cloud::new(&[])).poll().await;
    assert!(failure.unwrap().contains("the credentials have 1 parts"));
    let unreachable = more.replace(&format!("{}/data", api.address), "http://127.0.0.1:1/");
    let (_, failure) = World::defined(&format!("[{}]", with(&unreachable)), Cloud::new(&[]))
        .poll_of(&[Resource::from_id("u,p")])
        .await;
    assert!(failure.unwrap().contains("http://127.0.0.1:1/"));
}

#[tokio::test]
async fn a_command_is_read_like_an_answer() {
    let api = Api::start().await;
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let second = file("2.json", r#"{"d": [{"id": "b", "v": 2}]}"#);
    let first = file("1.json", &format!(r#"{{"d": [{{"id": "a", "v": 1}}], "more": "cat {second}"}}"#));
    let plain = "endpoint_type: ~, url_path: ~";
    let poll = |more: String| {
        let world = World::of(&api, &format!("{plain}, {more}"));
        async move { world.poll().await }
    };
    let (samples, failure) =
        poll(format!("host_command: 'cat {first}', next_sample_url_attribute: more")).await;
    assert_eq!(
        (short(&samples), failure),
        (vec!["dynamic.a 1 a".to_owned(), "dynamic.a 2 b".to_owned()], None)
    );
    let xml = "host_command: \"echo '<d><e><id>1</id><v>3</v></e></d>'; exit 4\", response_handlers: [xml], \
               response_entries_key: d.e";
    assert_eq!(short(&poll(xml.to_owned()).await.0), ["dynamic.a \"3\" 1"]);
    let text = "host_command: \"'echo ' + word\", base_metadata: {word: 5}, response_handlers: [text]";
    let (_, failure) = poll(text.to_owned()).await;
    // The word is a number, so that the text stands for itself, and for no command.
    assert!(failure.unwrap().contains("KeyError: 'v'"));
    let text = text.replace("5", "'5'")
        + ", value_attribute: 'out | int(value)', resource_id_attribute: '. | value[\"out\"] + \"x\"'";
    assert_eq!(short(&poll(text).await.0), ["dynamic.a 5 5x"]);
    let (_, failure) = poll("host_command: sleep 30, timeout: 0.1".to_owned()).await;
    assert!(failure.unwrap().contains("host: host_command gave no answer within 0.1 s"));
    assert!(Path::new(&first).exists());
}
