//! Connections: how many there may be, and the end of one that waits too long for its next request.
//!
//! The HTTP layer lets go of a connection whose first head does not end, and of one on which no other begins. For the
//! end of another one it would wait for ever, and for somebody who takes answers more slowly than they come.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::net::Shutdown;
use std::rc::Rc;
use std::time::Duration;

use actix_web::dev::{Extensions, ServiceResponse};
use actix_web::http::ConnectionType;
use actix_web::rt::net::TcpStream;
use actix_web::rt::task::JoinHandle;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Resource, getrlimit};
use socket2::{SockRef, Socket};

/// Who comes when there are so many waits until another one goes. Each costs some 10 KB.
const MAX_CONNECTIONS: usize = 20_000;

/// Each connection takes one, and its watch another.
const DESCRIPTORS_OF_A_CONNECTION: usize = 2;

/// As many connections for each worker as there are descriptors for, beside those that the server needs for itself: the
/// database must be opened again after a failure of the disk, and the operator's port must answer.
pub(super) fn max_per_worker(workers: usize) -> usize {
    let of_the_server = 64 + 8 * workers;
    let limit = getrlimit(Resource::Nofile).current.and_then(|limit| usize::try_from(limit).ok());
    let left = limit.unwrap_or(usize::MAX).saturating_sub(of_the_server);
    (left / DESCRIPTORS_OF_A_CONNECTION).min(MAX_CONNECTIONS).div_ceil(workers).max(1)
}

/// How often a request has begun on a connection and been answered: odd while one is being answered.
type Turns = Rc<Cell<u64>>;

/// A connection that is watched for as long as the HTTP layer has it.
pub(super) struct Watched {
    turns: Turns,
    watch: JoinHandle<()>,
    held: RefCell<Option<Box<dyn Any>>>,
}

impl Watched {
    /// Keeps something until the connection ends, in the place of what it kept before.
    pub(super) fn hold(&self, thing: impl Any) {
        *self.held.borrow_mut() = Some(Box::new(thing));
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.watch.abort();
    }
}

/// For the next request to be there as a whole: more than the HTTP layer gives it to begin, so that who is merely idle is
/// let go by that. And for answers to be taken.
const PATIENCE: Duration = Duration::from_secs(80);

/// How often within that time it is looked whether answers are taken.
const LOOKS: u32 = 4;

/// Has a connection shut down when no request comes for [`PATIENCE`], or at no look within it there is room for an answer,
/// and before twice that is over.
pub(super) fn watch(connection: &dyn Any, data: &mut Extensions) {
    watch_for(PATIENCE, connection, data);
}

fn watch_for(patience: Duration, connection: &dyn Any, data: &mut Extensions) {
    let socket = connection.downcast_ref::<TcpStream>().map(|stream| SockRef::from(stream).try_clone());
    // There is a descriptor for it: see `most`.
    if let Some(Ok(socket)) = socket {
        let turns = Turns::default();
        let watch = actix_web::rt::spawn(shut_down_when_idle(socket, turns.clone(), patience));
        data.insert(Watched { turns, watch, held: RefCell::default() });
    }
}

async fn shut_down_when_idle(socket: Socket, turns: Turns, patience: Duration) {
    loop {
        let before = turns.get();
        let mut are_answers_taken = false;
        for _ in 0..LOOKS {
            tokio::time::sleep(patience / LOOKS).await;
            are_answers_taken |= has_room(&socket);
        }
        let is_idle = before.is_multiple_of(2) && turns.get() == before;
        if is_idle || !are_answers_taken {
            // Who has gone meanwhile needs no end.
            let _ = socket.shutdown(Shutdown::Both);
            return;
        }
    }
}

/// Whether the system would take more to send: not while what was sent before has mostly not been taken.
fn has_room(socket: &Socket) -> bool {
    let mut watched = [PollFd::new(socket, PollFlags::OUT)];
    // Where the system does not say, nobody is let go for it.
    poll(&mut watched, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).map_or(true, |ready| ready > 0)
}

