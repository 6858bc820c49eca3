//! Messages: what is asked and how answers are read. Frame = length word, header of six words, XDR body.

use uuid::Uuid;

use super::LibvirtError;
use super::xdr::{XdrReader, XdrWriter};

const PROGRAM: u32 = 0x2000_8086;
const VERSION: u32 = 1;
const HEADER_BYTES: usize = 24;
/// Length word and header.
pub(super) const MIN_FRAME_BYTES: usize = 4 + HEADER_BYTES;
/// The longest message that libvirt itself sends or takes.
pub(super) const MAX_FRAME_BYTES: usize = 32 << 20;

/// Domains whose job is held by somebody else tell at once what needs no job, instead of making everybody wait.
pub(super) const STATS_NOWAIT: u32 = 1 << 29;
/// State, CPU, balloon, vCPUs, interfaces, block devices, performance events.
pub(super) const STATS_WANTED: u32 = 0b111_1111;
const CONNECT_READ_ONLY: u32 = 1;

/// Names a domain towards the daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DomainRef {
    /// The domain's name, `instance-00000005`.
    pub name: String,
    /// The domain's identity; Nova's instance id.
    pub uuid: Uuid,
    /// The number of this run of it; -1 where it does not run.
    pub run: i32,
}

/// Sizes of a block device's image, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockInfo {
    /// As the guest sees it.
    pub capacity: u64,
    /// What of it takes room on the host.
    pub allocation: u64,
    /// How large its container on the host is.
    pub physical: u64,
}

/// A question that has not been numbered yet.
pub(super) struct Request {
    pub(super) call: &'static str,
    procedure: u32,
    body: Vec<u8>,
}

impl Request {
    fn new(call: &'static str, procedure: u32, body: Vec<u8>) -> Self {
        Self { call, procedure, body }
    }

    pub(super) fn auth_list() -> Self {
        Self::new("sign-in methods", 66, Vec::new())
    }

    pub(super) fn auth_polkit() -> Self {
        Self::new("sign-in by polkit", 70, Vec::new())
    }

    pub(super) fn open(uri: &str) -> Self {
        let body = XdrWriter::default().u32(1).text(uri).u32(CONNECT_READ_ONLY).finish();
        Self::new("open", 1, body)
    }

    /// Statistics of `domains`, or of all where there are none.
    pub(super) fn domain_stats(domains: &[&DomainRef], flags: u32) -> Self {
        let mut body = XdrWriter::default();
        body.u32(domains.len() as u32);
        for domain in domains {
            write_domain(&mut body, domain);
        }
        body.u32(STATS_WANTED).u32(flags);
        Self::new("statistics of domains", 344, body.finish())
    }

    pub(super) fn list_domains() -> Self {
        Self::new("list of domains", 273, XdrWriter::default().u32(1).u32(0).finish())
    }

    pub(super) fn domain_xml(domain: &DomainRef) -> Self {
        let mut body = XdrWriter::default();
        write_domain(&mut body, domain);
        Self::new("a domain's XML", 14, body.u32(0).finish())
    }

    pub(super) fn block_info(domain: &DomainRef, device: &str) -> Self {
        let mut body = XdrWriter::default();
        write_domain(&mut body, domain);
        Self::new("sizes of a block device", 194, body.text(device).u32(0).finish())
    }

    /// The message on the wire.
    pub(super) fn frame(&self, serial: u32) -> Vec<u8> {
        let mut header = XdrWriter::default();
        header.u32((MIN_FRAME_BYTES + self.body.len()) as u32);
        header.u32(PROGRAM).u32(VERSION).u32(self.procedure).u32(0).u32(serial).u32(0);
        let mut frame = header.finish();
        frame.extend(&self.body);
        frame
    }
}

fn write_domain(out: &mut XdrWriter, domain: &DomainRef) {
    out.text(&domain.name).fixed(domain.uuid.as_bytes()).i32(domain.run);
}

/// A message without its length word.
pub(super) enum Reply {
    /// The answer to the request of this number; the body begins at [`BODY`] of the message.
    Answer { serial: u32 },
    /// That request failed.
    Error { serial: u32, error: LibvirtError },
    /// Something that nobody asked for.
    Other,
}

/// Where bodies begin in a message without its length word.
pub(super) const BODY: usize = HEADER_BYTES;

/// Reads the header of a message, and the whole of it where it is an error.
pub(super) fn read_reply(message: &[u8]) -> Result<Reply, LibvirtError> {
    let mut reader = XdrReader::new(message);
    let (program, version) = (reader.u32()?, reader.u32()?);
    let (_procedure, kind) = (reader.u32()?, reader.u32()?);
    let (serial, status) = (reader.u32()?, reader.u32()?);
    match (program, kind) {
        (PROGRAM, 1) if version == VERSION => Ok(match status {
            0 => Reply::Answer { serial },
            _ => Reply::Error { serial, error: read_error(&mut reader)? },
        }),
        _ => Ok(Reply::Other),
    }
}

fn read_error(reader: &mut XdrReader<'_>) -> Result<LibvirtError, LibvirtError> {
    let (code, part) = (reader.i32()?, reader.i32()?);
    let message = reader.optional_text()?.unwrap_or("no reason given").to_owned();
    Ok(LibvirtError::Refused { code, part, message })
}

/// A domain within an answer.
pub(super) fn read_domain(reader: &mut XdrReader<'_>) -> Result<DomainRef, LibvirtError> {
    let name = reader.text()?.to_owned();
    let uuid = Uuid::from_bytes(reader.bytes()?);
    Ok(DomainRef { name, uuid, run: reader.i32()? })
}

/// The answer to [`Request::list_domains`].
pub(super) fn read_domains(body: &[u8]) -> Result<Vec<DomainRef>, LibvirtError> {
    let mut reader = XdrReader::new(body);
    let count = reader.u32()?;
    let mut domains = Vec::new();
    for _ in 0..count {
        domains.push(read_domain(&mut reader)?);
    }
    Ok(domains)
}

/// The answer to [`Request::auth_list`].
pub(super) fn read_auth_methods(body: &[u8]) -> Result<Vec<u32>, LibvirtError> {
    let mut reader = XdrReader::new(body);
    let count = reader.u32()?;
    let mut methods = Vec::new();
    for _ in 0..count {
        methods.push(reader.u32()?);
    }
    Ok(methods)
}

/// The answer to [`Request::domain_xml`].
pub(super) fn read_text(body: &[u8]) -> Result<&str, LibvirtError> {
    Ok(XdrReader::new(body).text()?)
}

/// The answer to [`Request::block_info`].
pub(super) fn read_block_info(body: &[u8]) -> Result<BlockInfo, LibvirtError> {
    let mut reader = XdrReader::new(body);
    let (allocation, capacity, physical) = (reader.u64()?, reader.u64()?, reader.u64()?);
    Ok(BlockInfo { capacity, allocation, physical })
}
