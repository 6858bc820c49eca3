//! What `gnocchi://` writes.

use std::sync::Arc;

use nephometer_metric::LocalMetricWriter;
use nephometer_model::{ManualClock, Sample};
use nephometer_pipeline::publish::{GnocchiOptions, GnocchiPublisher, ProjectFilter};
use nephometer_pipeline::resources::{DEFAULT_DEFINITIONS, ResourceDefinitions};
use nephometer_pipeline::{PublishError, Publisher, RefusedSample};
use nephometer_testkit::app::TestApp;
use serde_json::{Value, json};

use crate::support::{Watched, cpu, metadata, sample};
use crate::writer;

const INSTANCE: &str = "11111111-2222-4333-8444-555555555555";
const DISK: &str = "11111111-2222-4333-8444-555555555555-vda";

async fn publisher(app: &TestApp) -> (GnocchiPublisher, Arc<Watched<LocalMetricWriter>>) {
    let writer = Watched::new(writer(&app.service));
    let definitions = Arc::new(ResourceDefinitions::parse(DEFAULT_DEFINITIONS).unwrap());
    let clock: Arc<ManualClock> = Arc::clone(&app.clock);
    let (options, filter) = (GnocchiOptions::default(), ProjectFilter::off());
    let publisher =
        GnocchiPublisher::new("gnocchi://".into(), writer.clone(), definitions, options, filter, clock);
    assert_eq!(publisher.publish(&[]).await, Ok(()));
    writer.asked();
    (publisher, writer)
}

async fn measures(app: &TestApp, resource: &str, metric: &str) -> Value {
    app.get(&format!("/v1/resource/generic/{resource}/metric/{metric}/measures?aggregation=mean"))
        .await
        .json()
}

#[tokio::test]
async fn the_service_is_prepared_once() {
    let app = TestApp::start().await.unwrap();
    publisher(&app).await;
    let instance = app.get("/v1/resource_type/instance").await.expect(200).json();
    let text =
        |required: bool| json!({"type": "string", "min_length": 0, "max_length": 255, "required": required});
    assert_eq!(instance["attributes"]["flavor_name"], text(true));
    assert_eq!(instance["attributes"]["host"], text(false));
    assert_eq!(instance["attributes"]["launched_at"], json!({"type": "datetime", "required": false}));
    let policy = app.get("/v1/archive_policy/ceilometer-low-rate").await.expect(200).json();
    assert_eq!(policy["aggregation_methods"], json!(["mean", "rate:mean"]));
    let (again, writer) = publisher(&app).await;
    assert_eq!(again.publish(&[cpu(INSTANCE, 0, 1.0)]).await, Ok(()));
    assert_eq!(writer.asked(), ["measures 1", "resource instance", "measures 1"], "nothing is made anew");
}

#[tokio::test]
async fn samples_become_measures_of_resources_with_attributes() {
    let app = TestApp::start().await.unwrap();
    let (publisher, writer) = publisher(&app).await;
    let samples = [cpu(INSTANCE, 0, 1.0), cpu(INSTANCE, 60, 3.0), sample("memory.usage", INSTANCE, 0, 512.0)];
    assert_eq!(publisher.publish(&samples).await, Ok(()));
    assert_eq!(writer.asked(), ["measures 3", "resource instance", "measures 3"]);
    assert_eq!(measures(&app, INSTANCE, "cpu").await, json!([["2026-01-01T00:00:00+00:00", 300.0, 2.0]]));
    let resource = app.get(&format!("/v1/resource/instance/{INSTANCE}")).await.expect(200).json();
    for (key, value) in
        [("user_id", "a-user"), ("project_id", "a-project"), ("flavor_id", "1"), ("host", "c1")]
    {
        assert_eq!(resource[key], value, "{key}");
    }
    let metric = app.get(&format!("/v1/resource/instance/{INSTANCE}/metric/cpu")).await.json();
    assert_eq!(metric["archive_policy"]["name"], "ceilometer-low-rate");
    assert_eq!(metric["unit"], "ns");
    // What is said again changes nothing, and counts once.
    assert_eq!(publisher.publish(&samples).await, Ok(()));
    assert_eq!(writer.asked(), ["measures 3"]);
    assert_eq!(measures(&app, INSTANCE, "cpu").await, json!([["2026-01-01T00:00:00+00:00", 300.0, 2.0]]));
}