/// Has the connection closed behind an answer, which says so.
pub(super) fn close_after(answer: &mut ServiceResponse) {
    answer.response_mut().head_mut().set_connection_type(ConnectionType::Close);
}

/// A request that is being answered: as long as this lives, its connection does not wait.
pub(super) struct Answering(Option<Turns>);

impl Answering {
    pub(super) fn new(connection: Option<&Watched>) -> Self {
        let turns = connection.map(|watched| watched.turns.clone());
        turns.iter().for_each(next);
        Self(turns)
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.iter().for_each(next);
    }
}

fn next(turns: &Turns) {
    turns.set(turns.get().wrapping_add(1));
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use actix_web::rt::net::TcpListener;
    use tokio::time::timeout;

    use super::*;

    const A_MOMENT: Duration = Duration::from_millis(50);

    /// A connection as the HTTP layer has it, what is known of it, and its other end.
    async fn connect(patience: Duration) -> (TcpStream, Extensions, TcpStream) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let there = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (here, _) = listener.accept().await.unwrap();
        let mut data = Extensions::new();
        watch_for(patience, &here, &mut data);
        (here, data, there)
    }

    async fn is_shut_down(stream: &TcpStream) -> bool {
        stream.readable().await.unwrap();
        match stream.try_read(&mut [0]) {
            Ok(length) => length == 0,
            Err(error) => error.kind() != ErrorKind::WouldBlock,
        }
    }

    #[actix_web::test]
    async fn who_sends_no_other_request_is_let_go() {
        let (_here, _data, there) = connect(A_MOMENT).await;
        assert!(is_shut_down(&there).await);
    }

    #[actix_web::test]
    async fn a_connection_is_kept_while_a_request_is_answered() {
        let (_here, data, there) = connect(A_MOMENT).await;
        let answering = Answering::new(data.get());
        assert!(timeout(4 * A_MOMENT, is_shut_down(&there)).await.is_err());
        drop(answering);
        assert!(is_shut_down(&there).await);
    }

    #[actix_web::test]
    async fn a_connection_is_kept_while_one_short_request_follows_the_other() {
        let (_here, data, there) = connect(10 * A_MOMENT).await;
        for _ in 0..25 {
            drop(Answering::new(data.get()));
            assert!(timeout(A_MOMENT, is_shut_down(&there)).await.is_err());
        }
    }

    #[actix_web::test]
    async fn who_takes_no_answers_is_let_go_even_while_a_request_is_answered() {
        let (here, data, there) = connect(A_MOMENT).await;
        let _answering = Answering::new(data.get());
        while here.try_write(&[0; 4_096]).is_ok() {}
        // What was sent before is still there to be read; nothing more is.
        let mut sent = 0;
        loop {
            here.writable().await.unwrap();
            if here.try_write(&[0]).is_err_and(|error| error.kind() != ErrorKind::WouldBlock) {
                break;
            }
            sent += 1;
            assert!(sent < 1_000, "the connection is still there");
        }
        drop(there);
    }

    #[actix_web::test]
    async fn what_a_connection_holds_ends_with_it() {
        let (_here, data, _there) = connect(Duration::MAX).await;
        let (first, second) = (Rc::new(()), Rc::new(()));
        let connection = data.get::<Watched>().unwrap();
        connection.hold(first.clone());
        connection.hold(second.clone());
        assert_eq!((Rc::strong_count(&first), Rc::strong_count(&second)), (1, 2));
        drop(data);
        assert_eq!(Rc::strong_count(&second), 1);
    }

    #[actix_web::test]
    async fn the_end_of_a_connection_is_the_end_of_its_watch() {
        let (here, data, there) = connect(Duration::MAX).await;
        drop((here, data));
        assert!(is_shut_down(&there).await);
    }
}
