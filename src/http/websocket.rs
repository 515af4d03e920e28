//! The WebSocket side: the handshake, and the loop that sends what a stream yields. Spec: RFC 6455.

use crate::{limits::http as limits, xrpc::StreamItem};
use futures_util::{FutureExt, SinkExt, StreamExt, stream::BoxStream};
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use std::time::Duration;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::{Instant, MissedTickBehavior, interval_at, timeout},
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Message,
        handshake::derive_accept_key,
        protocol::{CloseFrame, Role, WebSocketConfig, frame::coding::CloseCode},
    },
};
use tokio_util::sync::CancellationToken;

/// Whether the client asks for a WebSocket at all.
pub(super) fn is_wanted(headers: &HeaderMap) -> bool {
    has_token(headers, &header::CONNECTION, "upgrade") && has_token(headers, &header::UPGRADE, "websocket")
}

fn has_token(headers: &HeaderMap, name: &http::HeaderName, token: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|value| value.split(',').any(|part| part.trim().eq_ignore_ascii_case(token)))
}

/// Why a handshake is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// No upgrade, or another version of the protocol: 426.
    Version,
    /// No key, or no good one: 400.
    Key,
}

/// The headers of the answer that completes a handshake.
pub(super) fn accept(request: &HeaderMap) -> Result<HeaderMap, Refused> {
    if !is_wanted(request) || request.get(header::SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
        return Err(Refused::Version);
    }
    let key = request.get(header::SEC_WEBSOCKET_KEY).ok_or(Refused::Key)?.as_bytes();
    if data_encoding::BASE64.decode(key).map_or(0, |key| key.len()) != 16 {
        return Err(Refused::Key);
    }
    let proof = HeaderValue::try_from(derive_accept_key(key)).map_err(|_| Refused::Key)?;
    Ok(HeaderMap::from_iter([
        (header::CONNECTION, HeaderValue::from_static("Upgrade")),
        (header::UPGRADE, HeaderValue::from_static("websocket")),
        (header::SEC_WEBSOCKET_ACCEPT, proof),
    ]))
}

/// Makes `response` the one that tells a client what it should have asked for.
pub(super) fn demand<B>(response: &mut Response<B>) {
    *response.status_mut() = StatusCode::UPGRADE_REQUIRED;
    let headers = response.headers_mut();
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
}

/// Why a socket ends.
enum End {
    /// We close it.
    Close(Farewell),
    /// The peer closed it: the handshake is to be finished.
    Closed,
    /// Nothing can be sent any more.
    Gone,
}

/// Sends what `items` yields until it ends, the peer goes, or the server stops. What the client sends is ignored.
pub(super) async fn run<S>(io: S, mut items: BoxStream<'static, StreamItem>, stop: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut socket = WebSocketStream::from_raw_socket(io, Role::Server, Some(config())).await;
    let end = pump(&mut socket, &mut items, &stop).await;
    // The subscription's memory is not needed for the farewell.
    drop(items);
    let farewell = async {
        match end {
            End::Gone => {}
            End::Close(Farewell { code, reason }) => {
                let frame = CloseFrame { code, reason: reason.into() };
                if socket.close(Some(frame)).await.is_ok() {
                    while let Some(Ok(_)) = socket.next().await {}
                }
            }
            End::Closed => while let Some(Ok(_)) = socket.next().await {},
        }
    };
    drop(timeout(limits::SOCKET_CLOSE, farewell).await);
}

