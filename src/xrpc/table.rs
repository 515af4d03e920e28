//! An endpoint is one type; one table lists them all, and one generic `run` turns bytes into types and back.

use super::{
    Charge, FromBody, IntoReply, Piped, Reply, RequestBody, RequestHead, RequestId, XrpcError, auth::Authenticate,
    gate::Gate, params, proxy,
};
use crate::{
    service::{Origin, Server, Spending},
    throttle::Bucket,
};
use bytes::Bytes;
use futures_util::{FutureExt, future::BoxFuture, stream::BoxStream};
use http::{HeaderValue, Method, StatusCode, Uri, header};
use serde::de::DeserializeOwned;
use std::{collections::HashMap, future::Future, sync::Arc};
use tracing::{Instrument, Span, field::Empty};

/// A GET method.
pub trait Query: 'static {
    /// Its name on the wire.
    const NSID: &'static str;
    /// The budgets of the caller's address that a call draws on.
    const BUCKETS: &'static [Bucket] = &[Bucket::Address];
    /// Who may call it.
    type Auth: Authenticate;
    /// Its query parameters.
    type Params: DeserializeOwned + Send;
    /// Its answer.
    type Output: IntoReply;
    /// Does it.
    fn call(
        server: &Arc<Server>,
        auth: Self::Auth,
        params: Self::Params,
    ) -> impl Future<Output = Result<Self::Output, XrpcError>> + Send;
}

/// A POST method.
pub trait Procedure: 'static {
    /// Its name on the wire.
    const NSID: &'static str;
    /// Largest (inflated) body in bytes, for buffered bodies.
    const MAX_BODY: usize = crate::limits::http::JSON_BODY_BYTES;
    /// The budgets of the caller's address that a call draws on.
    const BUCKETS: &'static [Bucket] = &[Bucket::Address];
    /// Who may call it.
    type Auth: Authenticate;
    /// Its body: [`super::Json`], [`super::NoInput`] or [`super::Upload`].
    type Input: FromBody;
    /// Its answer; [`super::Empty`] for none.
    type Output: IntoReply;
    /// What a call draws on besides, once it is known who calls with what.
    fn charge(_auth: &Self::Auth, _input: &Self::Input) -> Option<Charge> {
        None
    }
    /// Does it.
    fn call(
        server: &Arc<Server>,
        auth: Self::Auth,
        input: Self::Input,
    ) -> impl Future<Output = Result<Self::Output, XrpcError>> + Send;
}

/// What a subscription yields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StreamItem {
    /// One binary message, shared by all who read it.
    Frame(Bytes),
    /// One text message.
    Text(String),
    /// The last thing: close with this code.
    Close(u16),
    /// The last thing: close with this code and reason (at most 123 bytes).
    CloseFor(u16, &'static str),
}

/// A WebSocket method.
pub trait Subscription: 'static {
    /// Its name on the wire.
    const NSID: &'static str;
    /// Its query parameters.
    type Params: DeserializeOwned + Send;
    /// Opens the stream; an error here is an HTTP answer, later ones are error frames.
    fn open(
        server: &Arc<Server>,
        params: Self::Params,
    ) -> impl Future<Output = Result<BoxStream<'static, StreamItem>, XrpcError>> + Send;
}

/// No parameters; unknown ones are ignored.
#[derive(Clone, Copy, Debug, Default, serde::Deserialize)]
pub struct NoParams {}

/// What a method is, which decides the HTTP verb.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MethodKind {
    /// GET.
    Query,
    /// POST.
    Procedure,
    /// GET that becomes a WebSocket.
    Subscription,
}

/// A call of a method, before its bytes are types.
#[derive(Debug)]
pub struct Call {
    /// The HTTP method; HEAD counts as GET.
    pub method: Method,
    /// The request's URI, for its query.
    pub uri: Uri,
    /// What endpoint and auth may know.
    pub head: RequestHead,
    /// Names this request in the log and in its answer.
    pub request_id: RequestId,
}

