//! What an administrator does to a topic of a real broker: more partitions, fewer records, another topic of the same name.
//! And what he asks: which broker leads a partition.

use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::KafkaResult;
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

/// How long a broker may take to tell what it knows.
const ANSWER: Duration = Duration::from_secs(5);

/// A client beside the program's own, for one topic.
pub(crate) struct Admin {
    client: AdminClient<DefaultClientContext>,
    runtime: tokio::runtime::Runtime,
    topic: String,
}

impl Admin {
    /// Of the topic of a URL.
    pub(crate) fn of(url: &str) -> Admin {
        let (broker, topic) = parts(url);
        let client = ClientConfig::new()
            .set("bootstrap.servers", broker)
            .create()
            .expect("a client");
        Admin {
            client,
            runtime: tokio::runtime::Builder::new_current_thread()
                .build()
                .expect("a runtime"),
            topic: topic.to_owned(),
        }
    }

    /// Gives it so many partitions.
    pub(crate) fn grow(&self, partitions: usize) {
        let new = NewPartitions::new(&self.topic, partitions);
        let options = AdminOptions::new();
        let grown = self.client.create_partitions([&new], &options);
        one(self.runtime.block_on(grown)).expect("more partitions");
    }

    /// As retention does: deletes what is below these offsets.
    pub(crate) fn expire(&self, below: impl Iterator<Item = (u32, u64)>) {
        let mut list = TopicPartitionList::new();
        for (partition, offset) in below {
            let partition = i32::try_from(partition).expect("a number");
            let offset = Offset::Offset(i64::try_from(offset).expect("a number"));
            list.add_partition_offset(&self.topic, partition, offset)
                .expect("a place");
        }
        let options = AdminOptions::new();
        let gone = self.client.delete_records(&list, &options);
        for element in self.runtime.block_on(gone).expect("an answer").elements() {
            element.error().expect("deleted");
        }
    }

    /// The leader of each partition and the number of its replicas in sync; `None`: nobody says.
    pub(crate) fn leaders(&self) -> Option<Vec<(i32, usize)>> {
        let client = self.client.inner();
        let told = client.fetch_metadata(Some(&self.topic), ANSWER).ok()?;
        let mut of: Vec<_> = told.topics().first()?.partitions().iter().collect();
        of.sort_by_key(|partition| partition.id());
        let each = of.iter().map(|one| (one.leader(), one.isr().len()));
        Some(each.collect())
    }

    /// Deletes it.
    pub(crate) fn delete(&self) {
        let options = AdminOptions::new();
        let gone = self.client.delete_topics(&[&self.topic], &options);
        one(self.runtime.block_on(gone)).expect("deleted");
    }
}

/// Broker and topic of a URL.
pub(crate) fn parts(url: &str) -> (&str, &str) {
    let (_, place) = url.split_once("://").expect("a URL");
    place.rsplit_once('/').expect("a topic")
}

/// The answer about the one topic.
fn one(
    answers: KafkaResult<Vec<Result<String, (String, RDKafkaErrorCode)>>>,
) -> Result<String, (String, RDKafkaErrorCode)> {
    answers.expect("an answer").remove(0)
}
