//! Making a topic, and asking for its settings.
//!
//! Why apart: these need a client of their own, for the moment of asking. Law: a topic of which the settings may not
//! be read is usable all the same; what Kafka does by default is taken for granted then, and said.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};

use super::client::Voice;
use super::config::Settings;
use super::{errors, link};
use crate::metrics::KafkaMetrics;
use crate::{Options, Timestamps, TopicError};

/// How long the brokers may take.
const ANSWER: Duration = Duration::from_secs(10);

/// How long they may take to tell settings, which a topic can do without.
const SETTINGS: Duration = Duration::from_secs(5);

/// A client for making and describing.
pub(super) struct Admin {
    client: AdminClient<Voice>,
    settings: Settings,
    url: String,
}

impl Admin {
    pub(super) fn open(settings: &Settings, metrics: KafkaMetrics) -> Result<Admin, TopicError> {
        let url = settings.address.url();
        let voice = Voice::new("admin", &url, metrics);
        let client = settings.admin().create_with_context(voice);
        Ok(Admin {
            client: client.map_err(|e| errors::of(&url, "ask", &e, None))?,
            settings: settings.clone(),
            url,
        })
    }

    /// Makes the topic.
    pub(super) fn create(&self, options: &Options) -> Result<(), TopicError> {
        // By simulated time nothing is too old: brokers would delete it while it is being written.
        let unlimited = (options.timestamps == Timestamps::Create).then_some(-1);
        let millis = options.retention.age_millis.or(unlimited);
        let millis = millis.map(|millis| millis.to_string());
        let bytes = options.retention.bytes.map(|bytes| bytes.to_string());
        let name = &self.settings.address.topic;
        // -1: the brokers' default.
        let replicas = TopicReplication::Fixed(options.replication.map_or(-1, i32::from));
        let mut new = NewTopic::new(name, link::number(options.partitions), replicas).set(
            "message.timestamp.type",
            match options.timestamps {
                Timestamps::Append => "LogAppendTime",
                Timestamps::Create => "CreateTime",
            },
        );
        let retention = [("retention.ms", &millis), ("retention.bytes", &bytes)];
        for (setting, value) in retention {
            if let Some(value) = value {
                new = new.set(setting, value);
            }
        }
        let limits = AdminOptions::new()
            .request_timeout(Some(ANSWER))
            .operation_timeout(Some(ANSWER));
        let asked = block_on(self.client.create_topics([&new], &limits));
        let results = asked.map_err(|e| self.error("make it", &e))?;
        match results.into_iter().next() {
            Some(Err((_, RDKafkaErrorCode::TopicAlreadyExists))) => Err(TopicError::Exists {
                url: self.url.clone(),
            }),
            Some(Err((
                _,
                code @ (RDKafkaErrorCode::InvalidPartitions
                | RDKafkaErrorCode::InvalidReplicationFactor
                | RDKafkaErrorCode::InvalidTopic
                | RDKafkaErrorCode::InvalidConfig
                | RDKafkaErrorCode::PolicyViolation),
            ))) => Err(TopicError::BadOptions {
                url: self.url.clone(),
                what: code.to_string(),
            }),
            Some(Err((_, code))) => Err(self.error("make it", &KafkaError::AdminOp(code))),
            _ => Ok(()),
        }
    }

    /// The topic's settings, by name.
    pub(super) fn settings(&self) -> Result<BTreeMap<String, String>, TopicError> {
        let name = ResourceSpecifier::Topic(&self.settings.address.topic);
        let limits = AdminOptions::new().request_timeout(Some(SETTINGS));
        let asked: KafkaResult<_> = block_on(self.client.describe_configs([&name], &limits));
        let described = asked.map_err(|e| self.error("ask for its settings", &e))?;
        let resource = match described.into_iter().next() {
            Some(Ok(resource)) => resource,
            Some(Err(code)) => {
                return Err(self.error("ask for its settings", &KafkaError::AdminOp(code)));
            }
            None => return Ok(BTreeMap::new()),
        };
        let entries = resource.entries.into_iter();
        Ok(entries
            .filter(|entry| !entry.is_sensitive)
            .filter_map(|entry| Some((entry.name, entry.value?)))
            .collect())
    }

    fn error(&self, what: &str, error: &KafkaError) -> TopicError {
        errors::of(&self.url, what, error, self.client.inner().context().last())
    }
}

/// Wakes the thread that waits in `block_on`.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits for a future whose work is done by a thread of librdkafka.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(value) => return value,
            Poll::Pending => std::thread::park(),
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_future_that_another_thread_completes() {
        let mut times = 0;
        let value = super::block_on(std::future::poll_fn(|context| {
            times += 1;
            if times == 3 {
                return std::task::Poll::Ready(times);
            }
            let waker = context.waker().clone();
            std::thread::spawn(move || waker.wake());
            std::task::Poll::Pending
        }));
        assert_eq!(value, 3);
    }
}