async fn pump<S>(
    socket: &mut WebSocketStream<S>,
    items: &mut BoxStream<'static, StreamItem>,
    stop: &CancellationToken,
) -> End
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut ping = interval_at(Instant::now() + limits::SOCKET_PING, limits::SOCKET_PING);
    ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut heard: u32 = 1;
    loop {
        let sent = tokio::select! {
            () = stop.cancelled() => return End::Close(CloseCode::Away.into()),
            message = socket.next() => {
                heard = heard.saturating_add(1);
                match message {
                    Some(Ok(Message::Close(_))) => return End::Closed,
                    Some(Ok(_)) if heard > limits::SOCKET_CLIENT_MESSAGES => return End::Close(CloseCode::Policy.into()),
                    Some(Ok(_)) => continue,
                    Some(Err(cause)) => return after_error(&cause),
                    None => return End::Gone,
                }
            }
            _ = ping.tick() => {
                if std::mem::take(&mut heard) == 0 {
                    return End::Gone;
                }
                until_stop(stop, send(socket, items, Message::Ping(bytes::Bytes::new()))).await
            }
            item = items.next() => match item.map_or(Next::Close(CloseCode::Normal.into()), message) {
                Next::Send(message) => until_stop(stop, send(socket, items, message)).await,
                Next::Close(farewell) => return End::Close(farewell),
            },
        };
        match sent {
            Some(None) => {}
            Some(Some(farewell)) => return End::Close(farewell),
            None => return End::Gone,
        }
    }
}

/// What a peer that breaks the protocol is told.
fn after_error(cause: &tokio_tungstenite::tungstenite::Error) -> End {
    use tokio_tungstenite::tungstenite::Error;
    match cause {
        Error::Capacity(_) => End::Close(CloseCode::Size.into()),
        Error::Protocol(_) | Error::Utf8(_) => End::Close(CloseCode::Protocol.into()),
        Error::ConnectionClosed
        | Error::AlreadyClosed
        | Error::Io(_)
        | Error::Tls(_)
        | Error::WriteBufferFull(_)
        | Error::AttackAttempt
        | Error::Url(_)
        | Error::Http(_)
        | Error::HttpFormat(_) => End::Gone,
    }
}

enum Next {
    Send(Message),
    Close(Farewell),
}

/// What the peer is told at the end.
#[derive(Clone, Copy)]
struct Farewell {
    code: CloseCode,
    reason: &'static str,
}

impl From<CloseCode> for Farewell {
    fn from(code: CloseCode) -> Self {
        Self { code, reason: "" }
    }
}

fn message(item: StreamItem) -> Next {
    match item {
        StreamItem::Frame(bytes) => Next::Send(Message::Binary(bytes)),
        StreamItem::Text(text) => Next::Send(Message::Text(text.into())),
        StreamItem::Close(code) => Next::Close(CloseCode::from(code).into()),
        StreamItem::CloseFor(code, reason) => Next::Close(Farewell { code: code.into(), reason }),
    }
}

/// Cuts a send short when the server stops: half a message cannot be followed by a farewell.
async fn until_stop<T>(stop: &CancellationToken, send: impl Future<Output = Option<T>>) -> Option<T> {
    tokio::select! {
        biased;
        sent = send => sent,
        () = async { stop.cancelled().await; tokio::time::sleep(STOP_GRACE).await } => None,
    }
}

/// A message on its way may still arrive.
const STOP_GRACE: Duration = Duration::from_secs(1);

/// Sends a message and whatever else is ready, in one write where it fits. The socket beneath cuts a peer that takes
/// nothing. `None`: gone. `Some(Some(code))`: the stream asks to close.
async fn send<S>(
    socket: &mut WebSocketStream<S>,
    items: &mut BoxStream<'static, StreamItem>,
    first: Message,
) -> Option<Option<Farewell>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut gathered = first.len();
    socket.feed(first).await.ok()?;
    let mut close = None;
    while gathered < limits::SOCKET_WRITE_BUFFER_BYTES {
        // Nothing ready: the next round of the loop waits for it (and is woken, unlike this look).
        let Some(Some(item)) = items.next().now_or_never() else { break };
        match message(item) {
            Next::Send(message) => {
                gathered += message.len();
                socket.feed(message).await.ok()?;
            }
            Next::Close(code) => {
                close = Some(code);
                break;
            }
        }
    }
    socket.flush().await.ok()?;
    Some(close)
}

fn config() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(limits::SOCKET_READ_BUFFER_BYTES)
        .write_buffer_size(limits::SOCKET_WRITE_BUFFER_BYTES)
        .max_write_buffer_size(limits::SOCKET_MAX_WRITE_BUFFER_BYTES)
        .max_message_size(Some(limits::SOCKET_CLIENT_MESSAGE_BYTES))
        .max_frame_size(Some(limits::SOCKET_CLIENT_MESSAGE_BYTES))
}
