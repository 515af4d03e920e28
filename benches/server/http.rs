//! A lean HTTP/1.1 client: one connection, one request at a time. It does no more than it must, since it shares two cores
//! with what it measures.

use std::{io, net::SocketAddr};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// Read at once, at most.
const CHUNK: usize = 64 * 1024;

/// What an answer says.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    /// Bytes of the body, kept or not.
    pub size: u64,
    /// The body, if it was asked for or the status is an error.
    pub body: Vec<u8>,
}

/// Whether a body is kept or only counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    Keep,
    Count,
}

/// A kept-alive connection.
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

impl Connection {
    pub async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: vec![0; CHUNK], start: 0, end: 0 })
    }

    /// Sends a whole request and reads its answer.
    pub async fn call(&mut self, request: &[u8], body: Body) -> io::Result<Answer> {
        self.stream.write_all(request).await?;
        let (status, length) = self.head().await?;
        let mut answer = Answer { status, size: 0, body: Vec::new() };
        let keep = body == Body::Keep || status >= 400;
        match length {
            Some(length) => self.take(length, keep, &mut answer).await?,
            None => loop {
                let size = self.chunk_size().await?;
                self.take(size, keep, &mut answer).await?;
                self.line().await?;
                if size == 0 {
                    break;
                }
            },
        }
        Ok(answer)
    }

    /// Status and content length; none is chunked.
    async fn head(&mut self) -> io::Result<(u16, Option<u64>)> {
        let head_end = loop {
            let held = &self.buffer[self.start..self.end];
            if let Some(at) = held.windows(4).position(|window| window == b"\r\n\r\n") {
                break self.start + at + 4;
            }
            self.fill().await?;
        };
        let head = &self.buffer[self.start..head_end];
        let status = head.get(9..12).and_then(|code| std::str::from_utf8(code).ok()?.parse().ok());
        let status = status.ok_or_else(|| io::Error::other("no status line"))?;
        let length = head.split(|byte| *byte == b'\n').find_map(|line| {
            let colon = line.iter().position(|byte| *byte == b':')?;
            line[..colon]
                .eq_ignore_ascii_case(b"content-length")
                .then(|| std::str::from_utf8(&line[colon + 1..]).ok()?.trim().parse().ok())?
        });
        self.start = head_end;
        Ok((status, length))
    }

    async fn line(&mut self) -> io::Result<Vec<u8>> {
        loop {
            let held = &self.buffer[self.start..self.end];
            if let Some(at) = held.iter().position(|byte| *byte == b'\n') {
                let line = held[..at].to_vec();
                self.start += at + 1;
                return Ok(line);
            }
            self.fill().await?;
        }
    }

    async fn chunk_size(&mut self) -> io::Result<u64> {
        let line = self.line().await?;
        let text = std::str::from_utf8(&line).unwrap_or("").trim();
        u64::from_str_radix(text, 16).map_err(|_| io::Error::other("no chunk size"))
    }

    async fn take(&mut self, mut left: u64, keep: bool, answer: &mut Answer) -> io::Result<()> {
        answer.size += left;
        while left > 0 {
            if self.start == self.end {
                self.fill().await?;
            }
            let now = usize::try_from(left).unwrap_or(usize::MAX).min(self.end - self.start);
            if keep {
                answer.body.extend_from_slice(&self.buffer[self.start..self.start + now]);
            }
            self.start += now;
            left -= now as u64;
        }
        Ok(())
    }

    async fn fill(&mut self) -> io::Result<()> {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if self.end == self.buffer.len() {
            return Err(io::Error::other("the head of an answer is too long"));
        }
        let read = self.stream.read(&mut self.buffer[self.end..]).await?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.end += read;
        Ok(())
    }
}

/// A GET, ready to send.
pub fn get(host: &str, path: &str, token: Option<&str>) -> Vec<u8> {
    request("GET", host, path, token, None)
}

/// A POST of JSON, ready to send.
pub fn post(host: &str, path: &str, token: Option<&str>, body: &serde_json::Value) -> Vec<u8> {
    request("POST", host, path, token, Some(("application/json", body.to_string().as_bytes())))
}

/// Any request, ready to send.
pub fn request(method: &str, host: &str, path: &str, token: Option<&str>, body: Option<(&str, &[u8])>) -> Vec<u8> {
    let mut text = format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\n");
    if let Some(token) = token {
        text.push_str(&format!("authorization: Bearer {token}\r\n"));
    }
    if let Some((kind, bytes)) = body {
        text.push_str(&format!("content-type: {kind}\r\ncontent-length: {}\r\n", bytes.len()));
    } else if method == "POST" {
        text.push_str("content-length: 0\r\n");
    }
    text.push_str("\r\n");
    let mut bytes = text.into_bytes();
    if let Some((_, body)) = body {
        bytes.extend_from_slice(body);
    }
    bytes
}
