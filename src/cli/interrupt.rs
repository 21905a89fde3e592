//! Ctrl-C in the middle of a long command: it ends what it is at, and says how far it has come.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether Ctrl-C was pressed. The second time ends the program at once.
pub(super) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// The exit code of a program that Ctrl-C has ended.
    const EXIT_CODE: i32 = 130;

    /// Listens from now on, and calls `say` at the first time.
    pub(super) fn listen(say: impl Fn() + Send + 'static) -> io::Result<Self> {
        let has_come = Arc::new(AtomicBool::new(false));
        let told = has_come.clone();
        std::thread::Builder::new().name("interrupt".to_owned()).spawn(move || {
            actix_web::rt::System::new().block_on(async {
                while tokio::signal::ctrl_c().await.is_ok() {
                    if told.swap(true, Ordering::Relaxed) {
                        std::process::exit(Self::EXIT_CODE);
                    }
                    say();
                }
            });
        })?;
        Ok(Self(has_come))
    }

    /// Whether it was pressed.
    pub(super) fn has_come(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
