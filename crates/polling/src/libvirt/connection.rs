//! One connection to a daemon: opened, asked, read within time limits. Whatever goes wrong beyond a refused call ends it.

use std::collections::VecDeque;
use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::LibvirtError;
use super::protocol::{self, BODY, MAX_FRAME_BYTES, MIN_FRAME_BYTES, Reply, Request};

/// Requests that wait for their answers at a time; a daemon works on five of a client's at most.
const WINDOW: usize = 5;
/// Read at a time: several answers.
const READ_BYTES: usize = 64 << 10;
const AUTH_NONE: u32 = 0;
const AUTH_POLKIT: u32 = 2;

pub(super) struct Connection {
    stream: BufReader<UnixStream>,
    serial: u32,
    limit: Duration,
    message: Vec<u8>,
}

impl Connection {
    /// Connects to `socket`, signs in and opens `uri`. No single step may take longer than `limit`.
    pub(super) async fn open(socket: &Path, uri: &str, limit: Duration) -> Result<Self, LibvirtError> {
        let failed = |reason: String, is_absent: bool| LibvirtError::Connect {
            address: socket.display().to_string(),
            reason,
            is_absent,
        };
        let connecting = timeout(limit, UnixStream::connect(socket)).await;
        let stream = connecting
            .map_err(|_| failed("it does not take connections".to_owned(), false))?
            .map_err(|error| failed(error.to_string(), error.kind() == std::io::ErrorKind::NotFound))?;
        let stream = BufReader::with_capacity(READ_BYTES, stream);
        let mut connection = Self { stream, serial: 0, limit, message: Vec::new() };
        let methods = protocol::read_auth_methods(connection.call(&Request::auth_list()).await?)?;
        if !methods.is_empty() && !methods.contains(&AUTH_NONE) {
            if !methods.contains(&AUTH_POLKIT) {
                return Err(LibvirtError::SignIn);
            }
            connection.call(&Request::auth_polkit()).await?;
        }
        connection.call(&Request::open(uri)).await?;
        Ok(connection)
    }

    /// The body of the answer to one request.
    pub(super) async fn call(&mut self, request: &Request) -> Result<&[u8], LibvirtError> {
        let serial = self.send(request).await?;
        loop {
            match self.receive(request.call).await? {
                Reply::Answer { serial: of } if of == serial => return Ok(&self.message[BODY..]),
                Reply::Error { serial: of, error } if of == serial => return Err(error),
                _ => {}
            }
        }
    }

    /// The answers to many requests, in any order: `take` gets each with the number of its request. It ends early where the
    /// connection ends, or where no answer comes within the limit; what is then unanswered never will be.
    pub(super) async fn call_each(
        &mut self,
        requests: &[Request],
        mut take: impl FnMut(usize, Result<&[u8], LibvirtError>),
    ) -> Result<(), LibvirtError> {
        let mut waiting: VecDeque<(u32, usize)> = VecDeque::with_capacity(WINDOW);
        let mut next = 0;
        loop {
            while waiting.len() < WINDOW && next < requests.len() {
                waiting.push_back((self.send(&requests[next]).await?, next));
                next += 1;
            }
            let Some(&(_, first)) = waiting.front() else { return Ok(()) };
            let (serial, error) = match self.receive(requests[first].call).await? {
                Reply::Answer { serial } => (serial, None),
                Reply::Error { serial, error } => (serial, Some(error)),
                Reply::Other => continue,
            };
            let Some(at) = waiting.iter().position(|(of, _)| *of == serial) else { continue };
            let (_, request) = waiting.remove(at).unwrap_or_default();
            take(request, error.map_or(Ok(&self.message[BODY..]), Err));
        }
    }

    async fn send(&mut self, request: &Request) -> Result<u32, LibvirtError> {
        let serial = self.serial;
        self.serial = self.serial.wrapping_add(1);
        let frame = request.frame(serial);
        match timeout(self.limit, self.stream.get_mut().write_all(&frame)).await {
            Ok(Ok(())) => Ok(serial),
            Ok(Err(error)) => Err(LibvirtError::Lost(error.to_string())),
            Err(_) => Err(self.timed_out(request.call)),
        }
    }

    /// Reads the next message, which is then in `self.message` without its length word.
    async fn receive(&mut self, call: &'static str) -> Result<Reply, LibvirtError> {
        let limit = self.limit;
        match timeout(limit, self.read_message()).await {
            Ok(read) => read?,
            Err(_) => return Err(self.timed_out(call)),
        }
        protocol::read_reply(&self.message)
    }

    async fn read_message(&mut self) -> Result<(), LibvirtError> {
        let lost = |error: std::io::Error| LibvirtError::Lost(error.to_string());
        let length = self.stream.read_u32().await.map_err(lost)? as usize;
        if !(MIN_FRAME_BYTES..=MAX_FRAME_BYTES + 4).contains(&length) {
            return Err(LibvirtError::Protocol(format!("a message of {length} bytes")));
        }
        let wanted = (length - 4) as u64;
        // Pages are taken when they are written: memory grows with what arrives, not with what is announced.
        self.message.clear();
        self.message.reserve_exact(length - 4);
        let read = (&mut self.stream).take(wanted).read_to_end(&mut self.message).await.map_err(lost)?;
        if (read as u64) < wanted {
            return Err(LibvirtError::Lost("it ended within a message".to_owned()));
        }
        Ok(())
    }

    fn timed_out(&self, call: &'static str) -> LibvirtError {
        LibvirtError::TimedOut { call, seconds: self.limit.as_secs() }
    }

    /// Gives back the memory that a large answer took.
    pub(super) fn shrink(&mut self) {
        self.message = Vec::new();
    }
}
