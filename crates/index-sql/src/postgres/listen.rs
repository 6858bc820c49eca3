//! What others tell on a channel of PostgreSQL's (LISTEN and NOTIFY), heard over a connection of its own.

use std::sync::Weak;
use std::time::Duration;

use deadpool_postgres::Connect as _;
use nephometer_model::with_causes;
use tokio_postgres::{Config, Error};

use super::connect::{Connector, wake_up};

/// Until a connection that was lost is made again. Those who are woken look from time to time without that, too.
const PAUSE: Duration = Duration::from_secs(1);

/// Listens as long as somebody is there to be woken.
pub(super) async fn listen(connector: Connector, config: Config, channel: &'static str) {
    while Weak::strong_count(&connector.wake) > 0 {
        if let Err(error) = hear(&connector, &config, channel).await {
            tracing::debug!(reason = with_causes(&error), channel, "PostgreSQL cannot be listened to");
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Listens until the connection is lost.
async fn hear(connector: &Connector, config: &Config, channel: &str) -> Result<(), Error> {
    let (client, driver) = connector.connect(config).await?;
    client.batch_execute(&format!("LISTEN {channel}")).await?;
    // For what was told before.
    wake_up(&connector.wake);
    // It ends with an error that it tells itself.
    drop(driver.await);
    Ok(())
}
