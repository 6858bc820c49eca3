//! What a cloud's services tell of themselves: volumes, images, addresses, balancers, zones, shares, accounts.
//!
//! Most meters are rows of a table: a listing, a value, an owner, some fields. Listings are read page by page, once a
//! cycle. What one object lacks costs that object's sample alone.

mod accounts;
mod alarms;
mod balancers;
mod codes;
mod images;
mod listing;
mod network;
mod object;
mod pages;
mod projects;
mod radosgw;
mod settings;
mod shares;
pub(crate) mod signature;
mod swift;
mod volumes;
mod zones;

use std::sync::Arc;

use nephometer_drivers::CloudReader;

use crate::{Discovery, Plugins, Pollster};

pub use radosgw::{RadosGateway, RadosGatewayError};
pub use settings::{CentralSettings, RadosGatewaySettings, ServiceTypes};

use listing::{Listing, Page};
use object::{ObjectMeter, ObjectPollster};

/// A part of the cloud: what is listed, and the meters that are read from the lists.
struct Area {
    listings: Vec<Listing>,
    meters: &'static [ObjectMeter],
}

/// Everything that `cloud` can be asked. Without a gateway its meters do not exist.
pub fn plugins(
    settings: &CentralSettings,
    cloud: &Arc<dyn CloudReader>,
    gateway: Option<RadosGateway>,
) -> Plugins {
    let services = &settings.service_types;
    let areas = [
        images::area(services),
        volumes::area(services),
        network::area(services, settings.publish_secrets),
        balancers::area(services),
        zones::area(services),
        shares::area(services),
    ];
    let mut plugins = Plugins::default();
    for area in areas {
        let discoveries = area.listings.into_iter().map(|listing| listing.over(cloud));
        plugins.discoveries.extend(discoveries.map(|listing| Arc::new(listing) as Arc<dyn Discovery>));
        let pollsters = area.meters.iter().map(ObjectPollster::new);
        plugins.pollsters.extend(pollsters.map(|pollster| Arc::new(pollster) as Arc<dyn Pollster>));
    }
    for more in [
        alarms::plugins(services, cloud),
        projects::plugins(settings, cloud),
        swift::plugins(settings, cloud),
        zones::plugins(services, cloud),
        gateway.map(radosgw::plugins).unwrap_or_default(),
    ] {
        plugins.discoveries.extend(more.discoveries);
        plugins.pollsters.extend(more.pollsters);
    }
    plugins
}

#[cfg(test)]
mod tests;
