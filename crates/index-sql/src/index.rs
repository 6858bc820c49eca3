//! The index as the rest of the program sees it: each method of the contracts is one operation, run on whichever
//! database is open.

use std::sync::Arc;

use async_trait::async_trait;
use nephometer_drivers::{
    CatalogChange, CatalogError, CatalogState, IndexCounts, IndexError, Indexer, LateCount, LifeQuery,
    MetricQuery, NewMetric, NewResource, PartCatalog, PolicyChange, ResourceChange, ResourceLife,
    ResourceQuery, ResourceTypeChange,
};
use nephometer_model::{
    ArchivePolicy, ArchivePolicyRule, Clock, Filter, Metric, MetricId, Resource, ResourceId, ResourceType,
    SeriesKey,
};

use tokio::sync::Notify;

use crate::postgres::{PostgresDatabase, PostgresSettings};
use crate::session::{Access, Operation, Shared};
use crate::sqlite::{SqliteDatabase, SqliteSettings};
use crate::update::{self, Update};
use crate::{
    Failure, OpenError, catalog, list, lives, metric_list, metrics, policies, resources, rules, types,
};

/// The index and the part catalog in one database.
pub struct SqlIndex {
    database: Database,
}

enum Database {
    Sqlite(SqliteDatabase),
    Postgres(Box<PostgresDatabase>),
}

fn shared(clock: Arc<dyn Clock>) -> Arc<Shared> {
    Arc::new(Shared { clock, policies: policies::PolicyCache::default() })
}

impl SqlIndex {
    /// Opens an SQLite file, makes it where it does not exist, and brings its schema up to date. `clock` decides what
    /// relative times in filters are relative to.
    pub fn open_sqlite(settings: &SqliteSettings, clock: Arc<dyn Clock>) -> Result<Self, OpenError> {
        let database = Database::Sqlite(SqliteDatabase::open(settings, &shared(clock))?);
        Ok(Self { database })
    }

    /// Connects to a PostgreSQL database and brings its schema up to date. The runtime it is called on must outlive
    /// the index; the catalog's blocking calls must come from threads that are not the runtime's.
    pub async fn connect_postgres(
        settings: &PostgresSettings,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, OpenError> {
        let database = PostgresDatabase::connect(settings, shared(clock)).await?;
        Ok(Self { database: Database::Postgres(Box::new(database)) })
    }

    /// Runs an operation in a transaction of its own, possibly several times.
    pub(crate) async fn operate<A, T>(
        &self,
        access: Access,
        args: A,
        operation: Operation<A, T>,
    ) -> Result<T, Failure>
    where
        A: Send + Sync + 'static,
        T: Send + 'static,
    {
        match &self.database {
            Database::Sqlite(database) => database.run(access != Access::Read, args, operation).await,
            Database::Postgres(database) => database.run(access, &args, operation).await,
        }
    }

    /// Has `wake` woken by what is told on a channel of the database; whether there are such things.
    pub(crate) fn listen(&self, channel: &'static str, wake: &Arc<Notify>) -> bool {
        match &self.database {
            Database::Sqlite(_) => false,
            Database::Postgres(database) => {
                database.listen(channel, wake);
                true
            }
        }
    }

    pub(crate) async fn read<A, T>(&self, args: A, operation: Operation<A, T>) -> Result<T, IndexError>
    where
        A: Send + Sync + 'static,
        T: Send + 'static,
    {
        self.operate(Access::Read, args, operation).await.map_err(Into::into)
    }

    async fn write<A, T>(&self, args: A, operation: Operation<A, T>) -> Result<T, IndexError>
    where
        A: Send + Sync + 'static,
        T: Send + 'static,
    {
        self.operate(Access::Write, args, operation).await.map_err(Into::into)
    }

    fn run_blocking<A, T>(
        &self,
        access: Access,
        args: A,
        operation: Operation<A, T>,
    ) -> Result<T, CatalogError>
    where
        A: Send + Sync + 'static,
        T: Send + 'static,
    {
        let outcome = match &self.database {
            Database::Sqlite(database) => database.run_blocking(access != Access::Read, args, operation),
            Database::Postgres(database) => database.run_blocking(access, &args, operation),
        };
        outcome.map_err(|failure: Failure| CatalogError(failure.to_string()))
    }
}

#[async_trait]
impl Indexer for SqlIndex {
    async fn create_archive_policy(&self, policy: ArchivePolicy) -> Result<Arc<ArchivePolicy>, IndexError> {
        self.write(policy, |session, policy| Box::pin(policies::create(session, policy))).await
    }

