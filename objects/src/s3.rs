//! The client of an S3-compatible store: an address, and credentials from the environment or the machine's role.
//!
//! Law 5: a put if absent is `If-None-Match: *`, on whatever the environment says of it.

use std::sync::Arc;
use std::time::Duration;

use flow_state::StateError;
use object_store::aws::{AmazonS3Builder, S3ConditionalPut};
use object_store::{BackoffConfig, ClientOptions, RetryConfig};

use crate::connector::Connector;
use crate::digest::Digests;
use crate::remote::Remote;
use crate::url::Address;

/// Tries after the first within one call; whoever calls tries again anyway, and says so.
const RETRIES: usize = 3;

/// The bucket's objects; nothing is asked yet.
pub(crate) fn connect(address: &Address) -> Result<Remote, StateError> {
    let plain = address
        .endpoint
        .as_ref()
        .is_some_and(|endpoint| endpoint.starts_with("http://"));
    let mut builder = AmazonS3Builder::from_env()
        .with_client_options(ClientOptions::new())
        .with_bucket_name(&address.bucket)
        .with_allow_http(plain)
        .with_conditional_put(S3ConditionalPut::ETagMatch)
        // One object a request, which every store can; Google's cannot do many.
        .with_disable_bulk_delete(true)
        .with_crypto_provider(Arc::new(Digests))
        .with_http_connector(Connector)
        .with_retry(RetryConfig {
            backoff: BackoffConfig {
                init_backoff: Duration::from_millis(100),
                max_backoff: Duration::from_secs(2),
                base: 2.,
            },
            max_retries: RETRIES,
            retry_timeout: Duration::from_secs(10),
        });
    if let Some(endpoint) = &address.endpoint {
        builder = builder.with_endpoint(endpoint);
    }
    if let Some(region) = &address.region {
        builder = builder.with_region(region);
    }
    let unusable = |what: String| StateError::Unusable {
        path: address.shown(),
        what,
    };
    let store = builder
        .build()
        .map_err(|error| unusable(unbuilt(&error.to_string())))?;
    Remote::new(Arc::new(store), &address.prefix)
        .map_err(|error| unusable(format!("no thread can be started for it: {error}")))
}

/// Why there is no client, in one line.
fn unbuilt(said: &str) -> String {
    // The client's own words name fields, and half a pair of keys is by far the most frequent cause.
    let half = |has: &str, lacks: &str| {
        format!(
            "{has} is set and {lacks} is not; set both, or neither where the machine has a role"
        )
    };
    if said.contains("Missing SecretAccessKey") {
        half("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    } else if said.contains("Missing AccessKeyId") {
        half("AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID")
    } else {
        said.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}
