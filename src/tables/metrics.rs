//! What reloads have come to, declared once.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

/// Label of `tables_reloads`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    outcome: &'static str,
}

/// What a reload has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Unchanged,
    Asked,
    /// A source, or what it takes to swap it in, could not be read or written.
    Unreadable,
    Implausible,
}

/// Counters of reloads.
#[derive(Clone, Debug, Default)]
pub(crate) struct Metrics(Family<Labels, Counter>);

impl Metrics {
    /// Declares them, each at zero.
    pub(crate) fn register(registry: &mut Registry) -> Metrics {
        let metrics = Metrics::default();
        registry.register(
            "tables_reloads",
            "Times that the tables were loaded again, by what came of it; only those asked for are swapped in",
            metrics.0.clone(),
        );
        for outcome in [
            Outcome::Unchanged,
            Outcome::Asked,
            Outcome::Unreadable,
            Outcome::Implausible,
        ] {
            metrics.of(outcome);
        }
        metrics
    }

    fn of(&self, outcome: Outcome) -> Counter {
        let outcome = match outcome {
            Outcome::Unchanged => "unchanged",
            Outcome::Asked => "asked",
            Outcome::Unreadable => "unreadable",
            Outcome::Implausible => "implausible",
        };
        self.0.get_or_create(&Labels { outcome }).clone()
    }

    pub(super) fn count(&self, outcome: Outcome) {
        self.of(outcome).inc();
    }
}
