//! A daemon that speaks libvirt's RPC protocol over a Unix socket and answers from recordings of libvirt 9.0: as many domains as
//! a test wants, that hang, break off, vanish and count as it says.
//!
//! Written apart from the client, from the recorded frames: what the two have in common is what libvirt's wire has.

use std::collections::HashSet;
use std::io::{self, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What a real daemon sent during `virsh domstats --raw`, all messages after each other.
const SESSION: &[u8] = include_bytes!("../fixtures/libvirt/domstats-session.bin");
/// What virsh sent.
pub const CLIENT_SESSION: &[u8] = include_bytes!("../fixtures/libvirt/domstats-session-client.bin");
/// The XML of the same domain, made by Nova 34.
pub const DOMAIN_XML: &str = include_str!("../fixtures/libvirt/nova34-domain.xml");
const RECORDED_NAME: &str = "instance-00000005";
const RECORDED_SERVER: &str = "lab-libvirt-vm";
/// How the id of its port begins, and the name of the device on the host goes on.
const RECORDED_PORT: &str = "4370fddf";
const RECORDED_MAC: &str = "fa:16:3e:4f:b1:3e";
const RECORDED_ID: &str = "02eacd57-1358-4614-b3af-19e93bedf787";

const PROGRAM: u32 = 0x2000_8086;
/// `VIR_ERR_INVALID_ARG` of `VIR_FROM_QEMU`, and so on: what errors are made of.
const QEMU: i32 = 10;
const NO_DOMAIN: i32 = 42;
const INVALID_ARGUMENT: i32 = 8;

/// Calls that a test can say something about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Call {
    /// Opening the connection.
    Open,
    /// Bulk statistics, or those of some domains.
    Stats,
    /// A domain's XML.
    Xml,
    /// Sizes of a block device.
    BlockInfo,
    /// Anything else.
    Other,
}

impl Call {
    fn of(procedure: u32) -> Self {
        match procedure {
            1 => Self::Open,
            14 => Self::Xml,
            194 => Self::BlockInfo,
            344 => Self::Stats,
            _ => Self::Other,
        }
    }
}

/// What the daemon does instead of answering.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing, for ever.
    Hang,
    /// It closes the connection, so many times; then it answers.
    BreakOff(u32),
}

/// A domain.
#[derive(Debug, Clone)]
pub struct FakeDomain {
    /// Its name.
    pub name: String,
    /// Its identity.
    pub uuid: [u8; 16],
    /// The number of its run.
    pub run: i32,
    /// Its XML; empty: it is deleted between statistics and XML.
    pub xml: String,
    /// Allocation, capacity, physical size of each of its disks, in bytes.
    pub block_info: [u64; 3],
    /// Somebody holds its job: without waiting there are parts of its statistics only.
    pub busy: bool,
    /// Count and bytes of its parameters.
    parameters: (u32, Vec<u8>),
}

impl FakeDomain {
    /// The recorded domain.
    ///
    /// # Panics
    /// Where the recording is damaged.
    pub fn recorded() -> Self {
        let mut rest = SESSION;
        let body = loop {
            let (length, message) = rest.split_first_chunk::<4>().expect("the recording ends");
            let (message, next) = message.split_at(u32::from_be_bytes(*length) as usize - 4);
            if word(message, 8) == 344 {
                break &message[24..];
            }
            rest = next;
        };
        // One record: count, name, UUID, number of the run, count of parameters, parameters.
        let name_bytes = word(body, 4) as usize;
        let mut at = 8 + name_bytes.next_multiple_of(4);
        let name = String::from_utf8_lossy(&body[8..8 + name_bytes]).into_owned();
        let uuid = body[at..at + 16].try_into().expect("a UUID");
        at += 16;
        Self {
            name,
            uuid,
            run: word(body, at) as i32,
            xml: DOMAIN_XML.to_owned(),
            block_info: [790_528, 1 << 30, 851_968],
            busy: false,
            parameters: (word(body, at + 4), body[at + 8..].to_vec()),
        }
    }