/// What the listener asks of XRPC. The one implementation outside tests is [`Api`].
pub trait Dispatch: Send + Sync + 'static {
    /// What the method is, if there is one of that name.
    fn kind(&self, nsid: &str) -> Option<MethodKind>;
    /// Answers a query or procedure, and everything that is neither with the error that it deserves.
    fn call(&self, call: Call, body: RequestBody) -> BoxFuture<'static, Reply>;
    /// Opens a subscription.
    fn subscribe(&self, call: Call) -> BoxFuture<'static, Result<BoxStream<'static, StreamItem>, Reply>>;
}

/// The methods of one server.
pub struct Api {
    /// The server that they run on.
    pub server: Arc<Server>,
    /// The table.
    pub methods: Methods,
}

impl std::fmt::Debug for Api {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Api").field("methods", &self.methods).finish_non_exhaustive()
    }
}

type RunQuery = fn(Arc<Server>, Call) -> BoxFuture<'static, Reply>;
type RunProcedure = fn(Arc<Server>, Call, RequestBody) -> BoxFuture<'static, Reply>;
type RunSubscription = fn(Arc<Server>, Call) -> BoxFuture<'static, Result<BoxStream<'static, StreamItem>, Reply>>;

#[derive(Clone, Copy)]
enum Endpoint {
    Query(RunQuery),
    Procedure(RunProcedure),
    Subscription(RunSubscription),
}

/// NSID to endpoint: `Methods::default().query::<GetRecord>().procedure::<CreateRecord>()…`.
#[derive(Default)]
pub struct Methods {
    endpoints: HashMap<&'static str, Endpoint>,
}

impl std::fmt::Debug for Methods {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.endpoints.keys()).finish()
    }
}

impl Methods {
    /// Adds a query.
    #[must_use]
    pub fn query<Q: Query>(mut self) -> Self {
        self.endpoints.insert(Q::NSID, Endpoint::Query(|server, call| run_query::<Q>(server, call).boxed()));
        self
    }

    /// Adds a procedure.
    #[must_use]
    pub fn procedure<P: Procedure>(mut self) -> Self {
        self.endpoints
            .insert(P::NSID, Endpoint::Procedure(|server, call, body| run_procedure::<P>(server, call, body).boxed()));
        self
    }

    /// Adds a subscription.
    #[must_use]
    pub fn subscription<S: Subscription>(mut self) -> Self {
        self.endpoints
            .insert(S::NSID, Endpoint::Subscription(|server, call| run_subscription::<S>(server, call).boxed()));
        self
    }

    /// Adds a query that may be passed on.
    #[must_use]
    pub fn piped_query<P: Piped>(mut self) -> Self {
        let run: RunQuery = |server, call| run_piped::<P>(server, call, RequestBody::empty()).boxed();
        self.endpoints.insert(P::NSID, Endpoint::Query(run));
        self
    }

    /// Adds a procedure that may be passed on.
    #[must_use]
    pub fn piped_procedure<P: Piped>(mut self) -> Self {
        let run: RunProcedure = |server, call, body| run_piped::<P>(server, call, body).boxed();
        self.endpoints.insert(P::NSID, Endpoint::Procedure(run));
        self
    }

    /// All names, in no order.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.endpoints.keys().copied()
    }
}

impl Dispatch for Api {
    fn kind(&self, nsid: &str) -> Option<MethodKind> {
        self.methods.endpoints.get(nsid).map(|endpoint| match endpoint {
            Endpoint::Query(_) => MethodKind::Query,
            Endpoint::Procedure(_) => MethodKind::Procedure,
            Endpoint::Subscription(_) => MethodKind::Subscription,
        })
    }

