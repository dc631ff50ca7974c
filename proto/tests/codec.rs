//! Encoder and decoders against prost: equal where it accepts, refusing where it refuses.
//!
//! No deliberate difference: what prost reads we read, to the same values, and what it refuses we refuse. Only lists
//! longer than their place are cut (`List`), and addresses of another length than 4 or 16 are none.

mod oracle;

use flow_proto::{Addr, Dialect, Flow, FlowCore, FlowType, List, Mac, PackBuilder};
use proptest::prelude::*;

/// Numbers of every varint length.
fn number() -> impl Strategy<Value = u64> {
    (0_u32..64, any::<u64>()).prop_map(|(shift, bits)| bits >> shift)
}

fn number32() -> impl Strategy<Value = u32> {
    number().prop_map(|n| u32::try_from(n & 0xffff_ffff).expect("32 bits"))
}

fn address() -> impl Strategy<Value = Addr> {
    prop_oneof![
        Just(Addr::NONE),
        any::<[u8; 4]>().prop_map(Addr::v4),
        any::<[u8; 16]>().prop_map(Addr)
    ]
}

fn list<const N: usize>() -> impl Strategy<Value = List<N>> {
    prop::collection::vec(number32(), 0..=N).prop_map(|items| {
        let mut list = List::default();
        items.into_iter().for_each(|item| assert!(list.push(item)));
        list
    })
}

/// How a kind of the table is drawn; half of all values are absent.
trait Draw: Sized {
    fn draw() -> BoxedStrategy<Self>;
}

macro_rules! draws {
    ($($kind:ty => $strategy:expr;)*) => {
        $(impl Draw for $kind {
            fn draw() -> BoxedStrategy<Self> {
                prop_oneof![Just(<$kind>::default()), $strategy].boxed()
            }
        })*
    };
}

draws! {
    u32 => number32();
    u64 => number();
    bool => any::<bool>();
    Addr => address();
    Mac => number().prop_map(Mac);
    FlowType => (0_u64..5).prop_map(FlowType::from_number);
    List<6> => list::<6>();
    List<12> => list::<12>();
}

macro_rules! draw_flow {
    ($($number:literal $name:ident: $kind:ty, $json:literal, $doc:literal;)*) => {
        /// Replaces one field after the other by a drawn value.
        fn flow() -> BoxedStrategy<Flow> {
            let mut all = times();
            $(all = (all, <$kind>::draw()).prop_map(|(flow, $name)| Flow { $name, ..flow }).boxed();)*
            all
        }
    };
}
flow_proto::flow_fields!(draw_flow);

fn times() -> BoxedStrategy<Flow> {
    (number(), number(), number(), 0_u32..8)
        .prop_map(|(received, start, end, ip_flags)| Flow {
            time_received_ns: received,
            time_flow_start_ns: start,
            time_flow_end_ns: end,
            ip_flags,
            ..Flow::default()
        })
        .boxed()
}

fn dialect() -> impl Strategy<Value = Dialect> {
    prop_oneof![Just(Dialect::Goflow2), Just(Dialect::Goflow)]
}

fn encoded(flow: &Flow, dialect: Dialect) -> Vec<u8> {
    let mut bytes = Vec::new();
    flow.encode(dialect, &mut bytes);
    bytes
}

/// A field that may be known or not, with any wire type, well formed or nearly so.
fn any_field() -> impl Strategy<Value = Vec<u8>> {
    let numbers = prop_oneof![0_u64..130, Just(1010_u64), 0_u64..1 << 30];
    (
        numbers,
        0_u64..8,
        number(),
        prop::collection::vec(any::<u8>(), 0..24),
    )
        .prop_map(|(field, kind, value, body)| {
            let mut bytes = Vec::new();
            prost::encoding::encode_varint(field << 3 | kind, &mut bytes);
            match kind {
                0 => prost::encoding::encode_varint(value, &mut bytes),
                2 => {
                    prost::encoding::encode_varint(body.len() as u64, &mut bytes);
                    bytes.extend(body);
                }
                1 => bytes.extend(value.to_le_bytes()),
                5 => bytes.extend([1, 2, 3, 4]),
                3 => {
                    // A group with one field in it, closed.
                    bytes.extend([0x08, 0x01]);
                    prost::encoding::encode_varint(field << 3 | 4, &mut bytes);
                }
                _ => {}
            }
            bytes
        })
}