    async fn archive_policy(&self, name: &str) -> Result<Arc<ArchivePolicy>, IndexError> {
        self.read(name.to_owned(), |session, name| Box::pin(policies::get(session, name))).await
    }

    async fn archive_policies(&self) -> Result<Vec<Arc<ArchivePolicy>>, IndexError> {
        self.read((), |session, ()| Box::pin(policies::list(session))).await
    }

    async fn update_archive_policy(
        &self,
        name: &str,
        change: PolicyChange,
    ) -> Result<Arc<ArchivePolicy>, IndexError> {
        let args = (name.to_owned(), change);
        self.write(args, |session, args| Box::pin(policies::update(session, args))).await
    }

    async fn delete_archive_policy(&self, name: &str) -> Result<(), IndexError> {
        self.write(name.to_owned(), |session, name| Box::pin(policies::delete(session, name))).await
    }

    async fn create_archive_policy_rule(&self, rule: ArchivePolicyRule) -> Result<(), IndexError> {
        self.write(rule, |session, rule| Box::pin(rules::create(session, rule))).await
    }

    async fn archive_policy_rule(&self, name: &str) -> Result<ArchivePolicyRule, IndexError> {
        self.read(name.to_owned(), |session, name| Box::pin(rules::get(session, name))).await
    }

    async fn archive_policy_rules(&self) -> Result<Vec<ArchivePolicyRule>, IndexError> {
        self.read((), |session, ()| Box::pin(rules::list(session))).await
    }

    async fn rename_archive_policy_rule(
        &self,
        name: &str,
        new_name: &str,
    ) -> Result<ArchivePolicyRule, IndexError> {
        let args = (name.to_owned(), new_name.to_owned());
        self.write(args, |session, args| Box::pin(rules::rename(session, args))).await
    }

    async fn delete_archive_policy_rule(&self, name: &str) -> Result<(), IndexError> {
        self.write(name.to_owned(), |session, name| Box::pin(rules::delete(session, name))).await
    }

    async fn create_resource_type(&self, resource_type: ResourceType) -> Result<ResourceType, IndexError> {
        self.write(resource_type, |session, new| Box::pin(types::create(session, new))).await
    }

    async fn resource_type(&self, name: &str) -> Result<ResourceType, IndexError> {
        self.read(name.to_owned(), |session, name| Box::pin(types::get(session, name))).await
    }

    async fn resource_types(&self) -> Result<Vec<ResourceType>, IndexError> {
        self.read((), |session, ()| Box::pin(types::list(session))).await
    }

    async fn update_resource_type(
        &self,
        name: &str,
        change: ResourceTypeChange,
    ) -> Result<ResourceType, IndexError> {
        let args = (name.to_owned(), change);
        self.write(args, |session, args| Box::pin(types::update(session, args))).await
    }

    async fn delete_resource_type(&self, name: &str) -> Result<(), IndexError> {
        self.write(name.to_owned(), |session, name| Box::pin(types::delete(session, name))).await
    }

    async fn create_resource(&self, resource: NewResource) -> Result<Resource, IndexError> {
        self.write(resource, |session, new| Box::pin(resources::create(session, new))).await
    }

    async fn resource(&self, type_name: &str, id: ResourceId) -> Result<Resource, IndexError> {
        let args = (type_name.to_owned(), id);
        self.read(args, |session, args| Box::pin(resources::get(session, args))).await
    }

