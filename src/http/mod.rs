//! The listener: accepts connections, bounds what each may cost, and routes requests to XRPC or to a [`Site`].
//!
//! Speaks HTTP/1.1. Knows no endpoint and no page by name, except that `/xrpc/_health` is a page.

mod answer;
mod cors;
mod crowd;
mod guarded;
mod hosts;
mod incoming;
mod peer;
mod route;
#[cfg(test)]
mod testing;
mod websocket;

pub use hosts::{HandleOwners, Hosts};

use crate::{
    entropy::random_bytes,
    limits::http as limits,
    service::Server,
    tasks::Tasks,
    web::Site,
    xrpc::{Api, Dispatch, Methods},
};
use crowd::{Crowd, Place};
use guarded::{Guarded, Phase};
use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use ipnet::IpNet;
use std::{
    convert::Infallible,
    net::SocketAddr,
    pin::pin,
    sync::{Arc, atomic::AtomicU64},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};

/// What one listener serves.
pub struct App {
    /// Everything that is not XRPC.
    pub site: Arc<dyn Site>,
    /// The methods under `/xrpc/`; none for a listener without XRPC (the PLC directory's).
    pub xrpc: Option<Arc<dyn Dispatch>>,
    /// Which names get only `/.well-known/`; none: every name gets everything.
    pub hosts: Option<Hosts>,
    /// Peers whose `X-Forwarded-For` and `X-Forwarded-Host` are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Whether scripts of any origin may read everything (the PLC directory), or only `/xrpc/` and `/.well-known/`.
    pub cors_everywhere: bool,
    requests: AtomicU64,
}

impl App {
    /// Pages only, for every name and every origin.
    pub fn site(site: Arc<dyn Site>) -> Self {
        Self {
            site,
            xrpc: None,
            hosts: None,
            trusted_proxies: Vec::new(),
            cors_everywhere: true,
            requests: AtomicU64::new(1),
        }
    }

    /// Pages only, for every name, and for scripts of no other origin.
    pub fn own_site(site: Arc<dyn Site>) -> Self {
        Self { cors_everywhere: false, ..Self::site(site) }
    }

    /// The PDS: methods, pages, and handles' names kept apart.
    pub fn pds(server: Arc<Server>, methods: Methods, site: Arc<dyn Site>, trusted_proxies: Vec<IpNet>) -> Self {
        let owners: Arc<dyn HandleOwners> = Arc::clone(&server) as Arc<dyn HandleOwners>;
        let hosts = Hosts::new(&server.policy.hostname, &server.policy.handle_domains, owners);
        // The names of requests go on from somewhere else in each run, so that the log has each of them once.
        let first = u64::from(u32::from_be_bytes(random_bytes::<4>(server.entropy.as_ref()))) << 32;
        Self {
            requests: AtomicU64::new(first),
            xrpc: Some(Arc::new(Api { server, methods })),
            hosts: Some(hosts),
            trusted_proxies,
            cors_everywhere: false,
            ..Self::site(site)
        }
    }
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("App").field("trusted_proxies", &self.trusted_proxies).finish_non_exhaustive()
    }
}

/// Serves `listener` until `tasks` are told to stop. Open requests then have [`limits::DRAIN`] to end;
/// [`Tasks::finished`] waits for them.
pub fn serve(listener: TcpListener, app: App, tasks: &Tasks) {
    tasks.spawn(accept_all(listener, Arc::new(app), tasks.clone()));
}

async fn accept_all(listener: TcpListener, app: Arc<App>, tasks: Tasks) {
    let stop = tasks.stopping();
    let slots = Arc::new(Semaphore::new(limits::CONNECTIONS));
    let crowd = Crowd::default();
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            accepted = accept(&listener, &slots) => accepted,
        };
        let Some((stream, peer, permit)) = accepted else { return };
        let place = if peer::is_trusted(&app.trusted_proxies, peer) {
            None
        } else {
            let Some(place) = crowd.enter(peer.ip(), limits::CONNECTIONS_PER_ADDRESS) else {
                tracing::debug!(address = %peer.ip(), "a connection is refused: its address has too many");
                continue;
            };
            Some(place)
        };
        // Answers are written whole, so waiting for more to send only delays them.
        drop(stream.set_nodelay(true));
        let context = Context {
            app: Arc::clone(&app),
            tasks: tasks.clone(),
            peer,
            phase: Phase::new(),
            permit: Arc::new((permit, place)),
        };
        tasks.spawn(connection(stream, Arc::new(context)));
    }
}

/// What belongs to one connection.
pub(crate) struct Context {
    app: Arc<App>,
    tasks: Tasks,
    peer: SocketAddr,
    phase: Arc<Phase>,
    /// A WebSocket keeps it after HTTP is done with the connection.
    permit: Arc<(OwnedSemaphorePermit, Option<Place>)>,
}

async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> Option<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let permit = Arc::clone(slots).acquire_owned().await.ok()?;
    let (stream, peer) = next_connection(listener).await;
    Some((stream, peer, permit))
}

async fn next_connection(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(cause) => {
                tracing::warn!(%cause, "a connection could not be accepted: {cause}");
                tokio::time::sleep(limits::ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn connection<S>(stream: S, context: Arc<Context>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let stop = context.tasks.stopping();
    let io = TokioIo::new(Guarded::new(stream, Arc::clone(&context.phase)));
    let service = service_fn(move |request: Request<Incoming>| {
        let context = Arc::clone(&context);
        async move { Ok::<_, Infallible>(route::answer(context, request).await) }
    });
    let mut builder = http1::Builder::new();
    // `Guarded` keeps the time: hyper's own limit for the head would also end idle connections that are kept alive.
    builder.header_read_timeout(None).max_header_size(limits::HEAD_BYTES).max_buf_size(limits::BUFFER_BYTES);
    let mut connection = pin!(builder.serve_connection(io, service).with_upgrades());
    let outcome = tokio::select! {
        outcome = connection.as_mut() => outcome,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            match tokio::time::timeout(limits::DRAIN, connection).await {
                Ok(outcome) => outcome,
                Err(_) => return,
            }
        }
    };
    if let Err(cause) = outcome {
        tracing::debug!(%cause, "a connection ended: {cause}");
    }
}

#[cfg(test)]
mod tests;
