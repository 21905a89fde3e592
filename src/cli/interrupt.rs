//! Ctrl-C in the middle of a long command: it ends what it is at, and says how far it has come.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;

use tokio::signal::unix::{SignalKind, signal};

/// Whether Ctrl-C was pressed. The second time ends the program at once.
pub(super) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// The exit code of a program that Ctrl-C has ended.
    const EXIT_CODE: i32 = 130;

    /// Listens from now on, and calls `say` at the first time.
    pub(super) fn listen(say: impl Fn() + Send + 'static) -> io::Result<Self> {
        let has_come = Arc::new(AtomicBool::new(false));
        let told = has_come.clone();
        let (ready, is_listening) = sync_channel(1);
        std::thread::Builder::new().name("interrupt".to_owned()).spawn(move || {
            actix_web::rt::System::new().block_on(async {
                let signals = signal(SignalKind::interrupt());
                let _ = ready.send(signals.as_ref().map(drop).map_err(|error| error.kind()));
                let Ok(mut signals) = signals else { return };
                while signals.recv().await.is_some() {
                    if told.swap(true, Ordering::Relaxed) {
                        std::process::exit(Self::EXIT_CODE);
                    }
                    say();
                }
            });
        })?;
        // Before that, it would still end the program.
        is_listening.recv().map_err(io::Error::other)??;
        Ok(Self(has_come))
    }

    /// Whether it was pressed.
    pub(super) fn has_come(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
