//! A relay on loopback that notes what it is asked and answers as a test tells it.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};
use url::Url;

use crate::tasks::Tasks;

/// A relay.
pub(crate) struct TestRelay {
    address: SocketAddr,
    answer: Arc<Mutex<(u16, Value)>>,
    asked: tokio::sync::Mutex<mpsc::UnboundedReceiver<String>>,
    _tasks: Tasks,
}

impl TestRelay {
    /// A relay that takes everything.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (note, asked) = mpsc::unbounded_channel();
        let answer = Arc::new(Mutex::new((200, json!({}))));
        let (tasks, given) = (Tasks::new(), Arc::clone(&answer));
        let spawner = tasks.clone();
        tasks.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (note, given) = (note.clone(), Arc::clone(&given));
                spawner.spawn(async move { drop(converse(stream, &note, &given).await) });
            }
        });
        Self { address, answer, asked: tokio::sync::Mutex::new(asked), _tasks: tasks }
    }

    pub(crate) fn url(&self) -> Url {
        format!("http://{}/", self.address).parse().unwrap()
    }

    /// What it answers from now on.
    pub(crate) fn answers(&self, status: u16, body: Value) {
        *self.answer.lock().unwrap() = (status, body);
    }

    /// The next request that nobody has looked at: `POST /xrpc/… {body}`. Waits for it.
    pub(crate) async fn next_request(&self) -> String {
        self.asked.lock().await.recv().await.unwrap()
    }

    /// The next request if it has come already.
    pub(crate) async fn request(&self) -> Option<String> {
        self.asked.lock().await.try_recv().ok()
    }
}

async fn converse(
    stream: TcpStream,
    note: &mpsc::UnboundedSender<String>,
    answer: &Mutex<(u16, Value)>,
) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let (mut first, mut length) = (String::new(), 0);
        if stream.read_line(&mut first).await? == 0 {
            return Ok(());
        }
        loop {
            let mut line = String::new();
            stream.read_line(&mut line).await?;
            if line.trim().is_empty() {
                break;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await?;
        let target = first.trim_end().trim_end_matches(" HTTP/1.1");
        drop(note.send(format!("{target} {}", String::from_utf8_lossy(&body)).trim_end().to_owned()));
        let (status, body) = answer.lock().unwrap().clone();
        let body = body.to_string();
        let reply = format!("HTTP/1.1 {status} x\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        stream.get_mut().write_all(reply.as_bytes()).await?;
    }
}
