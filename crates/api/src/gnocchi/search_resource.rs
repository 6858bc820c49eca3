//! Search of resources: `/v1/search/resource/{type}`.

use http::Method;

use super::call::Call;
use super::resource::{filter_of, list_matching};
use super::route::{Answer, Route, handler};

pub(super) fn routes() -> Vec<Route> {
    let path = "/v1/search/resource/{type}";
    vec![
        Route::new(Method::POST, path, "List resources that match a filter", handler!(search))
            .rule("search resource")
            .takes("Filter")
            .gives("Resource[]")
            .query(&["filter", "details", "history", "attrs", "limit", "marker", "sort"])
            .statuses(&[200, 400, 404, 415]),
    ]
}

async fn search(call: Call) -> Answer {
    call.service().schema_of(call.param("type")).await?;
    let filter = filter_of(&call)?;
    list_matching(&call, "search resource", filter).await
}
