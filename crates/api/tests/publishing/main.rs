//! Samples become measures of the metric service of the same process: what publishers write is what the API shows.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod gnocchi;
mod over_http;
mod spooled;
mod support;

use std::sync::Arc;
use std::time::Duration;

use nephometer_drivers::conformance::metric_writer::{self, Service};
use nephometer_drivers::for_each_metric_writer_behaviour;
use nephometer_metric::{LocalMetricWriter, MetricService};
use nephometer_model::Identity;
use nephometer_testkit::app::TestApp;

/// Writes as `admin`, whom the API's basic authentication knows.
fn writer(service: &Arc<MetricService>) -> LocalMetricWriter {
    let admin = || Some("admin".to_owned());
    let identity = Identity { creator: admin(), user: admin(), ..Identity::default() };
    LocalMetricWriter::new(Arc::clone(service), identity)
}

macro_rules! behaviours {
    ($($name:ident)*) => {
        $(
            #[tokio::test]
            async fn $name() {
                let app = TestApp::start().await.unwrap();
                let service = Service {
                    writer: Arc::new(writer(&app.service)),
                    reader: app.service.clone(),
                    shows_within: Duration::ZERO,
                    pause: || Box::pin(tokio::task::yield_now()),
                };
                metric_writer::$name(&service).await;
            }
        )*
    };
}

for_each_metric_writer_behaviour!(behaviours);
