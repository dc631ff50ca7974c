//! From librdkafka's errors to ours: what ends the work, and what is tried again.
//!
//! Law: a broker that is away ends nothing; a topic that is gone, or a right that is missing, does.

use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::client::Complaint;
use crate::TopicError;

/// OpenSSL's words for a certificate of an unknown authority, of another name, or out of its time.
const UNVERIFIED: &str = "certificate verify failed";

/// Whether trying again cannot help: a right is missing, or the client's own state is broken.
pub(super) fn is_denied(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode as C;
    matches!(
        code,
        C::TopicAuthorizationFailed
            | C::ClusterAuthorizationFailed
            | C::Authentication
            | C::SaslAuthenticationFailed
            | C::UnsupportedSASLMechanism
    )
}

/// Whether the topic, or a partition of it, is not there (any more).
pub(super) fn is_unknown(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode as C;
    matches!(
        code,
        C::UnknownTopic | C::UnknownTopicOrPartition | C::UnknownPartition
    )
}

/// Whether a partition's leader has changed, or is being chosen: who asks again finds it.
pub(super) fn is_moving(error: &KafkaError) -> bool {
    use RDKafkaErrorCode as C;
    matches!(
        error.rdkafka_error_code(),
        Some(
            C::LeaderNotAvailable
                | C::NotLeaderForPartition
                | C::ReplicaNotAvailable
                | C::FencedLeaderEpoch
                | C::UnknownLeaderEpoch
                | C::OffsetNotAvailable
        )
    )
}

/// The error of trying to do `what` with the topic `url`. `last`: what the connection has complained of before.
pub(super) fn of(url: &str, what: &str, error: &KafkaError, last: Option<Complaint>) -> TopicError {
    let url = url.to_owned();
    if let KafkaError::ClientConfig(_, what, _, _) | KafkaError::ClientCreation(what) = error {
        // librdkafka names the property; its value may be secret and is not told.
        return TopicError::BadOptions {
            url,
            what: what.clone(),
        };
    }
    let (code, cause) = match (error.rdkafka_error_code(), last) {
        // These say only that nothing came of it; the connection knows why.
        (Some(code), Some((why, cause))) if is_silence(code) => (why.or(Some(code)), cause),
        (Some(code), _) => (Some(code), code.to_string()),
        (None, _) => (None, error.to_string()),
    };
    let what = what.to_owned();
    match code {
        Some(code) if is_unknown(code) => TopicError::Missing { url },
        // librdkafka has one code for every failure of TLS, also for a connection that was cut.
        Some(RDKafkaErrorCode::SSL) if cause.contains(UNVERIFIED) => {
            TopicError::Untrusted { url, what, cause }
        }
        Some(code) if is_denied(code) => TopicError::Denied { url, what, cause },
        _ => TopicError::Unreachable { url, what, cause },
    }
}

fn is_silence(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode as C;
    matches!(
        code,
        C::OperationTimedOut
            | C::RequestTimedOut
            | C::MessageTimedOut
            | C::QueueFull
            | C::PurgeQueue
            | C::PurgeInflight
            | C::Fatal
            | C::BrokerTransportFailure
            | C::AllBrokersDown
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_says_what_to_expect() {
        use RDKafkaErrorCode as C;
        let of = |code| {
            of(
                "kafka://h/t",
                "read",
                &KafkaError::MetadataFetch(code),
                None,
            )
        };
        assert!(matches!(
            of(C::UnknownTopicOrPartition),
            TopicError::Missing { .. }
        ));
        assert!(matches!(
            of(C::TopicAuthorizationFailed),
            TopicError::Denied { .. }
        ));
        assert!(matches!(
            of(C::BrokerTransportFailure),
            TopicError::Unreachable { .. }
        ));
        let error = super::of(
            "kafka://h/t",
            "read",
            &KafkaError::MetadataFetch(C::OperationTimedOut),
            Some((
                Some(C::BrokerTransportFailure),
                "connection refused".to_owned(),
            )),
        );
        assert_eq!(
            error.to_string(),
            "kafka://h/t: the brokers do not let us read: connection refused"
        );
        let tls = |cause: &str| {
            let why = Some((Some(C::SSL), cause.to_owned()));
            let silent = KafkaError::MetadataFetch(C::BrokerTransportFailure);
            super::of("kafka://h/t", "read", &silent, why)
        };
        let error = tls("SSL handshake failed: certificate verify failed: self-signed");
        assert!(matches!(error, TopicError::Untrusted { .. }), "{error}");
        let error = tls("SSL handshake failed: Disconnected");
        assert!(matches!(error, TopicError::Unreachable { .. }), "{error}");
        let silent = KafkaError::MetadataFetch(C::BrokerTransportFailure);
        let wrong = Some((Some(C::Authentication), "wrong password".to_owned()));
        let error = super::of("kafka://h/t", "read", &silent, wrong);
        assert!(matches!(error, TopicError::Denied { .. }), "{error}");
    }
}
