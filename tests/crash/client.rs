//! The service as a caller sees it: what was answered as a whole, or no answer.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, anyhow, ensure};
use serde_json::{Value, json};

/// Why a caller stops.
#[derive(Debug, thiserror::Error)]
pub enum Stop {
    /// The connection broke before the answer was there: nothing is acknowledged.
    #[error("no answer: {0}")]
    Unanswered(ureq::Error),
    /// The connection broke within the answer: nothing is acknowledged either.
    #[error("a part of an answer: {0}")]
    Torn(ureq::Error),
    /// The service has done what it must not.
    #[error(transparent)]
    Wrong(#[from] anyhow::Error),
}

/// What a sign-in was answered with.
pub enum SignIn {
    SignedIn(String),
    Banned,
}

/// What is known of a session.
pub enum AccountInfo {
    LoggedIn { cu_ref_no: String, is_banned: bool },
    NotLoggedIn,
}

/// A caller with a key.
pub struct Client {
    agent: ureq::Agent,
    url: String,
    key: String,
}

impl Client {
    pub fn new(address: SocketAddr, key: &str) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(30)))
            // Before the server closes it: that would look like a death.
            .max_idle_age(Duration::from_secs(1))
            .proxy(None)
            .build();
        Self { agent: config.into(), url: format!("http://{address}/api/v1"), key: key.to_owned() }
    }

    pub fn sign_in(&self, address: &str) -> Result<SignIn, Stop> {
        let answer = self.post("customer/magic-auth", &json!({ "email": address }))?;
        match (answer["identityId"].as_str(), answer["errorCode"].as_str()) {
            (Some(identity), None) => Ok(SignIn::SignedIn(identity.to_owned())),
            (None, Some("E005")) => Ok(SignIn::Banned),
            _ => Err(anyhow!("a sign-in was answered with {answer}").into()),
        }
    }

    pub fn log_out(&self, identity: &str) -> Result<(), Stop> {
        let answer = self.post("customer/logout", &json!({ "identityId": identity }))?;
        Ok(ensure_eq(&answer, &json!({ "success": true }))?)
    }

    pub fn account_info(&self, identity: &str) -> Result<AccountInfo, Stop> {
        let answer = self.get(&format!("customer/get-account-info?identityId={identity}&apiKey={}", self.key))?;
        if answer == json!({ "loggedIn": false }) {
            return Ok(AccountInfo::NotLoggedIn);
        }
        let logged_in = || {
            let cu_ref_no = answer["cuRefNo"].as_str()?.to_owned();
            Some(AccountInfo::LoggedIn { cu_ref_no, is_banned: answer["ban"].as_bool()? })
        };
        Ok(logged_in().with_context(|| format!("account info: {answer}"))?)
    }

    /// Whether the key is in force.
    pub fn ping(&self) -> Result<bool, Stop> {
        let (status, _) = read(self.agent.get(format!("{}/ping?apiKey={}", self.url, self.key)).call())?;
        match status {
            200 => Ok(true),
            401 => Ok(false),
            _ => Err(anyhow!("a ping was answered with status {status}").into()),
        }
    }

    fn post(&self, path: &str, body: &Value) -> Result<Value, Stop> {
        let request = self.agent.post(format!("{}/{path}?apiKey={}", self.url, self.key));
        accepted(read(request.header("content-type", "application/json").send(body.to_string()))?)
    }

    fn get(&self, path_and_query: &str) -> Result<Value, Stop> {
        accepted(read(self.agent.get(format!("{}/{path_and_query}", self.url)).call())?)
    }
}

/// Reads the whole answer.
fn read(answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Result<(u16, String), Stop> {
    let mut answer = answer.map_err(|error| broken(error, Stop::Unanswered))?;
    let text = answer.body_mut().read_to_string().map_err(|error| broken(error, Stop::Torn))?;
    Ok((answer.status().as_u16(), text))
}

fn broken(error: ureq::Error, to: impl FnOnce(ureq::Error) -> Stop) -> Stop {
    match error {
        ureq::Error::Timeout(_) => Stop::Wrong(error.into()),
        _ => to(error),
    }
}

fn accepted((status, text): (u16, String)) -> Result<Value, Stop> {
    let parsed = || {
        ensure!(status == 200, "status {status}: {text}");
        serde_json::from_str(&text).with_context(|| format!("no JSON: {text}"))
    };
    Ok(parsed()?)
}

fn ensure_eq(found: &Value, expected: &Value) -> anyhow::Result<()> {
    ensure!(found == expected, "{found} instead of {expected}");
    Ok(())
}
