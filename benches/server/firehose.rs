//! Subscribers of the event stream that only note when each frame came.

use super::target::Target;
use std::{cell::RefCell, io, rc::Rc, time::Instant};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// Read at once. Small, since there are a thousand of them.
const BUFFER: usize = 16 * 1024;

/// One subscriber.
pub struct Subscriber {
    stream: TcpStream,
    buffer: Vec<u8>,
    held: usize,
    /// Bytes of the current message that are still to come.
    skip: usize,
}

impl Subscriber {
    /// Connects; without a cursor only what happens from now on comes.
    pub async fn open(target: &Target, cursor: Option<u64>) -> io::Result<Self> {
        let mut stream = TcpStream::connect(target.address).await?;
        let query = cursor.map(|cursor| format!("?cursor={cursor}")).unwrap_or_default();
        let request = format!(
            "GET /xrpc/com.atproto.sync.subscribeRepos{query} HTTP/1.1\r\nhost: {}\r\nconnection: Upgrade\r\n\
             upgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
            target.host
        );
        stream.write_all(request.as_bytes()).await?;
        let mut buffer = vec![0; BUFFER];
        let mut held = 0;
        let head = loop {
            let read = stream.read(&mut buffer[held..]).await?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            held += read;
            if let Some(at) = buffer[..held].windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
        };
        if !buffer.starts_with(b"HTTP/1.1 101") {
            return Err(io::Error::other(String::from_utf8_lossy(&buffer[..head]).into_owned()));
        }
        buffer.copy_within(head..held, 0);
        Ok(Self { stream, buffer, held: held - head, skip: 0 })
    }

    /// Waits until `count` messages have come and tells when each was complete.
    pub async fn receive(&mut self, count: usize) -> io::Result<Vec<Instant>> {
        let mut times = Vec::with_capacity(count);
        while times.len() < count {
            let messages = self.parse()?;
            if messages > 0 {
                let now = Instant::now();
                times.extend(std::iter::repeat_n(now, messages.min(count - times.len())));
                continue;
            }
            let read = self.stream.read(&mut self.buffer[self.held..]).await?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.held += read;
        }
        Ok(times)
    }

    /// Takes whole messages from the buffer; tells how many ended in it.
    fn parse(&mut self) -> io::Result<usize> {
        let mut at = 0;
        let mut ended = 0;
        while at < self.held {
            if self.skip > 0 {
                let now = self.skip.min(self.held - at);
                self.skip -= now;
                at += now;
                ended += usize::from(self.skip == 0);
                continue;
            }
            let rest = &self.buffer[at..self.held];
            let Some((opcode, header, length)) = frame_head(rest) else { break };
            match opcode {
                // Binary, whole: the server does not fragment.
                0x82 => {
                    at += header;
                    self.skip = length;
                }
                // Ping: small, and there is no time-out within a measurement.
                0x89 if rest.len() >= header + length => at += header + length,
                0x89 => break,
                _ => return Err(io::Error::other(format!("the server closed the stream ({opcode:#x})"))),
            }
        }
        self.buffer.copy_within(at..self.held, 0);
        self.held -= at;
        Ok(ended)
    }
}

/// First byte, size of the head, size of the payload.
fn frame_head(bytes: &[u8]) -> Option<(u8, usize, usize)> {
    let first = *bytes.first()?;
    match *bytes.get(1)? & 0x7f {
        126 => Some((first, 4, usize::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?)))),
        127 => Some((first, 10, usize::try_from(u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?)).ok()?)),
        length => Some((first, 2, usize::from(length))),
    }
}

/// When each subscriber got each message.
pub type Arrivals = Rc<RefCell<Vec<Result<Vec<Instant>, String>>>>;