/// Both decoders against the oracle, on any bytes.
fn agree(bytes: &[u8]) -> Result<(), TestCaseError> {
    let wanted = oracle::decode(bytes);
    prop_assert_eq!(
        FlowCore::decode(bytes).ok(),
        wanted.as_ref().map(oracle::core)
    );
    prop_assert_eq!(Flow::decode(bytes).ok(), wanted.as_ref().map(oracle::flow));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn what_is_encoded_is_read_back_by_prost_and_by_us(flow in flow(), dialect in dialect()) {
        let bytes = encoded(&flow, dialect);
        agree(&bytes)?;
        let back = Flow::decode(&bytes).unwrap();
        if dialect == Dialect::Goflow2 {
            prop_assert_eq!(back, flow);
        } else {
            // Whole seconds, no flags.
            let secs = |ns: u64| ns / 1_000_000_000 * 1_000_000_000;
            let kept = Flow {
                time_received_ns: secs(flow.time_received_ns),
                time_flow_start_ns: secs(flow.time_flow_start_ns),
                time_flow_end_ns: secs(flow.time_flow_end_ns),
                ip_flags: 0,
                ..flow
            };
            prop_assert_eq!(back, kept);
        }
    }

    #[test]
    fn delimited_is_prost_s_length_and_the_message(flow in flow(), dialect in dialect()) {
        let (message, mut delimited) = (encoded(&flow, dialect), vec![7]);
        flow.encode_delimited(dialect, &mut delimited);
        let mut wanted = vec![7];
        prost::encoding::encode_varint(message.len() as u64, &mut wanted);
        wanted.extend(message);
        prop_assert_eq!(delimited, wanted);
    }

    #[test]
    fn messages_with_strange_fields(
        flow in flow(),
        dialect in dialect(),
        before in prop::collection::vec(any_field(), 0..4),
        after in prop::collection::vec(any_field(), 0..4),
    ) {
        agree(&[before.concat(), encoded(&flow, dialect), after.concat()].concat())?;
    }

    #[test]
    fn strange_fields_alone(fields in prop::collection::vec(any_field(), 1..3)) {
        agree(&fields.concat())?;
    }

    #[test]
    fn mutated_messages(
        flow in flow(),
        dialect in dialect(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cut in any::<prop::sample::Index>(),
        whole in any::<bool>(),
    ) {
        let mut bytes = encoded(&flow, dialect);
        bytes.push(0);
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let end = if whole { bytes.len() - 1 } else { cut.index(bytes.len()) };
        agree(&bytes[..end])?;
    }

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        agree(&bytes)?;
    }

    #[test]
    fn a_pack_stays_below_its_limit(flows in prop::collection::vec(flow(), 1..40)) {
        let mut pack = PackBuilder::new(2048, Dialect::Goflow2);
        for flow in &flows {
            if pack.push(flow) {
                prop_assert!(pack.len_bytes() <= 2048);
                pack.take(|_| ());
            }
        }
    }
}

#[test]
fn the_largest_flow_leaves_room_in_a_pack() {
    let mut all = Flow {
        ip_flags: u32::MAX,
        type_: FlowType::Ipfix,
        ..Flow::default()
    };
    macro_rules! fill {
        ($($number:literal $name:ident: $kind:ty, $json:literal, $doc:literal;)*) => {
            $(all.$name = <$kind as Largest>::LARGEST;)*
        };
    }
    flow_proto::flow_fields!(fill);
    for time in [
        &mut all.time_received_ns,
        &mut all.time_flow_start_ns,
        &mut all.time_flow_end_ns,
    ] {
        *time = u64::MAX;
    }
    for _ in 0..12 {
        all.mpls_ttl.push(u32::MAX);
        all.mpls_label.push(u32::MAX);
        all.bgp_communities.push(u32::MAX);
        all.as_path.push(u32::MAX);
    }
    let mut delimited = Vec::new();
    all.encode_delimited(Dialect::Goflow2, &mut delimited);
    assert!(
        delimited.len() <= PackBuilder::LARGEST_FLOW_BYTES,
        "{} bytes",
        delimited.len()
    );
}

/// The value that takes most bytes; lists are filled apart.
trait Largest {
    const LARGEST: Self;
}

macro_rules! largest {
    ($($kind:ty = $value:expr;)*) => { $(impl Largest for $kind { const LARGEST: $kind = $value; })* };
}

largest! {
    u32 = u32::MAX;
    u64 = u64::MAX;
    bool = true;
    Addr = Addr([0xfe; 16]);
    Mac = Mac(u64::MAX);
    FlowType = FlowType::Ipfix;
    List<6> = List::EMPTY;
    List<12> = List::EMPTY;
}

#[test]
fn either_dialect_s_times() {
    let message = |fields: &[(u64, u64)]| {
        let mut bytes = Vec::new();
        for (number, value) in fields {
            prost::encoding::encode_varint(number << 3, &mut bytes);
            prost::encoding::encode_varint(*value, &mut bytes);
        }
        FlowCore::decode(&bytes).unwrap()
    };
    let goflow = message(&[(2, 100), (38, 90), (5, 95)]);
    assert_eq!(
        (goflow.received_ns, goflow.start_ns, goflow.end_ns),
        (100_000_000_000, 90_000_000_000, 95_000_000_000)
    );
    // 38 before 110, and 110 of 0: it is there, so 38 is flags.
    let goflow2 = message(&[(38, 2), (2, 100), (5, 95), (110, 0), (112, 7)]);
    assert_eq!(
        (goflow2.received_ns, goflow2.start_ns, goflow2.end_ns),
        (100_000_000_000, 0, 7)
    );
    assert_eq!(message(&[(2, u64::MAX)]).received_ns, u64::MAX);
    assert_eq!(message(&[(3, 100), (1010, 1)]).sampling_rate, 0);
}

/// Control of the properties above: their inputs are accepted and refused, and of both dialects, often enough.
#[test]
fn the_inputs_are_of_both_kinds() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let message = (flow(), dialect(), any_field())
        .prop_map(|(flow, dialect, field)| [encoded(&flow, dialect), field].concat());
    let (mut accepted, mut refused, mut goflow2) = (0, 0, 0);
    for _ in 0..1_000 {
        let bytes = message.new_tree(&mut runner).unwrap().current();
        match oracle::decode(&bytes) {
            Some(message) => {
                accepted += 1;
                goflow2 += u32::from(message.time_received_ns.is_some());
            }
            None => refused += 1,
        }
    }
    assert!(
        accepted > 200 && refused > 200,
        "{accepted} accepted, {refused} refused"
    );
    assert!(
        (50..accepted - 50).contains(&goflow2),
        "{goflow2} of {accepted} are goflow2's"
    );
}
