//! What a job opens before it begins: topic, tables, state, stores, and the way to its other processes.
//!
//! Law 1: process 0 opens and makes what is to be made, and decides; the others open what is there when it has its plan.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use flow_dataflow::{JobConfig, JobError, TableShelf};
use flow_proto::Rollups;
use flow_sinks::{Source, Store};
use flow_state::{StateError, StateStore};
use flow_topic::{Context, Options, Topic, TopicError};

use crate::adopt;
use crate::check;
use crate::cli;
use crate::cluster::{self, Place};
use crate::failure::Failure;
use crate::opening;
use crate::tables;

/// Everything a job begins with.
pub(crate) struct Opened {
    pub(crate) topic: Arc<dyn Topic>,
    pub(crate) tables: TableShelf,
    pub(crate) state: StateStore,
    pub(crate) stores: Vec<Store>,
    pub(crate) place: Place,
}

/// Process 0, or the only one. `None`: a signal has asked for the end before everything was open.
///
/// # Errors
/// Whatever can't be opened, or does not belong to this job.
pub(crate) fn lead(
    options: &cli::Run,
    config: &JobConfig,
    (context, asked): (Context, &AtomicBool),
) -> Result<Option<Opened>, Failure> {
    let (given, report) = tables::load(&options.tables)?;
    let state = flow_objects::open(&options.state)?;
    let newest = state.newest()?;
    if let Some(newest) = &newest {
        flow_dataflow::same_config(config, newest)?;
    }
    let goes_on = newest.is_some();
    if goes_on && options.start.is_some() {
        tracing::info!("--start: the state goes on where it stood; it is for new ones");
    }
    let topic = topic(options, context, goes_on)?;
    // What is not open cannot be asked whose it is.
    let may_wait = goes_on && !options.adopt;
    let Some(mut stores) = stores(
        options.sink.clone(),
        (topic.as_ref(), config.rows.rollups),
        may_wait,
        asked,
    )?
    else {
        return Ok(None);
    };
    if options.adopt {
        let (config, topic, state) = (config.clone(), Arc::clone(&topic), state.clone());
        let Some(adopted) = opening::unless_asked(asked, move || {
            adopt::adopt(&config, topic.as_ref(), &state, &mut stores)?;
            Ok::<_, Failure>(stores)
        })?
        else {
            return Ok(None);
        };
        stores = adopted?;
    }
    let tables = tables::at_start(options, &state, (given, &report))?;
    let place = cluster::join(options, config, &topic.url(), asked)?;
    Ok(place.map(|place| Opened {
        topic,
        tables,
        state,
        stores,
        place,
    }))
}

/// Another process: takes the tables from the state's archive, and writes raw flows alone.
///
/// # Errors
/// As `lead`.
pub(crate) fn follow(
    options: &cli::Run,
    config: &JobConfig,
    (context, asked): (Context, &AtomicBool),
) -> Result<Option<Opened>, Failure> {
    let topic = flow_topic::url::open_with(&options.topic, None, context)?;
    let Some(place) = cluster::join(options, config, &topic.url(), asked)? else {
        return Ok(None);
    };
    // Process 0 has made one where there was none, so this is another place than its.
    let state = flow_objects::join(&options.state).map_err(|error| match error {
        StateError::Missing { .. } => JobError::OtherState.into(),
        error => Failure::from(error),
    })?;
    let goes_on = place.plan.as_ref().is_some_and(|plan| plan.base > 0);
    let raw = |url: &&String| flow_sinks::url::shape(url).is_ok_and(|shape| shape.raw);
    let sinks = options.sink.iter().filter(raw).cloned().collect();
    let Some(mut stores) = stores(sinks, (topic.as_ref(), config.rows.rollups), goes_on, asked)?
    else {
        return Ok(None);
    };
    stores.iter_mut().for_each(|store| store.rollups = None);
    Ok(Some(Opened {
        topic,
        tables: TableShelf::new(state.clone(), Arc::default()),
        state,
        stores,
        place,
    }))
}

/// Opens the topic. A new job makes one that is missing, so that it may be started before whoever writes; one that goes
/// on, or only reads to the end, has nothing to wait for there.
fn topic(options: &cli::Run, context: Context, goes_on: bool) -> Result<Arc<dyn Topic>, Failure> {
    let url = &options.topic;
    match flow_topic::url::open_with(url, None, context.clone()) {
        Err(TopicError::Missing { url: shown }) if !goes_on && !options.until_end => {
            let made = flow_topic::url::open_with(url, Some(Options::default()), context)?;
            tracing::warn!(
                "{shown}: there was no such topic; made with {} partitions, empty until something is written into it",
                made.partitions()?
            );
            Ok(made)
        }
        opened => Ok(opened?),
    }
}

/// Opens the stores; `None`: a signal came first. A first start needs every one of them, so that a mistyped address is
/// found by the hand that has typed it; so does an adoption.
fn stores(
    sinks: Vec<String>,
    (topic, rollups): (&dyn Topic, Rollups),
    may_wait: bool,
    asked: &AtomicBool,
) -> Result<Option<Vec<Store>>, Failure> {
    let (url, timestamps) = (topic.url(), topic.timestamps());
    let partitions = topic.partitions()?;
    let opened = opening::unless_asked(asked, move || {
        check::stores::apart(&sinks).or_refuse()?;
        let source = Source {
            url: &url,
            partitions,
            timestamps,
            rollups,
        };
        let opened = opening::together(&sinks, |sink| match may_wait {
            true => flow_sinks::open_or_later(sink, &source),
            false => flow_sinks::open_beside(sink, &source),
        });
        opened.map_err(Failure::from)
    })?;
    opened.transpose()
}