    /// The recorded domain under another identity, with a name and an interface of its own: the `number`th of many.
    pub fn numbered(number: u32) -> Self {
        let mut domain = Self::recorded();
        domain.name = format!("instance-{number:08x}");
        domain.uuid[12..].copy_from_slice(&number.to_be_bytes());
        let id = format!("{}{number:08x}", &RECORDED_ID[..RECORDED_ID.len() - 8]);
        let [a, b, c, d] = number.to_be_bytes();
        let mac = format!("fa:16:{a:02x}:{b:02x}:{c:02x}:{d:02x}");
        let (port, server) = (format!("{number:08x}"), format!("server-{number}"));
        for (recorded, own) in [
            (RECORDED_ID, &id),
            (RECORDED_NAME, &domain.name),
            (RECORDED_SERVER, &server),
            (RECORDED_PORT, &port),
            (RECORDED_MAC, &mac),
        ] {
            domain.xml = domain.xml.replace(recorded, own);
        }
        // Its statistics call the interface by the port too.
        let bytes = &mut domain.parameters.1;
        let at = bytes.windows(port.len()).position(|part| part == RECORDED_PORT.as_bytes());
        if let Some(at) = at {
            bytes[at..at + port.len()].copy_from_slice(port.as_bytes());
        }
        domain
    }

    /// Sets a whole number among its parameters, which must be there.
    ///
    /// # Panics
    /// Where it is not.
    pub fn set(&mut self, name: &str, value: u64) -> &mut Self {
        let at = self.find(name).expect("no such parameter was recorded");
        let bytes = &mut self.parameters.1;
        match word(bytes, at) {
            1 | 2 => bytes[at + 4..at + 8].copy_from_slice(&(value as u32).to_be_bytes()),
            _ => bytes[at + 4..at + 12].copy_from_slice(&value.to_be_bytes()),
        }
        self
    }

    /// Takes away all parameters whose names begin so.
    pub fn remove(&mut self, prefix: &str) -> &mut Self {
        self.parameters = without(&self.parameters, |name| name.starts_with(prefix));
        self
    }

    /// Where the type of a parameter stands.
    fn find(&self, wanted: &str) -> Option<usize> {
        each(&self.parameters.1).find(|(name, ..)| *name == wanted).map(|(_, type_at, _)| type_at)
    }
}

/// Name, place of the type and end of each parameter.
fn each(bytes: &[u8]) -> impl Iterator<Item = (&str, usize, usize)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        if at >= bytes.len() {
            return None;
        }
        let length = word(bytes, at) as usize;
        let name = std::str::from_utf8(&bytes[at + 4..at + 4 + length]).unwrap_or_default();
        let type_at = at + 4 + length.next_multiple_of(4);
        at = type_at
            + match word(bytes, type_at) {
                1 | 2 | 6 => 8,
                7 => 8 + (word(bytes, type_at + 4) as usize).next_multiple_of(4),
                _ => 12,
            };
        Some((name, type_at, at))
    })
}

