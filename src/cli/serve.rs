//! `serve`

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use log::{info, warn};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::output::print_line;
use super::{Context, NO_CONFIGURATION};
use crate::application::Application;
use crate::config::Config;
use crate::logging::{self, Log};

pub(super) fn run(context: Context) -> anyhow::Result<()> {
    let log = logging::start(context.config.log.format)?;
    take_descriptors();
    let served = actix_web::rt::System::new().block_on(serve(context, log.clone()));
    log.finish();
    served
}

/// Each connection takes two, and shells and supervisors give 1,024, unless one asks for more.
fn take_descriptors() {
    let limits = getrlimit(Resource::Nofile);
    let take = |current| setrlimit(Resource::Nofile, Rlimit { current, ..limits }).is_ok();
    // macOS says that there is no limit, and grants no more than these. Where there are no more, the server does with
    // those it has.
    let _ = take(limits.maximum) || take(limits.current.map(|current| current.max(10_240)));
}

async fn serve(context: Context, log: Log) -> anyhow::Result<()> {
    let demo_key = demo_key(&context.config);
    if context.config.file.is_none() {
        warn!("{NO_CONFIGURATION}, which have no organisation");
    }
    // Listening replaces the default, which is to die: a file that may not grow is then an ordinary error of the write.
    let file_too_large = signal(SignalKind::from_raw(libc::SIGXFSZ))?;
    let database = context.config.database.path.display().to_string();
    let application = Application::build(context.config, context.clock)?;
    // Not before: until here, which may take long, a signal ends the process at once.
    let signals = StopSignals::listen(file_too_large)?;
    info!(address:% = application.address(), database:%, version = env!("CARGO_PKG_VERSION"); "listening");
    if let Some(key) = demo_key {
        warn!("the published demo keys are in force: remove them before a proxy or a forwarded port leads here");
        // Standard output may be closed; the log has said it all.
        let _ = print_line(&welcome(application.address(), &key));
    }
    application.run_until(signals.stop(log)).await?;
    info!("stopped");
    Ok(())
}

/// A key that everybody knows, and may be printed.
fn demo_key(config: &Config) -> Option<String> {
    let mut keys = config.organisations.iter().flat_map(|organisation| &organisation.api_keys);
    keys.find(|key| key.is_demo()).map(|key| key.expose().to_owned())
}

fn welcome(address: SocketAddr, key: &str) -> String {
    let host = match address.ip() {
        ip if ip.is_unspecified() => IpAddr::from(Ipv4Addr::LOCALHOST),
        ip => ip,
    };
    let address = SocketAddr::new(host, address.port());
    format!(
        r#"magic-auth listens on http://{address} - try it:

  curl -X POST "http://{address}/api/v1/customer/magic-auth?apiKey={key}" \
    -H "Content-Type: application/json" \
    -d '{{"email": "jan@barasek.com", "firstName": "Jan", "lastName": "Barášek", "customerRealIp": "1.1.1.1"}}'
"#
    )
}

/// The signals that end the server.
struct StopSignals {
    interrupt: Signal,
    terminate: Signal,
    file_too_large: Signal,
}

impl StopSignals {
    fn listen(file_too_large: Signal) -> std::io::Result<Self> {
        let [interrupt, terminate] = [SignalKind::interrupt(), SignalKind::terminate()].map(signal);
        Ok(Self { interrupt: interrupt?, terminate: terminate?, file_too_large })
    }

    /// Completes at the first signal; the second one ends the process at once.
    async fn stop(mut self, log: Log) {
        self.next().await;
        info!("stopping: finishing what is under way; the next signal stops at once");
        actix_web::rt::spawn(async move {
            self.next().await;
            warn!("stopped by a second signal");
            log.finish();
            std::process::exit(1);
        });
    }

    async fn next(&mut self) {
        loop {
            tokio::select! {
                _ = self.interrupt.recv() => return,
                _ = self.terminate.recv() => return,
                _ = self.file_too_large.recv() => warn!("a file cannot grow: the system's file size limit is reached (ulimit -f)"),
            }
        }
    }
}