    fn call(&self, call: Call, body: RequestBody) -> BoxFuture<'static, Reply> {
        let is_get = matches!(call.method, Method::GET | Method::HEAD);
        let found = self.methods.endpoints.get_key_value(call.head.nsid.as_str()).map(|(name, found)| (*name, *found));
        let name = found.map_or(OTHER, |(name, _)| name);
        let refused = match found {
            Some((_, Endpoint::Query(run))) if is_get => return observed(&self.server, name, call, run),
            Some((_, Endpoint::Procedure(run))) if call.method == Method::POST => {
                return observed(&self.server, name, call, |server, call| run(server, call, body));
            }
            Some((_, Endpoint::Query(_))) => wrong_verb(&call.method, "GET"),
            Some((_, Endpoint::Procedure(_))) => wrong_verb(&call.method, "POST"),
            Some((_, Endpoint::Subscription(_))) => {
                XrpcError::invalid("This method is a subscription: open a WebSocket (GET with Upgrade: websocket)")
            }
            None if !is_method_name(&call.head.nsid) => XrpcError::invalid("invalid xrpc path"),
            None => {
                return observed(&self.server, name, call, |server, call| run_elsewhere(server, call, body).boxed());
            }
        };
        observed(&self.server, name, call, |server, call| Box::pin(std::future::ready(refuse(&server, &call, refused))))
    }

    fn subscribe(&self, call: Call) -> BoxFuture<'static, Result<BoxStream<'static, StreamItem>, Reply>> {
        match self.methods.endpoints.get_key_value(call.head.nsid.as_str()) {
            Some((name, Endpoint::Subscription(run))) => observed(&self.server, name, call, run),
            Some((_, Endpoint::Query(_) | Endpoint::Procedure(_))) | None => {
                Box::pin(std::future::ready(Err(XrpcError::not_implemented().into_reply())))
            }
        }
    }
}

/// What methods that are not here are called in numbers: strangers can invent any number of names.
const OTHER: &str = "other";

fn wrong_verb(got: &Method, expected: &str) -> XrpcError {
    XrpcError::invalid(format!("Incorrect HTTP method ({got}) expected {expected}"))
}

/// Whether this can be a method at all: the reference is as lenient, and answers anything else with 400.
fn is_method_name(nsid: &str) -> bool {
    nsid.len() >= 2
        && nsid.split(['.', '-']).all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

/// What a call came to.
trait Answered {
    fn status(&self) -> StatusCode;
}

impl Answered for Reply {
    fn status(&self) -> StatusCode {
        self.status
    }
}

impl<T> Answered for Result<T, Reply> {
    fn status(&self) -> StatusCode {
        self.as_ref().err().map_or(StatusCode::SWITCHING_PROTOCOLS, |reply| reply.status)
    }
}

/// Runs a call in a span of its own, as what its caller asked for, and counts it.
fn observed<T: Answered + Send + 'static>(
    server: &Arc<Server>,
    method: &'static str,
    call: Call,
    run: impl FnOnce(Arc<Server>, Call) -> BoxFuture<'static, T>,
) -> BoxFuture<'static, T> {
    let span = tracing::info_span!(
        "xrpc", nsid = %call.head.nsid, request_id = %call.request_id, did = Empty, status = Empty, elapsed_ms = Empty
    );
    let agent = call.head.headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok());
    let origin = Origin::new(call.head.client_ip, agent);
    let (open, began) = (server.meters.requests.begin(method), server.now());
    let work = origin.scope(run(Arc::clone(server), call));
    let server = Arc::clone(server);
    async move {
        let answer = work.await;
        let elapsed = server.now().since(began);
        open.answered(answer.status().as_u16(), elapsed);
        let span = Span::current();
        span.record("status", answer.status().as_u16()).record("elapsed_ms", elapsed.as_secs_f64() * 1e3);
        tracing::debug!(target: "housekey::requests", "answered");
        answer
    }
    .instrument(span)
    .boxed()
}

/// A call that comes to nothing is counted like any other.
fn refuse(server: &Server, call: &Call, refused: XrpcError) -> Reply {
    let mut gate = Gate::new(server, &call.head);
    let refused = gate.enter(&[Bucket::Address]).err().unwrap_or(refused);
    finish::<super::auth::Public>(Err(refused), &gate)
}

