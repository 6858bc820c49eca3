//! A real PostgreSQL for tests: one cluster per test process, a fresh database per test, nothing left behind.
//!
//! The server runs under a small shell script that ends it and removes its files when its standard input closes; the
//! other end belongs to the test process, so that even a killed test leaves nothing running.

use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, bail};

const USER: &str = "nephometer";

/// `$1` is the folder of PostgreSQL's programs, `$2` the port, `$3` the superuser's name. What TLS needs comes in variables,
/// because the files must be the server's own.
const SCRIPT: &str = r#"
base=$(mktemp -d "${TMPDIR:-/tmp}/nephometer-postgres.XXXXXX") || exit 1
cd "$base" || exit 1
server=
finish() {
    [ -n "$server" ] && kill -INT "$server" 2>/dev/null && wait "$server" 2>/dev/null
    cd / && rm -rf "$base"
}
trap finish EXIT
trap 'exit 1' INT TERM HUP
"$1/initdb" -D data -U "$3" -A trust -E UTF8 --locale=C --no-sync >initdb.log 2>&1 || { cat initdb.log; exit 1; }
if [ -n "$SERVER_CERTIFICATE" ]; then
    umask 077
    printf '%s' "$SERVER_CERTIFICATE" >data/server.crt
    printf '%s' "$SERVER_KEY" >data/server.key
    printf '%s' "$CLIENT_AUTHORITY" >data/root.crt
    printf '%s' "$HBA" >data/pg_hba.conf
    printf "ssl = on\nssl_ca_file = 'root.crt'\n" >>data/postgresql.conf
fi
"$1/postgres" -D data -p "$2" -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off \
    -c synchronous_commit=off -c full_page_writes=off -c max_connections=300 -c shared_buffers=64MB \
    >server.log 2>&1 </dev/null &
server=$!
tries=0
until "$1/pg_isready" -q -h 127.0.0.1 -p "$2"; do
    tries=$((tries + 1))
    if [ "$tries" -gt 300 ] || ! kill -0 "$server" 2>/dev/null; then cat server.log; exit 1; fi
    sleep 0.1
done
echo ready
read -r _
exit 0
"#;

/// How a cluster speaks TLS, and whom it lets in.
#[derive(Default)]
pub struct PostgresTls {
    /// The server's certificate (PEM).
    pub certificate: String,
    /// Its key (PEM).
    pub key: String,
    /// The authority (PEM) whose certificates clients may show.
    pub client_authority: String,
    /// Lines of `pg_hba.conf`, after one that lets in whoever says to be the superuser.
    pub hba: String,
}

/// A running cluster.
pub struct Postgres {
    programs: PathBuf,
    port: u16,
    databases: AtomicU64,
    /// Holds the script's standard input open.
    script: Child,
}

