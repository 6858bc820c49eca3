//! A real RabbitMQ for tests: a node of its own on free ports with its own data, that can be killed and started again.
//!
//! The node runs under a small shell script that ends it and removes its files when its standard input closes; the other end
//! belongs to the test process, so that even a killed test leaves nothing running.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use anyhow::{Context, bail};

const PROGRAM: &str = "/usr/lib/rabbitmq/bin/rabbitmq-server";

/// `$1` is the server's program, `$2` its port, `$3` the port of the nodes among each other, `$4` the port of their names.
/// Reads `start` and `kill` from its standard input and answers each with a line. The proofs in Python run it, too.
const SCRIPT: &str = include_str!("../../../conformance/messaging/node.sh");

/// How a node speaks TLS; it speaks it alone then.
#[derive(Default)]
pub struct RabbitmqTls {
    /// The server's certificate (PEM).
    pub certificate: String,
    /// Its key (PEM).
    pub key: String,
    /// The authority (PEM) whose certificates clients must show.
    pub client_authority: String,
}

/// A node of RabbitMQ, which takes `guest` with password `guest` from loopback.
pub struct Rabbitmq {
    port: u16,
    script: Child,
    wires: Mutex<Wires>,
}

struct Wires {
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Rabbitmq {
    /// The node of this test process, started at the first call. Fails where RabbitMQ is not installed. Nobody may kill it.
    pub fn shared() -> anyhow::Result<&'static Self> {
        static NODE: OnceLock<Result<Rabbitmq, String>> = OnceLock::new();
        let started = NODE.get_or_init(|| Self::start_own().map_err(|error| format!("{error:#}")));
        started.as_ref().map_err(|error| anyhow::anyhow!("{error}"))
    }

    /// Starts a node of one's own.
    pub fn start_own() -> anyhow::Result<Self> {
        Self::start_with(&RabbitmqTls::default())
    }

    /// Starts a node of one's own that speaks TLS, unless the certificate is empty.
    pub fn start_with(tls: &RabbitmqTls) -> anyhow::Result<Self> {
        if !std::path::Path::new(PROGRAM).exists() {
            bail!("RabbitMQ is needed for this test: apt-get install rabbitmq-server (it need not run)");
        }
        let ports = [free_port()?, free_port()?, free_port()?];
        let mut command = Command::new("sh");
        command.args(["-c", SCRIPT, "rabbitmq-for-tests", PROGRAM]);
        command.args(ports.map(|port| port.to_string()));
        command.env("SERVER_CERTIFICATE", &tls.certificate).env("SERVER_KEY", &tls.key);
        command.env("CLIENT_AUTHORITY", &tls.client_authority).env("EXTRA", listeners(tls, ports[0]));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut script = command.spawn().context("cannot start a shell")?;
        let answers = BufReader::new(script.stdout.take().context("the shell has no output")?);
        let wires = Wires { orders: script.stdin.take(), answers };
        let node = Self { port: ports[0], script, wires: Mutex::new(wires) };
        node.start()?;
        Ok(node)
    }

    /// Its port on 127.0.0.1.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// How oslo.messaging names it.
    pub fn transport_url(&self) -> String {
        format!("rabbit://guest:guest@127.0.0.1:{}/", self.port)
    }

    /// Kills the node as a power failure would. What it has confirmed as persistent is still there after [`Self::start`].
    pub fn kill(&self) -> anyhow::Result<()> {
        self.order("kill").map(drop)
    }

    /// Starts the node again with the data that it had; returns when it takes connections.
    pub fn start(&self) -> anyhow::Result<()> {
        self.order("start")?;
        for _ in 0..600 {
            if self.greets() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        bail!("RabbitMQ does not start: {}", self.order("log")?)
    }

    /// Whether it takes connections and understands AMQP: what it does not know it answers with its own protocol's name.
    fn greets(&self) -> bool {
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)) else { return false };
        let asked = stream
            .set_read_timeout(Some(Duration::from_secs(5)))
            .and_then(|()| stream.write_all(b"AMQP\x00\x00\x09\x02"));
        asked.is_ok() && std::io::Read::read(&mut stream, &mut [0; 8]).is_ok_and(|read| read > 0)
    }

    /// What the script says to an order.
    fn order(&self, order: &str) -> anyhow::Result<String> {
        let mut wires = self.wires.lock().unwrap_or_else(PoisonError::into_inner);
        writeln!(wires.orders.as_mut().context("the node is gone")?, "{order}")?;
        let mut said = String::new();
        loop {
            let mut line = String::new();
            if wires.answers.read_line(&mut line)? == 0 {
                bail!("the script that keeps RabbitMQ has ended: {said}");
            }
            if line.trim() == "done" {
                return Ok(said);
            }
            said.push_str(&line);
        }
    }
}

impl Drop for Rabbitmq {
    fn drop(&mut self) {
        drop(self.wires.lock().unwrap_or_else(PoisonError::into_inner).orders.take());
        // The script ends by itself; there is nobody left to tell if it does so badly.
        drop(self.script.wait());
    }
}

/// Lines of the configuration for TLS.
fn listeners(tls: &RabbitmqTls, port: u16) -> String {
    if tls.certificate.is_empty() {
        return String::new();
    }
    format!(
        "listeners.tcp = none\nlisteners.ssl.1 = 127.0.0.1:{port}\nssl_options.certfile = @base@/server.pem\n\
         ssl_options.keyfile = @base@/server.key\nssl_options.cacertfile = @base@/authority.pem\n\
         ssl_options.verify = verify_peer\nssl_options.fail_if_no_peer_cert = true"
    )
}

fn free_port() -> anyhow::Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("no free port")?;
    Ok(listener.local_addr()?.port())
}