/// The order is the reference's: budgets, parameters, auth, body, method.
async fn run_query<Q: Query>(server: Arc<Server>, call: Call) -> Reply {
    let mut gate = Gate::new(&server, &call.head);
    let result = async {
        gate.enter(Q::BUCKETS)?;
        let params = params::read::<Q::Params>(Q::NSID, call.uri.query())?;
        let mut auth = Q::Auth::authenticate(&server, &call.head).await?;
        let spending = auth.spending();
        let output = Q::call(&server, auth, params).await?;
        spending.into_iter().for_each(Spending::spend);
        output.into_reply()
    };
    let result = result.await;
    finish::<Q::Auth>(result, &gate)
}

async fn run_procedure<P: Procedure>(server: Arc<Server>, call: Call, body: RequestBody) -> Reply {
    let mut gate = Gate::new(&server, &call.head);
    let result = async {
        gate.enter(P::BUCKETS)?;
        let mut auth = P::Auth::authenticate(&server, &call.head).await?;
        let spending = auth.spending();
        let input = P::Input::from_body(&call.head, body, P::MAX_BODY).await?;
        gate.charge(P::charge(&auth, &input))?;
        let output = P::call(&server, auth, input).await?;
        spending.into_iter().for_each(Spending::spend);
        output.into_reply()
    };
    let result = result.await;
    finish::<P::Auth>(result, &gate)
}

async fn run_piped<P: Piped>(server: Arc<Server>, call: Call, body: RequestBody) -> Reply {
    let mut gate = Gate::new(&server, &call.head);
    let result = match gate.enter(&[Bucket::Address]) {
        Ok(()) => P::call(&server, &call, body).await,
        Err(exceeded) => Err(exceeded),
    };
    finish::<super::auth::AnyAccess>(result, &gate)
}

/// A method that is not here: passed on to whoever has it.
async fn run_elsewhere(server: Arc<Server>, call: Call, body: RequestBody) -> Reply {
    let mut gate = Gate::new(&server, &call.head);
    let result = match gate.enter(&[Bucket::Address]) {
        Ok(()) => proxy::pass_on(&server, &call, body).await,
        Err(exceeded) => Err(exceeded),
    };
    finish::<super::auth::AnyAccess>(result, &gate)
}

async fn run_subscription<S: Subscription>(
    server: Arc<Server>,
    call: Call,
) -> Result<BoxStream<'static, StreamItem>, Reply> {
    let mut gate = Gate::new(&server, &call.head);
    let result = async {
        gate.enter(&[Bucket::Address])?;
        S::open(&server, params::read::<S::Params>(S::NSID, call.uri.query())?).await
    };
    let result = result.await;
    result.map_err(|error| finish::<super::auth::Public>(Err(error), &gate))
}

fn finish<A: Authenticate>(result: Result<Reply, XrpcError>, gate: &Gate<'_>) -> Reply {
    let mut reply = result.unwrap_or_else(|error| {
        // Its message may quote what was sent.
        tracing::debug!(status = error.status.as_u16(), error = %error.name, "refused");
        error.into_reply()
    });
    gate.mark(&mut reply.headers);
    if A::PRIVATE {
        reply.headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("private"));
        reply.headers.append(header::VARY, HeaderValue::from_static("Authorization"));
    }
    reply
}

/// Notes who calls in the request's span.
pub(super) fn note_caller(did: &crate::syntax::Did) {
    Span::current().record("did", tracing::field::display(did));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_judged_as_leniently_as_the_reference_does() {
        for good in ["com.atproto.sync.getRepo", "app.bsky.feed.getTimeline", "a-b.c", "ab", "com.example.fooBar2"] {
            assert!(is_method_name(good), "{good}");
        }
        for bad in ["", "a", "com..x", ".com", "com.", "com/x", "com.x!", "com.x%20", "-a", "a-", "_health"] {
            assert!(!is_method_name(bad), "{bad}");
        }
    }
}
