//! The tables of a job over HTTP: which are in force, and load them again.
//!
//! Law: to look is free; to change something takes the token, and without one configured nothing can be changed.

use std::sync::Arc;
use std::sync::mpsc::{self, SyncSender};
use std::time::Duration;

use axum::extract::{RawQuery, State};
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use flow_peers::Token;
use flow_state::{Checkpoint, Published};
use serde_json::{Value, json};

use super::routes::{JSON, Shared, answer, failed};
use crate::progress::time;
use crate::tables::list::amended;
use crate::tables::reload::{Order, Reloaded};

/// How long a load may take.
const PATIENCE: Duration = Duration::from_secs(300);

/// What is served of them.
#[derive(Clone)]
pub(crate) struct Tables {
    published: Arc<Published>,
    orders: SyncSender<Order>,
    token: Option<Token>,
}

impl Tables {
    pub(crate) fn new(
        published: Arc<Published>,
        orders: SyncSender<Order>,
        token: Option<Token>,
    ) -> Tables {
        Tables {
            published,
            orders,
            token,
        }
    }

    /// Why a request may not change anything.
    fn refuses(&self, headers: &HeaderMap) -> Option<(StatusCode, &'static str)> {
        let Some(token) = &self.token else {
            let why =
                "nothing can be changed over HTTP: the job was started without --admin-token-file";
            return Some((StatusCode::FORBIDDEN, why));
        };
        let given = headers.get(AUTHORIZATION).and_then(|it| it.to_str().ok());
        let given = given.and_then(|it| it.split_once(' '));
        let given = given.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        let given = given.map(|(_, given)| given);
        match given.is_some_and(|given| token.is(given)) {
            true => None,
            false => Some((
                StatusCode::UNAUTHORIZED,
                "give the token of --admin-token-file, as `Authorization: Bearer TOKEN`",
            )),
        }
    }

    /// Blocks until they are loaded, or refused.
    fn reload(&self, force: bool) -> Result<Reloaded, String> {
        let (answer, answered) = mpsc::sync_channel(1);
        let busy = "other loads are under way; try again in a while".to_owned();
        self.orders
            .try_send(Order { force, answer })
            .map_err(|_| busy.clone())?;
        answered.recv_timeout(PATIENCE).map_err(|_| busy)?
    }
}

/// `GET /api/tables`.
pub(super) async fn list(State(shared): State<Arc<Shared>>) -> Response {
    match &shared.page.tables {
        None => failed(StatusCode::NOT_FOUND, "no job runs in this process"),
        Some(tables) => {
            let newest = tables.published.newest();
            answer(StatusCode::OK, JSON, json(newest.as_deref()).to_string())
        }
    }
}

/// Versions and outcomes as the newest checkpoint has them.
fn json(newest: Option<&Checkpoint>) -> Value {
    let Some(newest) = newest else {
        return json!({ "versions": [], "requests": [], "amended": [] });
    };
    let versions = newest.timeline.versions.iter().map(|(from, version)| {
        let from = (*from > 0).then(|| time(*from));
        json!({ "version": version.number, "from_slot": from, "hash": version.hash })
    });
    let requests = newest.swaps.outcomes.iter().map(|it| match &it.result {
        Ok(version) => json!({ "request": it.request, "version": version }),
        Err(why) => json!({ "request": it.request, "refused": why }),
    });
    json!({ "versions": versions.collect::<Vec<_>>(), "requests": requests.collect::<Vec<_>>(),
            "amended": amended(newest).collect::<Vec<_>>() })
}

/// `POST /api/tables/reload`, with `?force=1` whether plausible or not.
pub(super) async fn reload(
    State(shared): State<Arc<Shared>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let Some(tables) = shared.page.tables.clone() else {
        return failed(StatusCode::NOT_FOUND, "no job runs in this process");
    };
    if let Some((code, why)) = tables.refuses(&headers) {
        return failed(code, why);
    }
    let force = match query.as_deref() {
        None | Some("" | "force=0") => false,
        Some("force=1") => true,
        Some(_) => return failed(StatusCode::BAD_REQUEST, "give no parameter, or force=1"),
    };
    match tokio::task::spawn_blocking(move || tables.reload(force)).await {
        Ok(Ok(Reloaded::Unchanged { swapped })) => {
            let body = json!({ "unchanged": true, "swapped_in": swapped }).to_string();
            answer(StatusCode::OK, JSON, body)
        }
        Ok(Ok(Reloaded::Asked(request))) => {
            let body = json!({ "request": request }).to_string();
            answer(StatusCode::ACCEPTED, JSON, body)
        }
        Ok(Err(why)) => failed(StatusCode::UNPROCESSABLE_ENTITY, &why),
        Err(error) => failed(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}