fn without(parameters: &(u32, Vec<u8>), drop_it: impl Fn(&str) -> bool) -> (u32, Vec<u8>) {
    let (mut count, mut kept, mut begin) = (0, Vec::new(), 0);
    for (name, _, end) in each(&parameters.1) {
        if !drop_it(name) {
            count += 1;
            kept.extend(&parameters.1[begin..end]);
        }
        begin = end;
    }
    (count, kept)
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

struct State {
    domains: Vec<FakeDomain>,
    faults: Vec<(Call, Fault)>,
    knows_nowait: bool,
    bulk_fails: bool,
    asked: Vec<Call>,
}

/// The daemon. It ends with the value.
pub struct FakeLibvirt {
    directory: tempfile::TempDir,
    state: Arc<Mutex<State>>,
    stopped: Arc<AtomicBool>,
    connections: Arc<AtomicU64>,
}

impl FakeLibvirt {
    /// A daemon that has `domains`.
    pub fn start(domains: Vec<FakeDomain>) -> io::Result<Self> {
        let state =
            State { domains, faults: Vec::new(), knows_nowait: true, bulk_fails: false, asked: Vec::new() };
        let daemon = Self {
            directory: tempfile::tempdir()?,
            state: Arc::new(Mutex::new(state)),
            stopped: Arc::default(),
            connections: Arc::default(),
        };
        let listener = UnixListener::bind(daemon.socket())?;
        let (state, stopped) = (Arc::clone(&daemon.state), Arc::clone(&daemon.stopped));
        let connections = Arc::clone(&daemon.connections);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                connections.fetch_add(1, Ordering::SeqCst);
                let (state, stopped) = (Arc::clone(&state), Arc::clone(&stopped));
                std::thread::spawn(move || serve(stream, &state, &stopped));
            }
        });
        Ok(daemon)
    }

    /// Where it listens.
    pub fn socket(&self) -> PathBuf {
        self.directory.path().join("libvirt-sock-ro")
    }

    /// The URI that leads to it.
    pub fn uri(&self) -> String {
        format!("qemu+unix:///system?socket={}", self.socket().display())
    }

    /// Its domains, to change them.
    pub fn domains(&self) -> impl std::ops::DerefMut<Target = Vec<FakeDomain>> + '_ {
        Domains(lock(&self.state))
    }

    /// From now on `call` fails so, or not any more.
    pub fn fail(&self, call: Call, fault: Option<Fault>) {
        let mut state = lock(&self.state);
        state.faults.retain(|(of, _)| *of != call);
        state.faults.extend(fault.map(|fault| (call, fault)));
    }

    /// Makes it as old as a daemon that does not know the flag for not waiting.
    pub fn forget_nowait(&self) {
        lock(&self.state).knows_nowait = false;
    }

    /// From now on one domain spoils bulk statistics for all.
    pub fn spoil_bulk(&self) {
        lock(&self.state).bulk_fails = true;
    }

    /// What it was asked since the last time this was called.
    pub fn take_asked(&self) -> Vec<Call> {
        std::mem::take(&mut lock(&self.state).asked)
    }

    /// How many connections it has had.
    pub fn connections(&self) -> u64 {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Drop for FakeLibvirt {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        drop(UnixStream::connect(self.socket()));
    }
}

struct Domains<'a>(MutexGuard<'a, State>);

impl std::ops::Deref for Domains<'_> {
    type Target = Vec<FakeDomain>;

    fn deref(&self) -> &Vec<FakeDomain> {
        &self.0.domains
    }
}

