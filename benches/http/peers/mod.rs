//! The servers that the benchmark brings itself. They run in a process of their own, of the same executable.

mod ceiling;
mod naive;

use std::path::Path;
use std::process::Command;

use actix_web::{App, HttpServer, web};
use clap::ValueEnum;
use serde::Deserialize;

/// Which of them.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Peer {
    Ceiling,
    Naive,
    Serialised,
}

/// The body of a sign-in.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SignIn {
    email: String,
    first_name: Option<String>,
    last_name: Option<String>,
    customer_real_ip: Option<String>,
}

impl Peer {
    /// The command that runs it.
    pub fn command(self, database: &Path) -> std::io::Result<Command> {
        let name = self.to_possible_value().map(|value| value.get_name().to_owned());
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("--serve").args(name).arg("--database").arg(database);
        Ok(command)
    }

    /// Serves until it is killed.
    pub fn serve(self, database: &Path) -> anyhow::Result<()> {
        match self {
            Self::Ceiling => serve(ceiling::routes),
            Self::Naive => serve(naive::Desk::open(database, false)?.routes()),
            Self::Serialised => serve(naive::Desk::open(database, true)?.routes()),
        }
    }
}

fn serve(routes: impl Fn(&mut web::ServiceConfig) + Clone + Send + 'static) -> anyhow::Result<()> {
    let server = HttpServer::new(move || App::new().configure(&routes)).bind(("127.0.0.1", 0))?;
    for address in server.addrs() {
        println!("http://{address}");
    }
    Ok(actix_web::rt::System::new().block_on(server.run())?)
}