impl Postgres {
    /// The cluster of this test process, started at the first call. Fails where PostgreSQL is not installed.
    pub fn shared() -> anyhow::Result<&'static Self> {
        static CLUSTER: OnceLock<Result<Postgres, String>> = OnceLock::new();
        let started = CLUSTER.get_or_init(|| Self::start().map_err(|error| format!("{error:#}")));
        started.as_ref().map_err(|error| anyhow::anyhow!("{error}"))
    }

    /// Starts a cluster of its own.
    pub fn start() -> anyhow::Result<Self> {
        Self::start_with(&PostgresTls::default())
    }

    /// Starts a cluster of its own that speaks TLS, unless its certificate is empty.
    pub fn start_with(tls: &PostgresTls) -> anyhow::Result<Self> {
        let programs = find_programs()?;
        let mut failure = anyhow::anyhow!("PostgreSQL does not start");
        for _ in 0..3 {
            // Somebody else may take the port before the server does: then another one is tried.
            match start_at(&programs, free_port()?, tls) {
                Ok((port, script)) => {
                    let databases = AtomicU64::new(0);
                    return Ok(Self { programs, port, databases, script });
                }
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    /// Connection string of a fresh, empty database. Its default collation is a linguistic one, so that a query that
    /// forgets to compare by code point is noticed.
    pub fn fresh_database(&self) -> anyhow::Result<String> {
        let number = self.databases.fetch_add(1, Ordering::Relaxed);
        let name = format!("test_{number}");
        let create = format!(
            "CREATE DATABASE {name} TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en' STRATEGY file_copy"
        );
        self.sql(&create)?;
        Ok(format!("postgresql://{USER}@127.0.0.1:{}/{name}", self.port))
    }

    /// Has the superuser run a statement in the database `postgres`; its answer, without headings.
    pub fn sql(&self, statement: &str) -> anyhow::Result<String> {
        let output = Command::new(self.programs.join("psql"))
            .args(["-h", "127.0.0.1", "-U", USER, "-d", "postgres", "-qtAc", statement])
            .args(["-p", &self.port.to_string()])
            .stdin(Stdio::null())
            .output()
            .context("psql")?;
        if !output.status.success() {
            bail!("{statement}: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        drop(self.script.stdin.take());
        // The script ends by itself; there is nobody left to tell if it does so badly.
        drop(self.script.wait());
    }
}

/// The newest installed PostgreSQL.
fn find_programs() -> anyhow::Result<PathBuf> {
    let mut found: Vec<(u32, PathBuf)> = Vec::new();
    for entry in std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten() {
        let programs = entry.path().join("bin");
        let version = entry.file_name().to_string_lossy().parse();
        if let Ok(version) = version
            && programs.join("initdb").exists()
        {
            found.push((version, programs));
        }
    }
    found.sort();
    let newest = found.pop().map(|(_, programs)| programs);
    newest.context(
        "PostgreSQL is needed for this test: apt-get install postgresql (nothing has to be configured)",
    )
}

fn free_port() -> anyhow::Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("no free port")?;
    Ok(listener.local_addr()?.port())
}

fn start_at(programs: &Path, port: u16, tls: &PostgresTls) -> anyhow::Result<(u16, Child)> {
    let mut command = unprivileged_shell()?;
    command.args(["-c", SCRIPT, "postgres-for-tests"]).arg(programs).arg(port.to_string()).arg(USER);
    let superuser = format!("host all {USER} 127.0.0.1/32 trust\n{}\n", tls.hba);
    command.env("SERVER_CERTIFICATE", &tls.certificate).env("SERVER_KEY", &tls.key);
    command.env("CLIENT_AUTHORITY", &tls.client_authority).env("HBA", superuser);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut script = command.spawn().context("cannot start a shell")?;
    let mut output = BufReader::new(script.stdout.take().context("the shell has no output")?);
    let mut line = String::new();
    output.read_line(&mut line)?;
    if line.trim() == "ready" {
        return Ok((port, script));
    }
    output.read_to_string(&mut line)?;
    script.wait()?;
    bail!("PostgreSQL does not start: {line}")
}

/// A shell that is not root's: PostgreSQL refuses to run as root.
fn unprivileged_shell() -> anyhow::Result<Command> {
    let id = |args: &[&str]| -> anyhow::Result<Option<String>> {
        let output = Command::new("id").args(args).stderr(Stdio::null()).output().context("id")?;
        Ok(output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned()))
    };
    if id(&["-u"])?.as_deref() != Some("0") {
        return Ok(Command::new("sh"));
    }
    let user = if id(&["-u", "postgres"])?.is_some() { "postgres" } else { "nobody" };
    let group = id(&["-g", user])?.with_context(|| format!("there is no user {user}"))?;
    let mut command = Command::new("setpriv");
    command.args(["--reuid", user, "--regid", &group, "--clear-groups", "--", "sh"]);
    Ok(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_answers_and_the_cluster_goes_away() {
        let cluster = Postgres::start().unwrap();
        let url = cluster.fresh_database().unwrap();
        let query = |url: &str| {
            let output = Command::new(cluster.programs.join("psql"))
                .args([url, "-tAc", "SELECT 'a' < 'B'"])
                .output()
                .unwrap();
            String::from_utf8_lossy(&output.stdout).trim().to_owned()
        };
        assert_eq!(query(&url), "t", "the database has a linguistic collation");
        let port = cluster.port;
        drop(cluster);
        assert!(std::net::TcpStream::connect(("127.0.0.1", port)).is_err());
    }
}