#[tokio::test]
async fn attributes_of_several_sources_add_up() {
    let app = TestApp::start().await.unwrap();
    let (publisher, writer) = publisher(&app).await;
    let polled = cpu(INSTANCE, 0, 1.0);
    let mut notified = sample("memory", INSTANCE, 1, 2.0);
    notified.metadata = metadata(json!({"display_name": "vm", "instance_flavor_id": "1", "image_ref": "i"}));
    notified.project_id = None;
    publisher.publish(std::slice::from_ref(&polled)).await.unwrap();
    publisher.publish(&[notified.clone()]).await.unwrap();
    assert_eq!(writer.asked().last().unwrap(), "change image_ref");
    for _ in 0..3 {
        publisher.publish(std::slice::from_ref(&polled)).await.unwrap();
        publisher.publish(&[notified.clone()]).await.unwrap();
    }
    assert!(writer.asked().iter().all(|asked| asked == "measures 1"), "subsets do not take turns");
    let mut moved = polled;
    moved.metadata =
        metadata(json!({"display_name": "vm", "host": "c2", "flavor": {"id": "1", "name": "m1.small"}}));
    publisher.publish(&[moved, notified]).await.unwrap();
    assert_eq!(writer.asked(), ["measures 2", "change host"]);
    let resource = app.get(&format!("/v1/resource/instance/{INSTANCE}")).await.json();
    assert_eq!((&resource["host"], &resource["image_ref"]), (&json!("c2"), &json!("i")));
    assert_eq!(resource["project_id"], "a-project");
}

#[tokio::test]
async fn a_resource_that_is_made_anew_has_what_was_known_of_it() {
    let app = TestApp::start().await.unwrap();
    let (publisher, writer) = publisher(&app).await;
    let first = cpu(INSTANCE, 0, 1.0);
    let mut second = cpu(INSTANCE, 60, 3.0);
    second.metadata = first.metadata.clone();
    publisher.publish(&[first]).await.unwrap();
    app.delete(&format!("/v1/resource/instance/{INSTANCE}")).await.expect(204);
    writer.asked();
    // Its metadata were read before, and are read again for this.
    publisher.publish(&[second]).await.unwrap();
    assert_eq!(writer.asked(), ["measures 1", "resource instance", "measures 1"]);
    let resource = app.get(&format!("/v1/resource/instance/{INSTANCE}")).await.expect(200).json();
    assert_eq!((&resource["flavor_id"], &resource["host"]), (&json!("1"), &json!("c1")));
    assert_eq!(resource["project_id"], "a-project");
}

#[tokio::test]
async fn one_bad_sample_costs_itself() {
    let app = TestApp::start().await.unwrap();
    let (publisher, _) = publisher(&app).await;
    let mut samples: Vec<Sample> = (0..10).map(|second| cpu(INSTANCE, second, 1.0)).collect();
    samples[1].resource_id = None;
    samples[2].timestamp = None;
    samples[3].timestamp = Some("yesterday-ish".into());
    samples[4].volume = json!("plenty").into();
    samples[5].unit = "u".repeat(40).into();
    samples[5].name = "memory".into();
    samples[6].name = "no.such.meter".into();
    // A resource of this type must have an instance.
    samples[7] = sample("disk.device.capacity", DISK, 7, 1.0);
    samples[7].metadata = metadata(json!({"disk_name": "vda"}));
    let refused = match publisher.publish(&samples).await {
        Err(PublishError::SomeRefused(refused)) => refused,
        other => panic!("{other:?}"),
    };
    let at: Vec<_> = refused.iter().map(|RefusedSample { index, .. }| *index).collect();
    assert_eq!(at, [1, 2, 3, 4, 7], "{refused:?}");
    assert!(refused[4].reason.contains("instance_id"), "{refused:?}");
    let kept = measures(&app, INSTANCE, "cpu").await;
    assert_eq!(kept[0][2], 1.0);
    // A unit that is too long costs the metric its unit alone.
    assert_eq!(measures(&app, INSTANCE, "memory").await[0][2], 1.0);
    let resource = app.get(&format!("/v1/resource/generic/{INSTANCE}")).await.json();
    assert_eq!(resource["metrics"].as_object().unwrap().keys().collect::<Vec<_>>(), ["cpu", "memory"]);
    let memory = resource["metrics"]["memory"].as_str().unwrap();
    assert!(app.get(&format!("/v1/metric/{memory}")).await.json()["unit"].is_null());
}

#[tokio::test]
async fn slashes_become_underscores() {
    let app = TestApp::start().await.unwrap();
    let (publisher, _) = publisher(&app).await;
    publisher.publish(&[sample("storage.containers.objects", "p/photos", 0, 4.0)]).await.unwrap();
    assert_eq!(measures(&app, "p_photos", "storage.containers.objects").await[0][2], 4.0);
}
