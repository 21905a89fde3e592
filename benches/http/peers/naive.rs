//! A durable transaction for each request, over a pool of connections: as most would write it first.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use actix_web::error::ErrorInternalServerError;
use actix_web::{HttpResponse, web};
use r2d2_sqlite::SqliteConnectionManager;
use rusqlite::{OptionalExtension as _, TransactionBehavior, params};
use sha2::{Digest as _, Sha256};

use super::SignIn;

/// Where sign-ins are written.
#[derive(Clone)]
pub(super) struct Desk {
    pool: r2d2::Pool<SqliteConnectionManager>,
    /// With a turn, one after another writes, and nobody asks SQLite for a lock in vain.
    turn: Option<Arc<Mutex<()>>>,
}

impl Desk {
    pub(super) fn open(database: &Path, is_serialised: bool) -> anyhow::Result<Self> {
        let manager = SqliteConnectionManager::file(database).with_init(|connection| {
            connection.busy_timeout(Duration::from_secs(30))?;
            connection.pragma_update(None, "synchronous", "full")?;
            connection.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))
        });
        let pool = r2d2::Pool::builder().max_size(8).build(manager)?;
        Ok(Self { pool, turn: is_serialised.then(Arc::default) })
    }

    pub(super) fn routes(self) -> impl Fn(&mut web::ServiceConfig) + Clone + Send + 'static {
        let desk = web::Data::new(self);
        move |config| {
            config.app_data(desk.clone()).route("/api/v1/customer/magic-auth", web::post().to(sign_in));
        }
    }

    fn sign_in(&self, body: &SignIn) -> anyhow::Result<String> {
        let mut connection = self.pool.get()?;
        let _turn = self.turn.as_ref().map(|turn| turn.lock().unwrap_or_else(PoisonError::into_inner));
        let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let found: Option<i64> = tx
            .prepare_cached("SELECT id FROM customers WHERE email = ?1")?
            .query_row([&body.email], |row| row.get(0))
            .optional()?;
        let customer = match found {
            Some(id) => id,
            None => tx
                .prepare_cached(
                    "INSERT INTO customers (email, reference, first_name, last_name) VALUES (?1, ?2, ?3, ?4)",
                )?
                .insert(params![body.email, nanoid::nanoid!(16), body.first_name, body.last_name])?,
        };
        let token = nanoid::nanoid!(32);
        let now = i64::try_from(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_millis())?;
        tx.prepare_cached("INSERT INTO sessions (digest, customer_id, ip, expires_at) VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![&Sha256::digest(&token)[..], customer, body.customer_real_ip, now + 90 * 86_400_000])?;
        tx.prepare_cached("INSERT INTO attempts (customer_id, ip, at) VALUES (?1, ?2, ?3)")?.execute(params![
            customer,
            body.customer_real_ip,
            now
        ])?;
        tx.commit()?;
        Ok(token)
    }
}

async fn sign_in(desk: web::Data<Desk>, body: web::Bytes) -> actix_web::Result<HttpResponse> {
    let body: SignIn = serde_json::from_slice(&body)?;
    let token = web::block(move || desk.sign_in(&body)).await?.map_err(ErrorInternalServerError)?;
    Ok(HttpResponse::Ok().json(serde_json::json!({"success": true, "identityId": token})))
}
