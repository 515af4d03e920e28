use super::testing::{ECHO_BYTES, Running, app, guarded, in_memory, start, start_with};
use crate::limits::http as limits;
use futures_util::{SinkExt, StreamExt};
use std::{io::ErrorKind, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::Instant,
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Message, protocol::Role},
};

fn status(answer: &str) -> &str {
    answer.get(9..12).unwrap_or(answer)
}

fn has_header(answer: &str, header: &str) -> bool {
    let head = answer.split("\r\n\r\n").next().unwrap_or("");
    head.lines().any(|line| line.eq_ignore_ascii_case(header))
}

fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").map_or("", |(_, body)| body)
}

#[tokio::test]
async fn a_method_answers_and_any_origin_may_read_it() {
    let answer = start().await.get("/xrpc/com.example.hello", "").await;
    assert_eq!(status(&answer), "200");
    assert!(has_header(&answer, "content-type: application/json; charset=utf-8"));
    assert!(has_header(&answer, "access-control-allow-origin: *"));
    assert!(has_header(&answer, "content-length: 14"));
    assert_eq!(body(&answer), r#"{"hello":true}"#);
}

#[tokio::test]
async fn an_unknown_method_is_501_and_health_and_the_rest_are_pages() {
    let server = start().await;
    let unknown = server.get("/xrpc/app.bsky.feed.getTimeline", "").await;
    assert_eq!(status(&unknown), "501");
    assert!(body(&unknown).contains("MethodNotImplemented"));
    assert_eq!(body(&server.get("/xrpc/_health", "").await), "GET /xrpc/_health pds.example.com 0");
    assert_eq!(body(&server.get("/a/b?c", "").await), "GET /a/b pds.example.com 0");
}

#[tokio::test]
async fn a_preflight_echoes_the_headers_that_are_asked_for() {
    let answer = start()
        .await
        .talk(
            "OPTIONS /xrpc/com.example.echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\nOrigin: https://a.example\r\n\
             Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: authorization,x-new\r\n\r\n",
        )
        .await;
    assert_eq!(status(&answer), "204");
    assert!(has_header(&answer, "access-control-allow-headers: authorization,x-new"));
    assert!(has_header(&answer, "access-control-max-age: 86400"));
    assert!(has_header(&answer, "access-control-allow-origin: *"));
}

#[tokio::test]
async fn head_is_get_without_the_body() {
    let answer =
        start().await.talk("HEAD /xrpc/com.example.hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    assert_eq!(status(&answer), "200");
    assert!(has_header(&answer, "content-length: 14"));
    assert_eq!(body(&answer), "");
}

#[tokio::test]
async fn a_handles_name_sees_only_its_well_known() {
    let server = start().await;
    let ask = async |host: &str, path: &str| {
        status(&server.talk(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")).await)
            .to_owned()
    };
    assert_eq!(ask("alice.pds.example.com", "/.well-known/atproto-did").await, "200");
    assert_eq!(ask("alice.pds.example.com", "/xrpc/com.example.hello").await, "404");
    assert_eq!(ask("alice.pds.example.com:443", "/").await, "404");
    assert_eq!(ask("localhost", "http://ALICE.pds.example.com/").await, "404");
    assert_eq!(ask("alice.pds.example.com", "http://pds.example.com/").await, "200");
    assert_eq!(ask("other.example.net", "/xrpc/com.example.hello").await, "200");
    assert_eq!(ask("127.0.0.1:1", "/").await, "200");
}

#[tokio::test]
async fn a_request_without_host_or_with_two_is_refused() {
    let server = start().await;
    assert_eq!(status(&server.talk("GET / HTTP/1.1\r\nConnection: close\r\n\r\n").await), "400");
    assert_eq!(status(&server.talk("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n").await), "400");
    assert_eq!(status(&server.talk("GET / HTTP/1.0\r\n\r\n").await), "200");
}

#[tokio::test]
async fn the_clients_address_comes_from_a_trusted_proxy_only() {
    let ask = async |server: &Running| {
        body(&server.get("/xrpc/com.example.ip", "X-Forwarded-For: 203.0.113.7\r\n").await).to_owned()
    };
    assert_eq!(ask(&start().await).await, "\"127.0.0.1\"");
    let mut trusting = app();
    trusting.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    assert_eq!(ask(&start_with(trusting).await).await, "\"203.0.113.7\"");
}

#[tokio::test]
async fn a_requests_name_is_answered_and_taken_from_a_trusted_proxy_only() {
    let name = async |server: &Running, sent: &str| {
        let answer = server.get("/xrpc/com.example.hello", &format!("X-Request-Id: {sent}\r\n")).await;
        let line = answer.lines().find_map(|line| line.strip_prefix("x-request-id: ")).unwrap();
        line.to_owned()
    };
    let server = start().await;
    let (first, second) = (name(&server, "invented").await, name(&server, "invented").await);
    assert!(first != "invented" && first != second, "{first} {second}");
    let mut trusting = app();
    trusting.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    let server = start_with(trusting).await;
    assert_eq!(name(&server, "5f2c-77").await, "5f2c-77");
    assert_ne!(name(&server, &"a".repeat(100)).await, "a".repeat(100));
    assert_ne!(name(&server, "<script>").await, "<script>");
}

#[tokio::test]
async fn one_address_cannot_hold_every_connection() {
    let server = start().await;
    let mut held = Vec::new();
    for _ in 0..crate::limits::http::CONNECTIONS_PER_ADDRESS {
        held.push(server.connect().await);
    }
    assert_eq!(server.get("/xrpc/com.example.hello", "").await, "", "closed without an answer");
    held.pop();
    let mut served = String::new();
    while !served.starts_with("HTTP/1.1 200") {
        served = server.get("/xrpc/com.example.hello", "").await;
    }
    let mut trusting = app();
    trusting.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    let server = start_with(trusting).await;
    for _ in 0..=crate::limits::http::CONNECTIONS_PER_ADDRESS {
        held.push(server.connect().await);
    }
    assert!(server.get("/xrpc/com.example.hello", "").await.starts_with("HTTP/1.1 200"), "a proxy's");
}

#[tokio::test]
async fn a_panic_is_500_and_the_connection_goes_on() {
    let server = start().await;
    let answer = server
        .talk(
            "GET /xrpc/com.example.panic HTTP/1.1\r\nHost: x\r\n\r\n\
             GET /xrpc/com.example.hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        )
        .await;
    assert_eq!(status(&answer), "500");
    assert!(answer.contains("InternalServerError") && answer.contains("x-request-id") && answer.contains("hello"));
    assert!(!answer.contains("on purpose"));
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let one = "POST /xrpc/com.example.echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n";
    let request = format!("{one}1{one}2{one}3GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    let answer = start().await.talk(request).await;
    let bodies: Vec<&str> = answer.split("\r\n\r\n").skip(1).map(|rest| rest.get(..1).unwrap_or("")).collect();
    assert_eq!(bodies, ["1", "2", "3", "G"]);
}

#[tokio::test]
async fn chunked_bodies_are_read_and_announced_oversize_is_refused_at_once() {
    let server = start().await;
    let head = "POST /xrpc/com.example.echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\n";
    let chunked =
        server.talk(format!("{head}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")).await;
    assert_eq!((status(&chunked), body(&chunked)), ("200", "abcde"));
    let large = server.talk(format!("{head}Content-Length: {}\r\n\r\n", ECHO_BYTES + 1)).await;
    assert_eq!(status(&large), "413");
    assert!(large.contains("PayloadTooLarge"));
}

#[tokio::test]
async fn an_oversize_body_is_cut_at_the_bound_and_the_client_reads_why() {
    let server = start().await;
    let mut stream = server.connect().await;
    let head = b"POST /xrpc/com.example.echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    stream.write_all(head).await.unwrap();
    // More than fits into the sockets' buffers: the server must go on taking it for a while.
    let chunk = [b"10000\r\n".as_slice(), &vec![b'x'; 0x10000], b"\r\n"].concat();
    for _ in 0..48 {
        stream.write_all(&chunk).await.unwrap();
    }
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 413");
}

#[tokio::test]
async fn a_client_that_expects_100_continue_gets_it() {
    let mut stream = start().await.connect().await;
    let head = "POST /xrpc/com.example.echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\
                Connection: close\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut interim = [0; 25];
    stream.read_exact(&mut interim).await.unwrap();
    assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"ok").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert_eq!((status(&answer), body(&answer)), ("200", "ok"));
}

#[tokio::test]
async fn heads_that_are_too_large_or_broken_are_refused() {
    let server = start().await;
    let long = "a".repeat(limits::HEAD_BYTES);
    assert_eq!(status(&server.get("/", &format!("X-Long: {long}\r\n")).await), "431");
    let many = "X-A: b\r\n".repeat(200);
    assert_eq!(status(&server.get("/", &many).await), "431");
    assert_eq!(status(&server.talk("nonsense\r\n\r\n").await), "400");
    assert_eq!(status(&server.talk("\u{16}\u{3}\u{1}\0\r\n\r\n").await), "400");
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    // Stored blocks: enough of the format for a test without an encoder at hand.
    let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    let mut chunks = plain.chunks(0xffff).peekable();
    while let Some(chunk) = chunks.next() {
        let length = u16::try_from(chunk.len()).unwrap();
        out.push(u8::from(chunks.peek().is_none()));
        out.extend(length.to_le_bytes());
        out.extend((!length).to_le_bytes());
        out.extend(chunk);
    }
    let mut crc = !0u32;
    for byte in plain {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xedb8_8320 * (crc & 1));
        }
    }
    out.extend((!crc).to_le_bytes());
    out.extend(u32::try_from(plain.len()).unwrap().to_le_bytes());
    out
}

fn compressed_request(encoding: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST /xrpc/com.example.echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Encoding: {encoding}\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

#[tokio::test]
async fn a_compressed_body_is_inflated_and_a_bomb_is_413() {
    let server = start().await;
    let answer = server.talk(compressed_request("gzip", &gzip(b"inflated"))).await;
    assert_eq!((status(&answer), body(&answer)), ("200", "inflated"));
    // The server's own compressor makes the bomb.
    let get = "GET /xrpc/com.example.big HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAccept-Encoding: gzip\r\n\r\n";
    let answer = server.talk_bytes(get).await;
    let head = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
    assert!(answer.len() - head < ECHO_BYTES / 50, "{} bytes", answer.len());
    let bomb = server.talk(compressed_request("gzip", &answer[head..])).await;
    assert_eq!(status(&bomb), "413");
}

#[tokio::test]
async fn a_body_that_is_not_what_its_encoding_says_is_400_and_unknown_encodings_415() {
    let server = start().await;
    assert_eq!(status(&server.talk(compressed_request("gzip", b"not gzip at all")).await), "400");
    assert_eq!(status(&server.talk(compressed_request("deflate", b"not deflate either")).await), "400");
    assert_eq!(status(&server.talk(compressed_request("br", b"x")).await), "415");
    assert_eq!(status(&server.talk(compressed_request("gzip, gzip", b"x")).await), "415");
    assert_eq!(body(&server.talk(compressed_request("identity", b"x")).await), "x");
}

#[tokio::test]
async fn large_json_is_compressed_for_those_who_take_it() {
    let server = start().await;
    let plain = server.get("/xrpc/com.example.big", "Accept-Encoding: br, gzip;q=0\r\n").await;
    assert!(has_header(&plain, "content-length: 1100002") && has_header(&plain, "vary: accept-encoding"));
    let packed = server.get("/xrpc/com.example.big", "Accept-Encoding: deflate, gzip;q=0.5\r\n").await;
    assert!(has_header(&packed, "content-encoding: gzip") && has_header(&packed, "vary: accept-encoding"));
    assert!(packed.len() < 50_000, "{} bytes", packed.len());
    let small = server.get("/xrpc/com.example.hello", "Accept-Encoding: gzip\r\n").await;
    assert_eq!(body(&small), r#"{"hello":true}"#);
}

#[tokio::test]
async fn a_stream_that_fails_cuts_the_connection() {
    let answer = start().await.get("/xrpc/com.example.broken", "").await;
    assert!(!answer.ends_with("0\r\n\r\n"), "the answer looks complete: {answer}");
}

async fn outcome_of(request: &str) -> (Duration, String) {
    let (mut client, _tasks) = in_memory();
    let start = Instant::now();
    client.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).await.unwrap();
    (start.elapsed(), String::from_utf8(answer).unwrap())
}

#[tokio::test(start_paused = true)]
async fn silence_before_the_first_byte_ends_the_connection() {
    let (waited, answer) = outcome_of("").await;
    assert_eq!((waited.as_secs(), answer.as_str()), (limits::FIRST_BYTE.as_secs(), ""));
}

#[tokio::test(start_paused = true)]
async fn a_head_that_drips_is_cut_in_spite_of_new_bytes() {
    let (mut client, _tasks) = in_memory();
    let start = Instant::now();
    client.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n").await.unwrap();
    while client.write_all(b"X-A: b\r\n").await.is_ok() {
        tokio::time::advance(Duration::from_secs(1)).await;
        tokio::task::yield_now().await;
        assert!(start.elapsed() < limits::HEAD + Duration::from_secs(5), "the connection still lives");
    }
    assert!(start.elapsed() >= limits::HEAD);
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_kept_for_its_time_and_no_longer() {
    let (waited, answer) = outcome_of("GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert_eq!(status(&answer), "200");
    assert_eq!(waited.as_secs(), limits::KEEP_ALIVE.as_secs());
}

#[tokio::test(start_paused = true)]
async fn a_body_that_stops_coming_is_408() {
    let head = "POST /xrpc/com.example.echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc";
    let (waited, answer) = outcome_of(head).await;
    assert_eq!(status(&answer), "408");
    assert!(waited < limits::BODY_IDLE + Duration::from_secs(5), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_body_that_drips_is_408_after_the_grace_period() {
    let (mut client, _tasks) = in_memory();
    let start = Instant::now();
    let head = b"POST /xrpc/com.example.echo HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n";
    client.write_all(head).await.unwrap();
    let (mut read, mut write) = tokio::io::split(client);
    let drip = async {
        while write.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_secs(5)).await;
        }
        std::future::pending::<()>().await;
    };
    let mut answer = [0; 12];
    tokio::select! {
        () = drip => {}
        outcome = read.read_exact(&mut answer) => { outcome.unwrap(); }
    }
    assert_eq!(&answer, b"HTTP/1.1 408");
    assert!(start.elapsed() >= limits::BODY_GRACE && start.elapsed() < limits::BODY_GRACE * 2);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_nothing_is_cut_off() {
    let (_client, mut server, _phase) = guarded();
    let start = Instant::now();
    let error = server.write_all(&[0; 10_000]).await.unwrap_err();
    assert_eq!((error.kind(), start.elapsed().as_secs()), (ErrorKind::TimedOut, limits::WRITE_STALL.as_secs()));
}

#[tokio::test(start_paused = true)]
async fn a_busy_or_upgraded_connection_may_be_silent() {
    for upgraded in [false, true] {
        let (_client, mut server, phase) = guarded();
        let mut busy = Some(phase.busy());
        if upgraded {
            drop(busy.take().map(super::guarded::Busy::then_upgraded));
        }
        let silence = tokio::time::timeout(Duration::from_hours(1), server.read_u8()).await;
        assert!(silence.is_err(), "the stream ended by itself");
    }
}

#[tokio::test]
async fn an_aborted_body_harms_nobody() {
    let server = start().await;
    let mut stream = server.connect().await;
    stream.write_all(b"POST /xrpc/com.example.echo HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nab").await.unwrap();
    drop(stream);
    assert_eq!(status(&server.get("/", "").await), "200");
}

#[tokio::test]
async fn stopping_lets_the_open_request_end_and_takes_no_new_one() {
    let server = start().await;
    let mut stream = server.connect().await;
    let head = b"POST /xrpc/com.example.echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n";
    stream.write_all(head).await.unwrap();
    let mut interim = [0; 25];
    stream.read_exact(&mut interim).await.unwrap();
    server.tasks.stop();
    stream.write_all(b"ok").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert_eq!((status(&answer), body(&answer)), ("200", "ok"));
    server.tasks.finished().await;
    assert!(TcpStream::connect(server.address).await.is_err());
}

const HANDSHAKE: &str = "Upgrade: websocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

async fn open(server: &Running, method: &str) -> WebSocketStream<TcpStream> {
    let mut stream = server.connect().await;
    let request = format!("GET /xrpc/{method} HTTP/1.1\r\nHost: x\r\n{HANDSHAKE}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    assert_eq!(status(&head), "101");
    assert!(has_header(&head, "sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    WebSocketStream::from_raw_socket(stream, Role::Client, None).await
}

#[tokio::test]
async fn a_subscription_sends_its_frames_in_order_and_closes_normally() {
    let mut socket = open(&start().await, "com.example.stream").await;
    for n in 0..1_000u32 {
        assert_eq!(socket.next().await.unwrap().unwrap().into_data().as_ref(), n.to_be_bytes());
    }
    let Message::Close(Some(frame)) = socket.next().await.unwrap().unwrap() else { panic!("no close frame") };
    assert_eq!(u16::from(frame.code), 1000);
    assert!(socket.next().await.is_none());
}

#[tokio::test]
async fn a_stream_chooses_its_close_code() {
    let mut socket = open(&start().await, "com.example.closes").await;
    assert_eq!(socket.next().await.unwrap().unwrap(), Message::text("bye"));
    let Message::Close(Some(frame)) = socket.next().await.unwrap().unwrap() else { panic!("no close frame") };
    assert_eq!(u16::from(frame.code), 1008);
}

#[tokio::test]
async fn what_a_client_says_is_ignored_unless_it_is_too_much() {
    let mut socket = open(&start().await, "com.example.endless").await;
    socket.send(Message::text("hello")).await.unwrap();
    assert!(socket.next().await.unwrap().unwrap().is_binary());
    socket.send(Message::binary(vec![0; limits::SOCKET_CLIENT_MESSAGE_BYTES + 1])).await.unwrap();
    let last = async { while let Some(Ok(_)) = socket.next().await {} };
    tokio::time::timeout(Duration::from_secs(20), last).await.expect("the server closes");
}

#[tokio::test]
async fn stopping_closes_sockets_as_going_away() {
    let server = start().await;
    let mut socket = open(&server, "com.example.endless").await;
    assert!(socket.next().await.unwrap().unwrap().is_binary());
    server.tasks.stop();
    while let Some(Ok(message)) = socket.next().await {
        if let Message::Close(Some(frame)) = message {
            assert_eq!(u16::from(frame.code), 1001);
        }
    }
    server.tasks.finished().await;
}

#[tokio::test(start_paused = true)]
async fn a_silent_peer_is_given_up_after_two_pings() {
    let (client, server) = tokio::io::duplex(1024);
    let start = Instant::now();
    let items = futures_util::stream::pending().boxed();
    super::websocket::run(server, items, tokio_util::sync::CancellationToken::new()).await;
    drop(client);
    assert_eq!(start.elapsed().as_secs(), 2 * limits::SOCKET_PING.as_secs());
}

#[tokio::test]
async fn bad_upgrade_requests_are_refused_before_the_stream_opens() {
    let server = start().await;
    let ask = async |headers: &str| server.get("/xrpc/com.example.stream", headers).await;
    let plain = ask("").await;
    assert_eq!(status(&plain), "426");
    assert!(has_header(&plain, "upgrade: websocket"));
    let upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\n";
    assert_eq!(status(&ask(&format!("{upgrade}Sec-WebSocket-Version: 8\r\n")).await), "426");
    assert_eq!(status(&ask(&format!("{upgrade}Sec-WebSocket-Version: 13\r\n")).await), "400");
    let short = format!("{upgrade}Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: c2hvcnQ=\r\n");
    assert_eq!(status(&ask(&short).await), "400");
    assert_eq!(status(&server.get("/xrpc/com.example.stream?refuse", HANDSHAKE).await), "400");
    let elsewhere = server.get("/xrpc/com.example.hello", HANDSHAKE).await;
    assert_eq!(status(&elsewhere), "200");
}
