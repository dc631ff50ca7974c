//! Raw flows as extreme as can be, through a store and back, and put in the place of what is there.
//!
//! The oracle is the flow itself, as the store is said to hold it: a look that reads anything else would find differences
//! where there are none.

use flow_proto::{Addr, Coordinate, EnrichedFlow, Flow, Mac, Verdict, country_number};
use flow_sinks::{
    RawBlock, RawDigest, RawLook, RawPlace, RawRange, RawReplacement, RawRows, RawSink, RawTexts,
};
use flow_sinks::{SinkError, SinkErrorKind};

const SLOT: u64 = 1_772_279_700;

/// Flows by hand.
#[derive(Debug)]
pub(crate) struct Flows(pub(crate) Vec<EnrichedFlow>);

impl RawRows for Flows {
    fn for_each(
        &self,
        take: &mut dyn FnMut(&EnrichedFlow) -> Result<(), SinkError>,
    ) -> Result<(), SinkError> {
        self.0.iter().try_for_each(take)
    }
}

/// Largest and smallest, set and unset.
fn extremes() -> Vec<EnrichedFlow> {
    let addresses = [
        Addr::default(),
        Addr::v4([192, 0, 2, 1]),
        Addr([255; 16]),
        Addr([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4]),
        Addr([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]),
    ];
    let numbers = [0, 1, 1_772_279_701_000_001_999, 1 << 63, u64::MAX];
    let verdicts = [
        Verdict::Counts,
        Verdict::TooEarly,
        Verdict::TooLate,
        Verdict::Implausible,
    ];
    let flow = |n: usize| {
        let (number, address) = (numbers[n % 5], addresses[n % 5]);
        let narrow = u32::try_from(number).unwrap_or(u32::MAX);
        EnrichedFlow {
            flow: Flow {
                bytes: number,
                packets: numbers[(n + 1) % 5],
                sampling_rate: numbers[(n + 2) % 5],
                time_flow_start_ns: number,
                time_flow_end_ns: numbers[(n + 3) % 5],
                src_addr: address,
                dst_addr: addresses[(n + 1) % 5],
                next_hop: addresses[(n + 2) % 5],
                sampler_address: addresses[(n + 3) % 5],
                src_mac: Mac(number & 0xffff_ffff_ffff),
                sequence_num: narrow,
                in_if: narrow,
                src_port: narrow,
                etype: narrow,
                ..Flow::default()
            },
            at: Coordinate {
                partition: 3,
                offset: n as u64 / 2,
                index: n as u32 % 2,
            },
            received_ns: (SLOT + n as u64) * 1_000_000_000 + 1_999,
            slot_secs: SLOT,
            verdict: verdicts[n % 4],
            src_as: narrow,
            dst_country: country_number("DE"),
            table_version: narrow,
            ..EnrichedFlow::default()
        }
    };
    (0..20).map(flow).collect()
}

fn range() -> RawRange {
    RawRange {
        slots: (SLOT, SLOT + 300),
        places: vec![RawPlace {
            partition: 3,
            first: 0,
            end: 10,
            below: 10,
        }],
    }
}

/// What is stored, in the order of the topic.
fn stored(look: &mut RawLook) -> Vec<RawTexts> {
    let mut found = Vec::new();
    let taken = look.rows((&range(), true), &mut |flow, _| {
        found.push(flow);
        Ok(())
    });
    taken.unwrap();
    found
}

fn block<'a>(rows: &'a Flows, (first, end): (u64, u64), to: u64) -> RawBlock<'a> {
    RawBlock {
        job: "a",
        topic: "dir:///t",
        partition: 3,
        from: (to > 1).then_some(to - 1),
        to,
        first_offset: first,
        end_offset: end,
        rows,
        now_secs: SLOT,
        watermark_secs: None,
    }
}

/// Through the store of a URL.
pub(crate) fn read_back(url: &str) {
    let mut sink: Box<dyn RawSink> = flow_sinks::open(url).unwrap().raw.unwrap();
    let mut look = flow_sinks::raw_look(url).unwrap();
    assert_eq!(look.cursors().unwrap(), Default::default());
    let all = Flows(extremes());
    sink.apply(&block(&all, (0, 10), 1)).unwrap();
    // The follower's next block, which is not below the cut.
    let mut later = all.0[0].clone();
    later.at.offset = 10;
    let later = Flows(vec![later]);
    sink.apply(&block(&later, (10, 11), 2)).unwrap();
    let cursors = look.cursors().unwrap();
    assert_eq!(
        (cursors.job.as_deref(), cursors.by_partition[&3]),
        (Some("a"), 2)
    );
    let texts = |look: &mut RawLook, flows: &Flows| -> Vec<RawTexts> {
        flows.0.iter().map(|flow| look.texts(flow)).collect()
    };
    let whole = texts(&mut look, &all);
    assert_eq!(stored(&mut look), whole);

    // Some count now that were refused, and one is gone.
    let mut other = Flows(extremes());
    other.0.remove(5);
    other.0[1].verdict = Verdict::Counts;
    let changed = texts(&mut look, &other);
    for (flows, wanted) in [(&other, &changed), (&all, &whole), (&all, &whole)] {
        let mut digest = RawDigest::default();
        wanted.iter().for_each(|flow| digest.add(flow));
        let replacement = RawReplacement {
            job: "a",
            range: &range(),
            generation: 1,
            rows: flows,
            digest,
            now_secs: SLOT + 9 * 86_400,
        };
        let stranger = RawReplacement {
            job: "b",
            ..replacement
        };
        let refused = sink.replace(&stranger).unwrap_err();
        assert_eq!(refused.kind, SinkErrorKind::Refused);
        let written = sink.replace(&replacement).unwrap();
        assert_eq!(written, flows.0.len() as u64);
        assert_eq!(&stored(&mut look), wanted);
    }
    let above = RawRange {
        places: vec![RawPlace {
            partition: 3,
            first: 10,
            end: 11,
            below: 11,
        }],
        ..range()
    };
    let mut followed = Vec::new();
    let taken = look.rows((&above, false), &mut |flow, at| {
        followed.extend((at.offset == 10).then_some(flow));
        Ok(())
    });
    taken.unwrap();
    assert_eq!(followed, texts(&mut look, &later), "the follower's stays");
}
