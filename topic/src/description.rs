//! What there is to know about a topic, for people.
//!
//! Why a type and not text: the command line prints it as a table or as JSON.
//! Law: nothing in it is secret.

use std::collections::BTreeMap;

use crate::{Bounds, Timestamps, TopicError};

/// A topic as its keeper describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// Its URL without secrets.
    pub url: String,
    /// Who sets its timestamps.
    pub timestamps: Timestamps,
    /// In order of their numbers.
    pub partitions: Vec<PartitionDescription>,
    /// Its settings, in the keeper's own words.
    pub settings: BTreeMap<String, String>,
}

/// One partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionDescription {
    /// Its number.
    pub partition: u32,
    /// Its offsets.
    pub bounds: Bounds,
    /// The broker that leads it. `None`: none, or there are no brokers.
    pub leader: Option<i32>,
    /// Brokers that keep it.
    pub replicas: Vec<i32>,
    /// Those of them that have all of it.
    pub in_sync: Vec<i32>,
}

/// The description of a topic without brokers and settings.
pub(crate) fn plain(
    url: String,
    timestamps: Timestamps,
    partitions: u32,
    bounds: impl Fn(u32) -> Result<Bounds, TopicError>,
) -> Result<Description, TopicError> {
    let described = (0..partitions).map(|partition| {
        Ok(PartitionDescription {
            partition,
            bounds: bounds(partition)?,
            leader: None,
            replicas: Vec::new(),
            in_sync: Vec::new(),
        })
    });
    Ok(Description {
        url,
        timestamps,
        partitions: described.collect::<Result<_, TopicError>>()?,
        settings: BTreeMap::new(),
    })
}