impl std::ops::DerefMut for Domains<'_> {
    fn deref_mut(&mut self) -> &mut Vec<FakeDomain> {
        &mut self.0.domains
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Answers one client until it goes, or until it is to be treated badly.
fn serve(mut stream: UnixStream, state: &Mutex<State>, stopped: &AtomicBool) -> Option<()> {
    loop {
        let mut length = [0; 4];
        stream.read_exact(&mut length).ok()?;
        let mut message = vec![0; u32::from_be_bytes(length) as usize - 4];
        stream.read_exact(&mut message).ok()?;
        let (procedure, serial) = (word(&message, 8), word(&message, 16));
        // The lock is let go before anybody hangs.
        let fault = fault(&mut lock(state), Call::of(procedure));
        match fault {
            Some(Fault::BreakOff(_)) => return None,
            Some(Fault::Hang) => {
                while !stopped.load(Ordering::SeqCst) {
                    std::thread::sleep(Duration::from_millis(20));
                }
                return None;
            }
            None => {}
        }
        let (status, body) = match answer(&lock(state), procedure, &message[24..]) {
            Ok(body) => (0, body),
            Err((code, text)) => (1, error_body(code, text)),
        };
        let mut frame = Vec::with_capacity(body.len() + 28);
        for part in [28 + body.len() as u32, PROGRAM, 1, procedure, 1, serial, status] {
            frame.extend(part.to_be_bytes());
        }
        frame.extend(body);
        stream.write_all(&frame).ok()?;
    }
}

/// What becomes of this call, if it is to fail.
fn fault(state: &mut State, call: Call) -> Option<Fault> {
    state.asked.push(call);
    let at = state.faults.iter().position(|(of, _)| *of == call)?;
    let fault = state.faults[at].1;
    match &mut state.faults[at].1 {
        Fault::BreakOff(0) => {
            state.faults.remove(at);
            return None;
        }
        Fault::BreakOff(left) => *left -= 1,
        Fault::Hang => {}
    }
    Some(fault)
}

fn answer(state: &State, procedure: u32, body: &[u8]) -> Result<Vec<u8>, (i32, &'static str)> {
    let mut out = Vec::new();
    match procedure {
        // One way to sign in: none.
        66 => {
            for part in [1_u32, 0] {
                out.extend(part.to_be_bytes());
            }
        }
        1 => {}
        14 => {
            let (domain, _) = asked_domain(state, body)?;
            if domain.xml.is_empty() {
                return Err((NO_DOMAIN, "Domain not found"));
            }
            put_text(&mut out, domain.xml.as_bytes());
        }
        194 => {
            let (domain, _) = asked_domain(state, body)?;
            domain.block_info.iter().for_each(|size| out.extend(size.to_be_bytes()));
        }
        273 => {
            out.extend((state.domains.len() as u32).to_be_bytes());
            state.domains.iter().for_each(|domain| put_domain(&mut out, domain));
            out.extend((state.domains.len() as u32).to_be_bytes());
        }
        344 => out = stats(state, body)?,
        _ => return Err((3, "unknown procedure")),
    }
    Ok(out)
}

fn stats(state: &State, body: &[u8]) -> Result<Vec<u8>, (i32, &'static str)> {
    let nowait = word(body, body.len() - 4) & (1 << 29) != 0;
    if nowait && !state.knows_nowait {
        return Err((INVALID_ARGUMENT, "unsupported flags (0x20000000)"));
    }
    let (mut wanted, mut at) = (HashSet::new(), 4);
    for _ in 0..word(body, 0) {
        let (domain, length) = asked_domain(state, &body[at..])?;
        wanted.insert(domain.uuid);
        at += length;
    }
    if wanted.is_empty() && state.bulk_fails {
        return Err((1, "internal error: one domain has spoilt it"));
    }
    let chosen: Vec<_> =
        state.domains.iter().filter(|domain| wanted.is_empty() || wanted.contains(&domain.uuid)).collect();
    let mut out = (chosen.len() as u32).to_be_bytes().to_vec();
    for domain in chosen {
        put_domain(&mut out, domain);
        let busy = domain.busy && nowait;
        let job = |name: &str| {
            (name.starts_with("balloon.") && !matches!(name, "balloon.current" | "balloon.maximum"))
                || (name.starts_with("block.") && (name.contains(".rd.") || name.contains(".wr.")))
        };
        let cut = busy.then(|| without(&domain.parameters, job));
        let (count, bytes) = cut.as_ref().unwrap_or(&domain.parameters);
        out.extend(count.to_be_bytes());
        out.extend(bytes);
    }
    Ok(out)
}

/// The domain that a request names, and how long the name is.
fn asked_domain<'a>(state: &'a State, body: &[u8]) -> Result<(&'a FakeDomain, usize), (i32, &'static str)> {
    let at = 4 + (word(body, 0) as usize).next_multiple_of(4);
    let uuid = &body[at..at + 16];
    let found = state.domains.iter().find(|domain| domain.uuid == uuid);
    found.map(|domain| (domain, at + 20)).ok_or((NO_DOMAIN, "Domain not found"))
}

fn put_text(out: &mut Vec<u8>, text: &[u8]) {
    out.extend((text.len() as u32).to_be_bytes());
    out.extend(text);
    out.resize(out.len().next_multiple_of(4), 0);
}

fn put_domain(out: &mut Vec<u8>, domain: &FakeDomain) {
    put_text(out, domain.name.as_bytes());
    out.extend(domain.uuid);
    out.extend(domain.run.to_be_bytes());
}

fn error_body(code: i32, text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    for part in [code, QEMU, 1] {
        out.extend(part.to_be_bytes());
    }
    put_text(&mut out, text.as_bytes());
    // Level, no domain, three texts, two numbers, no network.
    for part in [2_u32, 0, 0, 0, 0, 0, 0, 0] {
        out.extend(part.to_be_bytes());
    }
    out
}
