//! Builds what the roles stand on: index, engine, metric service. The only place where adapters meet services.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail};
use nephometer_drivers::{Indexer, MeasureStore, PartCatalog};
use nephometer_engine::Engine;
use nephometer_engine::io::FileStorage;
use nephometer_index_sql::{SqlIndex, SqliteSettings};
use nephometer_metric::MetricService;
use nephometer_model::{ArchivePolicy, ArchivePolicyRule, SystemClock};
use tokio::task::JoinError;

use crate::config::{Config, IndexPlace};
use crate::roles::Ground;

/// The engine's directory in the data directory.
pub(crate) const MEASURES_NAME: &str = "measures";
/// The rule that upstream's set-up creates: every metric gets the policy `low`.
const DEFAULT_RULE: (&str, &str, &str) = ("default", "*", "low");

/// The parts that are built once and shared by the roles of a process, as far as they stand on them.
pub(crate) struct Parts {
    pub(crate) clock: Arc<SystemClock>,
    pub(crate) index: Option<Arc<SqlIndex>>,
    pub(crate) store: Option<Store>,
}

/// The measure store and what serves it.
pub(crate) struct Store {
    pub(crate) index: Arc<SqlIndex>,
    pub(crate) engine: Arc<Engine>,
    pub(crate) service: Arc<MetricService>,
}

impl Parts {
    /// Opens what of `grounds` is to be opened, by `clock`.
    pub(crate) async fn open(config: &Config, clock: SystemClock, grounds: &[Ground]) -> Result<Self> {
        let clock = Arc::new(clock);
        let has_store = grounds.contains(&Ground::Store);
        let index = match has_store || grounds.contains(&Ground::Index) {
            true => Some(Arc::new(open_index(config, &clock).await?)),
            false => None,
        };
        let store = match index.clone().filter(|_| has_store) {
            Some(index) => Some(Store::open(config, &clock, index).await?),
            None => None,
        };
        Ok(Self { clock, index, store })
    }

    /// The index.
    ///
    /// # Errors
    /// Whoever asks has not said that it stands on it.
    pub(crate) fn index(&self) -> Result<&Arc<SqlIndex>> {
        self.index.as_ref().context("this process has no index open")
    }

    /// The measure store.
    ///
    /// # Errors
    /// Whoever asks has not said that it stands on it.
    pub(crate) fn store(&self) -> Result<&Store> {
        self.store.as_ref().context("this process does not hold the measure store")
    }

    /// Flushes what is in memory to parts and stops the engine's threads.
    pub(crate) async fn close(self) -> Result<()> {
        let Some(store) = self.store else { return Ok(()) };
        let engine = Arc::clone(&store.engine);
        drop(store);
        unpanicked(tokio::task::spawn_blocking(move || engine.stop()).await)??;
        Ok(())
    }
}

impl Store {
    /// Opens the engine over `index`, replays the log, creates default policies where that is asked for.
    async fn open(config: &Config, clock: &Arc<SystemClock>, index: Arc<SqlIndex>) -> Result<Self> {
        if config.metric.create_default_policies {
            create_default_policies(index.as_ref()).await?;
        }
        let engine = Arc::new(open_engine(config, clock, &index).await?);
        let settings = config.metric.settings().map_err(anyhow::Error::msg)?;
        let service = MetricService::new(
            Arc::clone(&index) as Arc<dyn Indexer>,
            Arc::clone(&engine) as Arc<dyn MeasureStore>,
            Arc::clone(clock) as _,
            Arc::clone(clock) as _,
            settings,
        );
        service.load_policies().await?;
        Ok(Self { index, engine, service: Arc::new(service) })
    }
}

/// Opens the index that the configuration names, with its schema brought up to date.
pub(crate) async fn open_index(config: &Config, clock: &Arc<SystemClock>) -> Result<SqlIndex> {
    let clock = Arc::clone(clock) as _;
    match config.index.open(&config.storage.data_dir)? {
        IndexPlace::Postgres(settings) => SqlIndex::connect_postgres(&settings, clock)
            .await
            .with_context(|| format!("the index {}", settings.url)),
        IndexPlace::Sqlite(path) => {
            std::fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))?;
            let settings = SqliteSettings::at(path.clone());
            SqlIndex::open_sqlite(&settings, clock).with_context(|| format!("the index {}", path.display()))
        }
    }
}

async fn open_engine(config: &Config, clock: &Arc<SystemClock>, index: &Arc<SqlIndex>) -> Result<Engine> {
    let policies = index.archive_policies().await?;
    let root = config.storage.data_dir.join(MEASURES_NAME);
    let settings = config.engine.clone();
    let (clock, catalog) = (Arc::clone(clock), Arc::clone(index));
    // Opening reads files and replays the log: not on a thread that serves requests.
    let opened = tokio::task::spawn_blocking(move || {
        refuse_foreign_catalog(catalog.as_ref(), &root)?;
        std::fs::create_dir_all(&root)?;
        let storage = Arc::new(FileStorage::new(&root)?);
        let ids = Arc::clone(&clock) as _;
        Ok::<_, anyhow::Error>(Engine::open(settings, storage, catalog, clock, ids, &policies)?)
    });
    unpanicked(opened.await)?.context("the measure store")
}

/// What a thread came to; that it panicked is told without the message, which may hold anything.
fn unpanicked<T>(outcome: Result<T, JoinError>) -> Result<T> {
    outcome.map_err(|_| anyhow!("it panicked; the log says where"))
}

/// A catalog whose parts are in another data directory must not be used: they would all count as lost.
fn refuse_foreign_catalog(catalog: &dyn PartCatalog, root: &Path) -> Result<()> {
    if root.exists() || catalog.load()?.parts.is_empty() {
        return Ok(());
    }
    bail!(
        "the index knows of measures, but there is no {}: it belongs to another data directory; set storage.data_dir \
         to that one, or index.url to an empty database",
        root.display()
    )
}

/// Creates upstream's default policies and rule in an index that has neither policies nor rules.
pub(crate) async fn create_default_policies(index: &dyn Indexer) -> Result<bool> {
    let is_empty =
        index.archive_policies().await?.is_empty() && index.archive_policy_rules().await?.is_empty();
    if !is_empty {
        return Ok(false);
    }
    for policy in ArchivePolicy::upstream_defaults() {
        index.create_archive_policy(policy).await?;
    }
    let (name, metric_pattern, archive_policy_name) = DEFAULT_RULE;
    let rule = ArchivePolicyRule {
        name: name.to_owned(),
        metric_pattern: metric_pattern.to_owned(),
        archive_policy_name: archive_policy_name.to_owned(),
    };
    index.create_archive_policy_rule(rule).await?;
    tracing::info!("created the default archive policies bool, low, medium, high and the rule `default`");
    Ok(true)
}
