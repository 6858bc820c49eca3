//! PostgreSQL: a pool of connections, repeatable-read transactions (or locks, where an operation says so), conflicts tried
//! again.

mod address;
mod connect;
mod listen;
mod session;
mod tls;

use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{Hook, HookError, Manager, ManagerConfig, Pool, RecyclingMethod, Runtime};
use nephometer_model::{Secret, SecretUrl};
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio_postgres::{Config, IsolationLevel};

use crate::session::{Access, Operation, Shared};
use crate::{Failure, OpenError, migrate};
use connect::{Connector, explained};
use session::{PostgresSession, failure};
use tls::Tls;

pub use tls::{Mode as TlsMode, TlsError};

/// How often an operation is tried when others come in between.
const ATTEMPTS: u32 = 12;
/// What each connection begins with. A process that stands still in the middle of a transaction, or whose host is gone, must
/// not hold its locks longer than others wait for its leases; and what is there already is no news.
const BEGINNING: &str = "SET idle_in_transaction_session_timeout = '5s'; SET client_min_messages = warning";

/// Where the database server is and how much of it we use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostgresSettings {
    /// Connection string, `postgresql://user:password@host:port/database?sslmode=…` or `host=… dbname=…`. Of libpq's
    /// options for TLS it may have `sslmode`, `sslrootcert`, `sslcert` and `sslkey`.
    pub url: SecretUrl,
    /// The password, where the connection string has none; empty for none.
    pub password: Secret,
    /// Connections, at least one.
    pub connections: usize,
    /// How long an operation may wait for a connection.
    pub wait_seconds: u64,
}

impl PostgresSettings {
    /// The usual settings for the database at `url`.
    pub fn at(url: impl Into<String>) -> Self {
        Self { url: SecretUrl::new(url), password: Secret::default(), connections: 16, wait_seconds: 10 }
    }

    /// Whether the connection string and the files that it names can be used. Connects to nobody.
    pub fn check(&self) -> Result<(), OpenError> {
        let (_, options) = address::parse(self.url.expose())?;
        options.client_config()?;
        Ok(())
    }
}

/// A pool of connections.
pub(crate) struct PostgresDatabase {
    pool: Pool,
    shared: Arc<Shared>,
    runtime: Handle,
    config: Config,
    tls: Tls,
    /// What listens, until this is dropped.
    listening: Mutex<Vec<AbortHandle>>,
}

impl PostgresDatabase {
    /// Connects and brings the schema up to date. Must be called inside a tokio runtime, which blocking calls use.
    pub(crate) async fn connect(settings: &PostgresSettings, shared: Arc<Shared>) -> Result<Self, OpenError> {
        let (mut config, options) = address::parse(settings.url.expose())?;
        if config.get_password().is_none() && !settings.password.is_empty() {
            config.password(settings.password.expose());
        }
        // What is wrong with files is told at once, not as the failure of a connection.
        options.client_config()?;
        let tls = Tls::new(options);
        let connector = Connector::new(tls.clone());
        let manager = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let wait = Some(Duration::from_secs(settings.wait_seconds));
        let pool = Pool::builder(Manager::from_connect(config.clone(), connector, manager))
            .max_size(settings.connections.max(1))
            .runtime(Runtime::Tokio1)
            .post_create(Hook::async_fn(|client, _| {
                Box::pin(async move { client.batch_execute(BEGINNING).await.map_err(HookError::Backend) })
            }))
            .wait_timeout(wait)
            .create_timeout(wait)
            .build()
            .map_err(|error| OpenError::Database(error.to_string()))?;
        let mut client = pool.get().await.map_err(|error| OpenError::Database(explained(&error)))?;
        migrate::postgres(&mut client).await?;
        drop(client);
        let listening = Mutex::default();
        Ok(Self { pool, shared, runtime: Handle::current(), config, tls, listening })
    }

    /// Has `wake` woken by what is told on `channel`, over a connection of its own.
    pub(crate) fn listen(&self, channel: &'static str, wake: &Arc<Notify>) {
        let connector = Connector { tls: self.tls.clone(), wake: Arc::downgrade(wake) };
        let listener = self.runtime.spawn(listen::listen(connector, self.config.clone(), channel));
        self.listening.lock().push(listener.abort_handle());
    }

    /// Runs an operation, again where others came in between.
    pub(crate) async fn run<A, T>(
        &self,
        access: Access,
        args: &A,
        operation: Operation<A, T>,
    ) -> Result<T, Failure>
    where
        A: Send + Sync,
        T: Send,
    {
        let mut attempt = 0;
        loop {
            attempt += 1;
            match self.attempt(access, args, operation).await {
                Err(Failure::Retry(reason)) if attempt < ATTEMPTS => {
                    tracing::debug!(reason, attempt, "an operation of the index is tried again");
                    tokio::time::sleep(Duration::from_millis(1 << attempt.min(7))).await;
                }
                outcome => return outcome,
            }
        }
    }

    /// Runs an operation and blocks the calling thread, which must not be one of the runtime's.
    pub(crate) fn run_blocking<A, T>(
        &self,
        access: Access,
        args: &A,
        operation: Operation<A, T>,
    ) -> Result<T, Failure>
    where
        A: Send + Sync,
        T: Send,
    {
        self.runtime.block_on(self.run(access, args, operation))
    }

    async fn attempt<A, T>(&self, access: Access, args: &A, operation: Operation<A, T>) -> Result<T, Failure>
    where
        A: Send + Sync,
        T: Send,
    {
        let mut client = self.pool.get().await.map_err(|error| Failure::Unavailable(explained(&error)))?;
        let isolation = match access {
            Access::Read | Access::Write => IsolationLevel::RepeatableRead,
            Access::Lock => IsolationLevel::ReadCommitted,
        };
        let transaction = client
            .build_transaction()
            .isolation_level(isolation)
            .read_only(access == Access::Read)
            .start()
            .await
            .map_err(|error| failure(&error))?;
        let mut session = PostgresSession::new(&transaction, &self.shared);
        match operation(&mut session, args).await {
            Ok(answer) => {
                transaction.commit().await.map_err(|error| failure(&error))?;
                Ok(answer)
            }
            Err(reason) => {
                // Where rolling back fails the connection is lost, and the transaction with it.
                drop(transaction.rollback().await);
                Err(reason)
            }
        }
    }
}

impl Drop for PostgresDatabase {
    fn drop(&mut self) {
        self.listening.lock().iter().for_each(AbortHandle::abort);
    }
}
