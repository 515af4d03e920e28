//! A WebSocket that is only listened to: text messages of a server that the user named, plain or over TLS.

use std::{sync::Arc, time::Duration};

use futures_util::{SinkExt, StreamExt};
use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsConnector;
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{Message, protocol::WebSocketConfig},
};
use url::Url;

use super::{FetchError, OutboundOptions, tls};
use crate::limits::outbound::CONNECT_TIMEOUT;

/// Bytes in both directions.
trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

/// Text messages as they come.
pub struct Messages {
    socket: WebSocketStream<Box<dyn Wire>>,
    silence: Duration,
}

impl Messages {
    /// Connects to an `http`, `https`, `ws` or `wss` URL. A message may have at most `message_bytes`; a server that says
    /// nothing for `silence` is asked for a sign of life, and given up after as long again.
    ///
    /// # Errors
    /// [`FetchError`].
    pub async fn open(
        url: &Url,
        options: &OutboundOptions,
        message_bytes: usize,
        silence: Duration,
    ) -> Result<Self, FetchError> {
        let connecting = connect(url, options, message_bytes);
        let socket =
            timeout(CONNECT_TIMEOUT, connecting).await.unwrap_or(Err(FetchError::TimedOut(CONNECT_TIMEOUT)))?;
        Ok(Self { socket, silence })
    }

    /// The next text message; none when the server closes.
    ///
    /// # Errors
    /// [`FetchError`] when the connection broke, or the server gave no sign of life.
    pub async fn next(&mut self) -> Result<Option<String>, FetchError> {
        let broken = |cause: tokio_tungstenite::tungstenite::Error| FetchError::Broken(cause.to_string());
        let mut asked = false;
        loop {
            match timeout(self.silence, self.socket.next()).await {
                Ok(Some(Ok(Message::Text(text)))) => return Ok(Some(text.as_str().to_owned())),
                Ok(Some(Ok(Message::Close(_))) | None) => return Ok(None),
                Ok(Some(Ok(Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_)))) => {
                    asked = false;
                }
                Ok(Some(Err(cause))) => return Err(broken(cause)),
                Err(_) if asked => return Err(FetchError::TimedOut(self.silence)),
                Err(_) => {
                    asked = true;
                    self.socket.send(Message::Ping(bytes::Bytes::new())).await.map_err(broken)?;
                }
            }
        }
    }
}

async fn connect(
    url: &Url,
    options: &OutboundOptions,
    message_bytes: usize,
) -> Result<WebSocketStream<Box<dyn Wire>>, FetchError> {
    let setup = |why: &str| FetchError::Setup(format!("{url}: {why}"));
    let is_tls = match url.scheme() {
        "http" | "ws" => false,
        "https" | "wss" => true,
        _ => return Err(setup("it is no address of a web server")),
    };
    let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
        return Err(setup("it names no host"));
    };
    let bare = host.trim_matches(['[', ']']).to_owned();
    let connect = |cause: std::io::Error| FetchError::Connect(cause.to_string());
    let tcp = TcpStream::connect((bare.as_str(), port)).await.map_err(connect)?;
    let wire: Box<dyn Wire> = if is_tls {
        let config = tls::client_config(options.extra_ca_pem.as_deref()).map_err(FetchError::Setup)?;
        let name = ServerName::try_from(bare).map_err(|cause| setup(&cause.to_string()))?;
        Box::new(TlsConnector::from(Arc::new(config)).connect(name, tcp).await.map_err(connect)?)
    } else {
        Box::new(tcp)
    };
    // A handshake speaks of ws whatever the address says.
    let target = url.as_str().replacen("http", "ws", usize::from(url.scheme().starts_with("http")));
    let bounds = WebSocketConfig::default().max_message_size(Some(message_bytes)).max_frame_size(Some(message_bytes));
    let (socket, _) = client_async_with_config(target, wire, Some(bounds))
        .await
        .map_err(|cause| FetchError::Broken(cause.to_string()))?;
    Ok(socket)
}
