//! Saved state: restored it decodes as before, damaged it is refused whole, old it is left out.

use flow_ingest::wire::{Decoder, Limits, SavedError, SharedDecoder};
use flow_proto::Flow;

use crate::captures::{Captured, units};
use crate::datagrams::{EXPORTER, ipfix, options_template, set, template};

const NOW_NS: u64 = 1_700_000_000_000_000_000;
const HOUR_NS: u64 = 3_600_000_000_000;

fn decode(decoder: &SharedDecoder, datagrams: &[Captured]) -> Vec<Flow> {
    let mut flows = Vec::new();
    for datagram in datagrams {
        decoder.decode(datagram.source, NOW_NS, &datagram.payload, &mut flows);
    }
    flows
}

/// A template, an options template and a rate.
fn small() -> SharedDecoder {
    let decoder = SharedDecoder::new(Limits::default());
    let options = options_template(400, 1, &[(149, 4), (34, 4)]);
    let sets = [
        set(2, &template(300, &[(8, 4), (12, 4), (1, 4)])),
        set(3, &options),
        set(400, &[0, 0, 0, 1, 0, 0, 0, 50]),
    ];
    decoder.decode(EXPORTER, NOW_NS, &ipfix(1, 0, &sets), &mut Vec::new());
    decoder
}

fn flow_of(decoder: &SharedDecoder) -> Option<(u64, u64)> {
    let data = ipfix(1, 1, &[set(300, &[10, 0, 0, 1, 10, 0, 0, 2, 0, 0, 3, 0])]);
    let mut flows = Vec::new();
    decoder.decode(EXPORTER, NOW_NS, &data, &mut flows);
    flows.first().map(|flow| (flow.bytes, flow.sampling_rate))
}

#[test]
fn real_exporters_decode_the_same_after_a_restart() {
    let (mut templates, mut flows) = (0, 0);
    for (unit, datagrams) in units() {
        let before = SharedDecoder::new(Limits::default());
        decode(&before, &datagrams);
        let saved = before.save();
        let after = SharedDecoder::new(Limits::default());
        templates += after.restore(&saved, NOW_NS + 1).expect(&unit).templates;
        assert_eq!(after.save(), saved, "{unit}: restored and saved again");
        // Both know all templates now: what comes again must not differ, from the first datagram on.
        let expected = decode(&before, &datagrams);
        assert!(decode(&after, &datagrams) == expected, "{unit}");
        flows += expected.len();
    }
    eprintln!("{templates} templates restored, {flows} flows compared");
}

#[test]
fn threads_share_what_one_of_them_learned() {
    let all = small();
    let mut alone = Decoder::new(Limits::default());
    let data = ipfix(1, 1, &[set(300, &[10, 0, 0, 1, 10, 0, 0, 2, 0, 0, 3, 0])]);
    assert_eq!(
        alone.decode(EXPORTER, NOW_NS, &data, &mut Vec::new()).flows,
        0
    );
    let decoded = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| flow_of(&all))).collect();
        let all: Vec<_> = threads.into_iter().map(|t| t.join().unwrap()).collect();
        all
    });
    assert_eq!(decoded, [Some((768, 50)); 4]);
}

#[test]
fn a_file_damaged_anywhere_is_refused_whole() {
    let saved = small().save();
    let taken = |content: &[u8]| {
        let decoder = SharedDecoder::new(Limits::default());
        let result = decoder.restore(content, NOW_NS);
        (result, decoder.exporters())
    };
    assert_eq!(taken(&saved).0.unwrap().templates, 2);
    for at in 0..saved.len() {
        for bit in 0..8 {
            let mut bad = saved.clone();
            bad[at] ^= 1 << bit;
            let (result, exporters) = taken(&bad);
            assert!(result.is_err() && exporters == 0, "bit {bit} of byte {at}");
        }
        assert!(taken(&saved[..at]).0.is_err(), "cut at {at}");
    }
    assert!(taken(&[&saved[..], b"x"].concat()).0.is_err());
    assert_eq!(taken(b"something else").0, Err(SavedError::Foreign));
    let mut newer = saved;
    newer[11] = 2;
    assert_eq!(taken(&newer).0, Err(SavedError::Version(2)));
}

#[test]
fn what_is_older_than_a_day_is_left_out() {
    let saved = small().save();
    for (hours, expected) in [(0, Some((768, 50))), (24, Some((768, 50))), (25, None)] {
        let decoder = SharedDecoder::new(Limits::default());
        decoder.restore(&saved, NOW_NS + hours * HOUR_NS).unwrap();
        assert_eq!(flow_of(&decoder), expected, "after {hours} h");
    }
}

#[test]
fn a_restored_state_keeps_within_the_bounds() {
    let saved = small().save();
    let tight = Limits {
        templates: 1,
        ..Limits::default()
    };
    let decoder = SharedDecoder::new(tight);
    assert_eq!(decoder.restore(&saved, NOW_NS).unwrap().templates, 1);
}
