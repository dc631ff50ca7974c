//! The routes and their answers.
//!
//! Law: every path of the API answers with its own content type, is never cached, and takes no body; every other path
//! is a 404. The page loads nothing from anywhere else, and the browser is told to hold it to that.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tokio::sync::Mutex;

use super::{Page, last_hour, tables};
use crate::clock;

const PAGE: &str = include_str!("page.html");
const HTML: &str = "text/html; charset=utf-8";
pub(super) const JSON: &str = "application/json";
const TEXT: &str = "text/plain; charset=utf-8";
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const POLICY: &str = "default-src 'none'; connect-src 'self'; img-src data:; script-src 'unsafe-inline'; \
                      style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'";

/// An answer from the database stands for this many times as long as it took, so that pages together keep
/// no more than this part of a core busy, and one is as fresh as its cost allows.
const REST: u32 = 10;

pub(super) struct Shared {
    pub(super) page: Page,
    /// The last answer about the last hour. Its lock is held while the next one is made: others wait for that one.
    last_hour: Mutex<Option<Answer>>,
}

struct Answer {
    body: String,
    done: Instant,
    took: Duration,
}

/// All routes.
pub(super) fn router(page: Page) -> Router {
    let shared = Arc::new(Shared {
        page,
        last_hour: Mutex::new(None),
    });
    Router::new()
        .route("/", get(page_html))
        .route("/metrics", get(metrics))
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/api/status", get(status))
        .route("/api/last-hour", get(hour))
        .route("/api/tables", get(tables::list))
        .route("/api/tables/reload", post(tables::reload))
        .fallback(not_found)
        .with_state(shared)
}

pub(super) fn answer(code: StatusCode, kind: &'static str, body: impl Into<String>) -> Response {
    let headers = [(CONTENT_TYPE, kind), (CACHE_CONTROL, "no-store")];
    (code, headers, body.into()).into_response()
}

pub(super) fn failed(code: StatusCode, error: &str) -> Response {
    answer(
        code,
        JSON,
        serde_json::json!({ "error": error }).to_string(),
    )
}

async fn page_html() -> Response {
    let page = answer(StatusCode::OK, HTML, PAGE);
    ([(CONTENT_SECURITY_POLICY, POLICY)], page).into_response()
}

async fn not_found() -> Response {
    answer(StatusCode::NOT_FOUND, TEXT, "not here; the page is at /\n")
}

async fn livez() -> Response {
    answer(StatusCode::OK, TEXT, "alive\n")
}

async fn readyz(State(shared): State<Arc<Shared>>) -> Response {
    if (shared.page.ready)() {
        answer(StatusCode::OK, TEXT, "ready\n")
    } else {
        answer(StatusCode::SERVICE_UNAVAILABLE, TEXT, "not ready yet\n")
    }
}

async fn metrics(State(shared): State<Arc<Shared>>, RawQuery(query): RawQuery) -> Response {
    let mut text = String::new();
    if let Err(error) = prometheus_client::encoding::text::encode(&mut text, &shared.page.registry)
    {
        let code = StatusCode::INTERNAL_SERVER_ERROR;
        return answer(code, TEXT, format!("{error}\n"));
    }
    match query.as_deref() {
        None | Some("") => answer(StatusCode::OK, OPEN_METRICS, text),
        Some("names=goflow") => {
            let goflow = shared.page.goflow.as_ref();
            let added = goflow.map_or(String::new(), |goflow| goflow.text(clock::now_ns()));
            answer(StatusCode::OK, PROMETHEUS, prometheus(&text) + &added)
        }
        Some(_) => {
            let known = "give no parameter, or names=goflow\n";
            answer(StatusCode::BAD_REQUEST, TEXT, known)
        }
    }
}

/// OpenMetrics as the older text format, in which GoFlow's names, that end as they like, can stand beside: no end mark,
/// and a counter is known by the name that its samples bear.
fn prometheus(open_metrics: &str) -> String {
    let mut text = String::with_capacity(open_metrics.len());
    let mut counters = std::collections::BTreeSet::new();
    let mut types = open_metrics
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "));
    counters.extend(
        types
            .by_ref()
            .filter_map(|line| line.strip_suffix(" counter")),
    );
    for line in open_metrics.lines().filter(|line| *line != "# EOF") {
        let named = ["# HELP ", "# TYPE "]
            .iter()
            .find_map(|mark| Some((*mark, line.strip_prefix(mark)?.split_once(' ')?)));
        match named {
            Some((mark, (name, rest))) if counters.contains(name) => {
                text.push_str(&format!("{mark}{name}_total {rest}\n"));
            }
            _ => {
                text.push_str(line);
                text.push('\n');
            }
        }
    }
    text
}

async fn status(State(shared): State<Arc<Shared>>) -> Response {
    answer(StatusCode::OK, JSON, (shared.page.status)().to_string())
}

async fn hour(State(shared): State<Arc<Shared>>) -> Response {
    let mut last = shared.last_hour.lock().await;
    if let Some(known) = &*last
        && known.done.elapsed() < known.took.saturating_mul(REST)
    {
        return answer(StatusCode::OK, JSON, known.body.clone());
    }
    let file = shared.page.last_hour.clone();
    let begun = Instant::now();
    let read = tokio::task::spawn_blocking(move || last_hour::read(file.as_deref())).await;
    let body = match read {
        Ok(Ok(hour)) => hour.to_string(),
        Ok(Err(error)) => return failed(StatusCode::SERVICE_UNAVAILABLE, &error.to_string()),
        Err(error) => return failed(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    };
    let response = answer(StatusCode::OK, JSON, body.clone());
    *last = Some(Answer {
        body,
        done: Instant::now(),
        took: begun.elapsed(),
    });
    response
}