    async fn update_resource(
        &self,
        type_name: &str,
        id: ResourceId,
        change: ResourceChange,
    ) -> Result<Resource, IndexError> {
        let args = Update { type_name: type_name.to_owned(), id, change };
        self.write(args, |session, args| Box::pin(update::update(session, args))).await
    }

    async fn delete_resource(&self, type_name: &str, id: ResourceId) -> Result<Vec<Metric>, IndexError> {
        let args = (type_name.to_owned(), id);
        self.write(args, |session, args| Box::pin(resources::delete(session, args))).await
    }

    async fn delete_resources(
        &self,
        type_name: &str,
        filter: &Filter,
    ) -> Result<(u64, Vec<Metric>), IndexError> {
        let args = (type_name.to_owned(), filter.clone());
        self.write(args, |session, args| Box::pin(resources::delete_matching(session, args))).await
    }

    async fn list_resources(&self, query: &ResourceQuery) -> Result<Vec<Resource>, IndexError> {
        self.read(query.clone(), |session, query| Box::pin(list::list(session, query))).await
    }

    async fn list_lives(&self, query: &LifeQuery) -> Result<Vec<ResourceLife>, IndexError> {
        self.read(*query, |session, query| Box::pin(lives::list(session, query))).await
    }

    async fn create_metric(&self, metric: NewMetric) -> Result<Metric, IndexError> {
        self.write(metric, |session, new| Box::pin(metrics::create(session, new))).await
    }

    async fn create_or_get_metrics(&self, metrics: Vec<NewMetric>) -> Result<Vec<Metric>, IndexError> {
        self.write(metrics, |session, news| Box::pin(metrics::create_or_get(session, news))).await
    }

    async fn list_metrics(&self, query: &MetricQuery) -> Result<Vec<Metric>, IndexError> {
        self.read(query.clone(), |session, query| Box::pin(metric_list::list(session, query))).await
    }

    async fn metrics_by_id(&self, ids: &[MetricId]) -> Result<Vec<Metric>, IndexError> {
        self.read(ids.to_vec(), |session, ids| Box::pin(metrics::by_id(session, ids))).await
    }

    async fn metric_with_resource(
        &self,
        id: MetricId,
    ) -> Result<Option<(Metric, Option<Resource>)>, IndexError> {
        self.read(id, |session, id| Box::pin(metrics::with_resource(session, *id))).await
    }

    async fn metrics_by_name(&self, names: &[(ResourceId, String)]) -> Result<Vec<Metric>, IndexError> {
        self.read(names.to_vec(), |session, names| Box::pin(metrics::by_name(session, names))).await
    }

    async fn resources_by_id(&self, ids: &[ResourceId]) -> Result<Vec<Resource>, IndexError> {
        self.read(ids.to_vec(), |session, ids| Box::pin(resources::by_id(session, ids))).await
    }

    async fn delete_metric(&self, id: MetricId) -> Result<Metric, IndexError> {
        self.write(id, |session, id| Box::pin(metrics::delete(session, id))).await
    }

    async fn counts(&self) -> Result<IndexCounts, IndexError> {
        self.read((), |session, ()| Box::pin(metric_list::counts(session))).await
    }
}

impl PartCatalog for SqlIndex {
    fn load(&self) -> Result<CatalogState, CatalogError> {
        self.run_blocking(Access::Read, (), |session, ()| Box::pin(catalog::load(session)))
    }

    fn commit(&self, change: &CatalogChange) -> Result<(), CatalogError> {
        self.run_blocking(Access::Write, change.clone(), |session, change| {
            Box::pin(catalog::commit(session, change))
        })
    }

    fn late(&self, key: SeriesKey) -> Result<Vec<LateCount>, CatalogError> {
        self.run_blocking(Access::Read, key, |session, key| Box::pin(catalog::late(session, key)))
    }

    fn late_total(&self) -> Result<u64, CatalogError> {
        self.run_blocking(Access::Read, (), |session, ()| Box::pin(catalog::late_total(session)))
    }
}
