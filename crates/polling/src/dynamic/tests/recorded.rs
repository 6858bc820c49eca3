//! Recorded answers of Nova, Keystone and a Ceph gateway, polled by definitions of the shape that upstream's documentation has.

use serde_json::{Value, json};

use super::api::{Api, Cloud};
use super::polls::{World, short};
use crate::Resource;

const SERVERS: &str = include_str!("../fixtures/servers.json");
const PROJECTS: &str = include_str!("../../central/fixtures/projects.json");
const USAGE: &str = include_str!("../../central/fixtures/radosgw-usage.json");

const INSTANCES: &str = r#"
- name: dynamic.instance.status
  sample_type: gauge
  unit: server
  endpoint_type: compute
  url_path: /v2.1/servers/detail?all_tenants=true
  next_sample_url_attribute: "servers_links | filter(lambda v: v.get('rel') == 'next', value) | list(value) | value[0] | value.get('href')"
  value_attribute: status
  value_mapping: {ACTIVE: "1"}
  default_value: 0
  project_id_attribute: tenant_id
  metadata_fields: [name, flavor.vcpus, flavor.original_name, "image | value or { 'id': '' } | value['id']", "OS-EXT-SRV-ATTR:host",
    "tags | ','.join(value)", locked]
  metadata_mapping: {"OS-EXT-SRV-ATTR:host": host, name: display_name, "image | value or { 'id': '' } | value['id']": image_ref}
  preserve_mapped_metadata: false
  extra_metadata_fields:
    - {name: project_name, endpoint_type: identity, url_path: "'/v3/projects/' + str(sample['project_id'])", value: name}
    - {name: domain_id, endpoint_type: identity, url_path: "'/v3/projects/' + str(sample['project_id'])", value: domain_id}
"#;

#[tokio::test]
async fn instances_are_told_with_their_projects() {
    let api = Api::start().await;
    let mut first: Value = serde_json::from_str(SERVERS).unwrap();
    let mut second = first.clone();
    // As Nova pages, one server each.
    first["servers"].as_array_mut().unwrap().truncate(1);
    second["servers"].as_array_mut().unwrap().remove(0);
    first["servers_links"] = json!([{"rel": "next", "href": format!("{}/v2.1/servers/detail?all_tenants=true&limit=1&marker=m", api.address)}]);
    api.has("/v2.1/servers/detail?all_tenants=true", &first.to_string());
    api.has("/v2.1/servers/detail?all_tenants=true&limit=1&marker=m", &second.to_string());
    let projects: Value = serde_json::from_str(PROJECTS).unwrap();
    for project in projects["projects"].as_array().unwrap() {
        let path = format!("/v3/projects/{}", project["id"].as_str().unwrap());
        api.has(&path, &json!({ "project": project }).to_string());
    }
    let services =
        [("compute", format!("{}/v2.1", api.address)), ("identity", format!("{}/v3", api.address))];
    let services: Vec<_> = services.iter().map(|(name, url)| (*name, url.as_str())).collect();
    let nova = Resource::from_id(services[0].1);
    let (samples, failure) = World::defined(INSTANCES, Cloud::new(&services)).poll_of(&[nova]).await;
    assert_eq!(failure, None);
    assert_eq!(samples.len(), 2);
    let admins = Value::Object(samples[0].to_map());
    assert_eq!(
        (&admins["volume"], &admins["project_id"]),
        (&json!("1"), &json!("be5d60a5e9964c4e886981d4f98f6ea0"))
    );
    let told = json!({
        "flavor.vcpus": 1, "flavor.original_name": "m1.lab", "tags | ','.join(value)": "", "locked": false,
        "display_name": "lab-libvirt-vm", "image_ref": "ab489c4f-9903-45fa-b1f2-59685104886e", "host": "lablv",
        "project_name": "admin", "domain_id": "default",
    });
    assert_eq!(admins["resource_metadata"], told);
    assert_eq!(samples[1].metadata["project_name"], "lab");
    // Two pages, and each project once for both questions.
    assert_eq!(api.asked().len(), 4);
}

#[tokio::test]
async fn requests_to_a_gateway_are_told_by_category() {
    let api = Api::start().await;
    api.has("/admin/usage", USAGE);
    let yaml = format!(
        "- {{name: 'dynamic.radosgw.api.request.{{category}}', sample_type: gauge, unit: request, value_attribute: '[categories].ops', \
         url_path: '{}/admin/usage', module: awsauth, authentication_object: S3Auth, authentication_parameters: 'a, s,h', \
         user_id_attribute: \"user | value.split('$')[0]\", project_id_attribute: \"user | value.split ('$') | value[0]\", \
         resource_id_attribute: \"user  | value.split('$') | value[0] | value.strip()\", response_entries_key: summary}}",
        api.address
    );
    let (samples, failure) = World::defined(&yaml, Cloud::new(&[])).poll().await;
    assert_eq!(failure, None);
    let name = "dynamic.radosgw.api.request";
    let wanted = ["create_bucket 2", "get_obj 1", "list_bucket 1", "put_obj 3"]
        .map(|rest| format!("{name}.{rest} lab"));
    assert_eq!(short(&samples), wanted);
    assert_eq!(samples[0].project_id.as_deref(), Some("lab"));
}
