//! HTTP for the object store's client: hyper, and TLS by OpenSSL, as the ClickHouse sink has them.
//!
//! object_store would bring reqwest and a second TLS stack (docs/adr/0006). Law: no connection without TLS unless the
//! endpoint was given with `http://`.

use async_trait::async_trait;
use http_body_util::BodyExt;
use hyper_tls::HttpsConnector;
use hyper_util::client::legacy::connect::HttpConnector as Tcp;
use hyper_util::client::legacy::{Client, Error as ClientError};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use object_store::ClientOptions;
use object_store::client::{
    ClientConfigKey, HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest,
    HttpRequestBody, HttpResponse, HttpResponseBody, HttpService,
};
use std::time::Duration;

/// For a connection to be made.
const CONNECT: Duration = Duration::from_secs(5);
/// Kept for the next request; servers close idle ones after 20 s or more.
const IDLE: Duration = Duration::from_secs(15);

/// Makes the client.
#[derive(Debug)]
pub(crate) struct Connector;

impl HttpConnector for Connector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let mut tcp = Tcp::new();
        tcp.enforce_http(false);
        tcp.set_connect_timeout(Some(CONNECT));
        tcp.set_nodelay(true);
        let tls =
            native_tls::TlsConnector::new().map_err(|error| object_store::Error::Generic {
                store: "S3",
                source: Box::new(error),
            })?;
        let mut connector = HttpsConnector::from((tcp, tls.into()));
        let http = options.get_config_value(&ClientConfigKey::AllowHttp);
        connector.https_only(http.as_deref() != Some("true"));
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE)
            .pool_timer(TokioTimer::new())
            .build(connector);
        Ok(HttpClient::new(Service { client }))
    }
}

#[derive(Debug)]
struct Service {
    client: Client<HttpsConnector<Tcp>, HttpRequestBody>,
}

#[async_trait]
impl HttpService for Service {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let response = self.client.request(request).await.map_err(of_client)?;
        let (parts, body) = response.into_parts();
        let lost = |error| HttpError::new(HttpErrorKind::Interrupted, error);
        let body = HttpResponseBody::new(body.map_err(lost));
        Ok(HttpResponse::from_parts(parts, body))
    }
}

/// Only what never got through is `Connect`: that is tried again even where a second try could be told of the first.
fn of_client(error: ClientError) -> HttpError {
    let kind = if error.is_connect() {
        HttpErrorKind::Connect
    } else {
        HttpErrorKind::Interrupted
    };
    HttpError::new(kind, error)
}
