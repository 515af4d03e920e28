//! A connection that keeps time: what may take how long depends on what the connection is doing.

use crate::limits::http as limits;
use std::{
    future::Future,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep_until},
};

/// What a connection is doing; told by the router, read by [`Guarded`].
#[derive(Debug)]
pub(super) struct Phase {
    state: AtomicU8,
    opened: Instant,
    /// When the state began, in milliseconds after `opened`.
    since: AtomicU64,
    /// Whether a request's body was not read to its end.
    unread: AtomicBool,
}

/// No byte of the first request has come.
const NEW: u8 = 0;
/// A request is being answered: its body keeps its own time.
const BUSY: u8 = 1;
/// An answer is complete and the next request has not begun.
const IDLE: u8 = 2;
/// HTTP is done with it: pings keep the time.
const UPGRADED: u8 = 3;
/// A request's head has begun.
const HEAD: u8 = 4;

impl Phase {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            state: AtomicU8::new(NEW),
            opened: Instant::now(),
            since: AtomicU64::new(0),
            unread: AtomicBool::new(false),
        })
    }

    /// A request is being answered, until the guard goes.
    pub(super) fn busy(self: &Arc<Self>) -> Busy {
        self.state.store(BUSY, Ordering::Relaxed);
        Busy { phase: Arc::clone(self), after: IDLE }
    }

    /// Whether bytes of a body may still be on their way.
    pub(super) fn set_unread(&self, unread: bool) {
        self.unread.store(unread, Ordering::Relaxed);
    }

    fn enter(&self, state: u8) {
        let since = u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.since.store(since, Ordering::Relaxed);
        self.state.store(state, Ordering::Relaxed);
    }

    /// Until when the peer's next byte may be waited for, and whether the wait ends the connection. While a request is
    /// answered it does not: but nobody is woken when the answer is complete, so somebody must look again.
    fn deadline(&self) -> Option<(Instant, bool)> {
        let span = match self.state.load(Ordering::Relaxed) {
            UPGRADED => return None,
            BUSY => return Some((Instant::now() + limits::KEEP_ALIVE, false)),
            NEW => limits::FIRST_BYTE,
            HEAD => limits::HEAD,
            _ => limits::KEEP_ALIVE,
        };
        Some((self.opened + Duration::from_millis(self.since.load(Ordering::Relaxed)) + span, true))
    }
}

/// Lives as long as an answer.
#[derive(Debug)]
pub(super) struct Busy {
    phase: Arc<Phase>,
    after: u8,
}

impl Busy {
    /// The connection becomes something else after this answer.
    pub(super) fn then_upgraded(mut self) -> Self {
        self.after = UPGRADED;
        self
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.phase.enter(self.after);
    }
}

/// A stream with a time limit on every wait for the peer.
#[derive(Debug)]
pub(super) struct Guarded<S> {
    stream: S,
    phase: Arc<Phase>,
    read: Timer,
    write: Option<Timer>,
    /// How much was thrown away after our last word.
    lingered: usize,
}

impl<S> Guarded<S> {
    pub(super) fn new(stream: S, phase: Arc<Phase>) -> Self {
        Self { stream, phase, read: Timer::after(limits::FIRST_BYTE), write: None, lingered: 0 }
    }

    /// Whether the wait for the peer's next byte has become too long.
    fn poll_read_deadline(&mut self, context: &mut Context<'_>) -> Poll<io::Error> {
        let Some((deadline, ends)) = self.phase.deadline() else { return Poll::Pending };
        self.read.deadline = deadline;
        ready!(self.read.poll(context));
        if ends { Poll::Ready(timed_out("no request came in time")) } else { Poll::Pending }
    }

    /// Notes whether a write made progress.
    fn guard_write<T>(&mut self, context: &mut Context<'_>, outcome: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            self.write = None;
            return outcome;
        }
        ready!(self.write.get_or_insert_with(|| Timer::after(limits::WRITE_STALL)).poll(context));
        Poll::Ready(Err(timed_out("the peer takes nothing")))
    }
}

impl<S: AsyncRead + Unpin> Guarded<S> {
    /// Throws away what the peer still sends of a body that nobody wants: closing a socket with unread bytes resets it,
    /// and the peer would lose the answer that says why.
    fn poll_linger(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.lingered == 0 {
            self.read = Timer::after(limits::LINGER);
        }
        let mut scratch = [0; 8 * 1024];
        while self.lingered < limits::LINGER_BYTES {
            let mut into = ReadBuf::new(&mut scratch);
            match Pin::new(&mut self.stream).poll_read(context, &mut into) {
                Poll::Ready(Ok(())) if !into.filled().is_empty() => self.lingered += into.filled().len(),
                Poll::Ready(_) => break,
                Poll::Pending => {
                    self.lingered = self.lingered.max(1);
                    return self.read.poll(context);
                }
            }
        }
        Poll::Ready(())
    }
}

fn timed_out(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, why)
}

/// A deadline that may move: the runtime's timer is touched only when it fires or the deadline comes nearer.
#[derive(Debug)]
struct Timer {
    deadline: Instant,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Timer {
    fn after(span: Duration) -> Self {
        Self { deadline: Instant::now() + span, sleep: None }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let deadline = self.deadline;
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if sleep.deadline() > deadline {
            sleep.as_mut().reset(deadline);
        }
        while sleep.as_mut().poll(context).is_ready() {
            if sleep.deadline() >= deadline {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(deadline);
        }
        Poll::Pending
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guarded<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        let outcome = Pin::new(&mut self.stream).poll_read(context, into);
        if outcome.is_pending() {
            return self.poll_read_deadline(context).map(Err);
        }
        if into.filled().len() > before {
            // Only a byte that begins a head counts: BUSY and UPGRADED stay.
            if matches!(self.phase.state.load(Ordering::Relaxed), NEW | IDLE) {
                self.phase.enter(HEAD);
            }
        }
        outcome
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Guarded<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.guard_write(context, outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.guard_write(context, outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_flush(context);
        self.guard_write(context, outcome)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_shutdown(context);
        ready!(self.guard_write(context, outcome))?;
        if self.phase.unread.load(Ordering::Relaxed) {
            ready!(self.poll_linger(context));
        }
        Poll::Ready(Ok(()))
    }
}
