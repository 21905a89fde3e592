//! The end of a connection that waits too long for its next request.
//!
//! The HTTP layer lets go of a connection whose first head does not end, and of one on which no other begins. For the
//! end of another one it would wait for ever.

use std::any::Any;
use std::cell::Cell;
use std::net::Shutdown;
use std::rc::Rc;
use std::time::Duration;

use actix_web::dev::Extensions;
use actix_web::rt::net::TcpStream;
use actix_web::rt::task::JoinHandle;
use socket2::{SockRef, Socket};

/// How often a request has begun on a connection and been answered: odd while one is being answered.
type Turns = Rc<Cell<u64>>;

/// A connection that is watched for as long as the HTTP layer has it.
pub(super) struct Watched {
    turns: Turns,
    watch: JoinHandle<()>,
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.watch.abort();
    }
}

/// Has a connection shut down when no request comes for `patience`, and before twice that is over.
pub(super) fn watch(connection: &dyn Any, data: &mut Extensions, patience: Duration) {
    // Without a descriptor for it the connection is not watched; then it is not kept: see `Answering`.
    let socket = connection.downcast_ref::<TcpStream>().and_then(|stream| SockRef::from(stream).try_clone().ok());
    if let Some(socket) = socket {
        let turns = Turns::default();
        let watch = actix_web::rt::spawn(shut_down_when_idle(socket, turns.clone(), patience));
        data.insert(Watched { turns, watch });
    }
}

async fn shut_down_when_idle(socket: Socket, turns: Turns, patience: Duration) {
    loop {
        let before = turns.get();
        tokio::time::sleep(patience).await;
        if before.is_multiple_of(2) && turns.get() == before {
            // Who has gone meanwhile needs no end.
            let _ = socket.shutdown(Shutdown::Both);
            return;
        }
    }
}

/// A request that is being answered: as long as this lives, its connection does not wait.
pub(super) struct Answering(Option<Turns>);

impl Answering {
    pub(super) fn new(connection: Option<&Watched>) -> Self {
        let turns = connection.map(|watched| watched.turns.clone());
        turns.iter().for_each(next);
        Self(turns)
    }

    /// Whether there may be another request on its connection.
    pub(super) fn may_be_kept(&self) -> bool {
        self.0.is_some()
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

    const PATIENCE: Duration = Duration::from_millis(50);

    /// A connection as the HTTP layer has it, what is known of it, and its other end.
    async fn connect(patience: Duration) -> (TcpStream, Extensions, TcpStream) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let there = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (here, _) = listener.accept().await.unwrap();
        let mut data = Extensions::new();
        watch(&here, &mut data, patience);
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
        let (_here, _data, there) = connect(PATIENCE).await;
        assert!(is_shut_down(&there).await);
    }

    #[actix_web::test]
    async fn a_connection_is_kept_while_a_request_is_answered() {
        let (_here, data, there) = connect(PATIENCE).await;
        let answering = Answering::new(data.get());
        assert!(timeout(4 * PATIENCE, is_shut_down(&there)).await.is_err());
        drop(answering);
        assert!(is_shut_down(&there).await);
    }

    #[actix_web::test]
    async fn the_end_of_a_connection_is_the_end_of_its_watch() {
        let (here, data, there) = connect(Duration::MAX).await;
        drop((here, data));
        assert!(is_shut_down(&there).await);
    }
}
