//! The capture reader: formats, byte orders, link layers, times, damage.

use std::io;

use flow_ingest::pcap::{self, Tally};
use flow_proto::Addr;

const PAYLOAD: &[u8] = b"a datagram";
const SECS: u32 = 1_600_000_000;

/// IPv4 and UDP around the payload, `more` bytes of padding behind.
fn ip_packet(more: usize) -> Vec<u8> {
    let udp_bytes = u8::try_from(PAYLOAD.len() + 8).expect("short");
    let mut packet = vec![0x45, 0, 0, udp_bytes + 20, 0, 0, 0, 0, 64, 17, 0, 0];
    packet.extend([
        192, 0, 2, 9, 192, 0, 2, 1, 0x08, 0, 0x08, 0x07, 0, udp_bytes, 0, 0,
    ]);
    packet.extend(PAYLOAD);
    packet.resize(packet.len() + more, 0);
    packet
}

fn ethernet(tags: &[u16], packet: &[u8]) -> Vec<u8> {
    let mut frame = vec![2; 12];
    for tag in tags {
        frame.extend(tag.to_be_bytes());
        frame.extend([0, 7]);
    }
    frame.extend([8, 0]);
    frame.extend(packet);
    frame
}

/// Numbers in the byte order under test.
#[derive(Clone, Copy)]
struct Order(bool);

impl Order {
    fn u32(self, values: &[u32]) -> Vec<u8> {
        let bytes = |v: &u32| {
            if self.0 {
                v.to_be_bytes()
            } else {
                v.to_le_bytes()
            }
        };
        values.iter().flat_map(bytes).collect()
    }

    fn u16(self, values: &[u16]) -> Vec<u8> {
        let bytes = |v: &u16| {
            if self.0 {
                v.to_be_bytes()
            } else {
                v.to_le_bytes()
            }
        };
        values.iter().flat_map(bytes).collect()
    }
}

fn classic(order: Order, magic: u32, link: u32, packets: &[Vec<u8>]) -> Vec<u8> {
    let mut file = order.u32(&[magic, 0, 0, 0, 65_535, link]);
    for packet in packets {
        let length = u32::try_from(packet.len()).expect("short");
        file.extend(order.u32(&[SECS, 500, length, length]));
        file.extend(packet);
    }
    file
}

fn block(order: Order, kind: u32, body: &[u8]) -> Vec<u8> {
    let mut body = body.to_vec();
    body.resize(body.len().next_multiple_of(4), 0);
    let length = u32::try_from(body.len() + 12).expect("short");
    [order.u32(&[kind, length]), body, order.u32(&[length])].concat()
}

fn section(order: Order) -> Vec<u8> {
    block(
        order,
        0x0a0d_0d0a,
        &[order.u32(&[0x1a2b_3c4d]), vec![1, 0, 0, 0], vec![0xff; 8]].concat(),
    )
}

fn interface(order: Order, link: u16, options: &[u8]) -> Vec<u8> {
    block(
        order,
        1,
        &[order.u16(&[link, 0]), order.u32(&[0]), options.to_vec()].concat(),
    )
}

fn enhanced(order: Order, interface: u32, time: u64, packet: &[u8]) -> Vec<u8> {
    let length = u32::try_from(packet.len()).expect("short");
    let (high, low) = (time >> 32, time & 0xffff_ffff);
    let half = |n: u64| u32::try_from(n).expect("32 bits");
    let header = order.u32(&[interface, half(high), half(low), length, length]);
    block(order, 6, &[header, packet.to_vec()].concat())
}

/// Source, time and payload of each datagram, and the tally.
fn read(file: &[u8]) -> (Vec<(Addr, u64, Vec<u8>)>, Tally) {
    let mut seen = Vec::new();
    let tally = pcap::read(file, &mut |datagram| {
        seen.push((
            datagram.source,
            datagram.received_ns,
            datagram.payload.to_vec(),
        ));
        Ok(())
    });
    (seen, tally.expect("memory can be read"))
}

fn expected(received_ns: u64) -> (Addr, u64, Vec<u8>) {
    (Addr::v4([192, 0, 2, 9]), received_ns, PAYLOAD.to_vec())
}

#[test]
fn classic_files_of_both_orders_and_units() {
    for big_endian in [true, false] {
        for (magic, ns) in [(0xa1b2_c3d4, 500_000), (0xa1b2_3c4d, 500)] {
            let packets = [ethernet(&[], &ip_packet(9))];
            let (seen, tally) = read(&classic(Order(big_endian), magic, 1, &packets));
            assert_eq!(seen, [expected(u64::from(SECS) * 1_000_000_000 + ns)]);
            assert_eq!(
                tally,
                Tally {
                    datagrams: 1,
                    ..Tally::default()
                }
            );
        }
    }
}

#[test]
fn link_layers() {
    let ip = ip_packet(0);
    let cooked = [vec![0; 14], vec![8, 0], ip.clone()].concat();
    let cooked_2 = [vec![8, 0], vec![0; 18], ip.clone()].concat();
    let tagged = ethernet(&[0x88a8, 0x8100], &ip);
    let loopback = [vec![2, 0, 0, 0], ip.clone()].concat();
    for (link, packet) in [
        (1, tagged),
        (113, cooked),
        (276, cooked_2),
        (101, ip),
        (0, loopback),
    ] {
        let (seen, _) = read(&classic(Order(false), 0xa1b2_3c4d, link, &[packet]));
        assert_eq!(seen.len(), 1, "link type {link}");
        assert_eq!(seen[0].2, PAYLOAD);
    }
}

#[test]
fn pcapng_sections_interfaces_and_time_units() {
    let packet = ethernet(&[], &ip_packet(0));
    let mut file = Vec::new();
    for big_endian in [true, false] {
        let order = Order(big_endian);
        file.extend(section(order));
        // Microseconds; nanoseconds; 2^-10 s; raw IP, a second later.
        file.extend(interface(order, 1, &[]));
        file.extend(interface(
            order,
            1,
            &[order.u16(&[9, 1]), vec![9, 0, 0, 0]].concat(),
        ));
        file.extend(interface(
            order,
            1,
            &[order.u16(&[9, 1]), vec![0x8a, 0, 0, 0]].concat(),
        ));
        let offset = if big_endian {
            1_i64.to_be_bytes()
        } else {
            1_i64.to_le_bytes()
        };
        file.extend(interface(
            order,
            101,
            &[order.u16(&[14, 8]), offset.to_vec()].concat(),
        ));
        file.extend(block(order, 5, &[0; 12]));
        file.extend(enhanced(order, 0, 1_500_000, &packet));
        file.extend(enhanced(order, 1, 1_500_000_000, &packet));
        file.extend(enhanced(order, 2, 1_536, &packet));
        file.extend(enhanced(order, 3, 500_000, &ip_packet(0)));
        file.extend(enhanced(order, 4, 500_000, &packet));
        let original = u32::try_from(packet.len()).expect("short");
        file.extend(block(
            order,
            3,
            &[order.u32(&[original]), packet.clone()].concat(),
        ));
    }
    let (seen, tally) = read(&file);
    let five: Vec<_> = [
        1_500_000_000,
        1_500_000_000,
        1_500_000_000,
        1_500_000_000,
        0,
    ]
    .map(expected)
    .to_vec();
    assert_eq!(seen, [five.clone(), five].concat());
    assert_eq!((tally.unknown_links, tally.damaged), (2, false));
}

#[test]
fn what_is_no_datagram_is_counted() {
    let mut fragment = ip_packet(0);
    fragment[6] = 0x20;
    let mut tcp = ip_packet(0);
    tcp[9] = 6;
    let cut = ip_packet(0)[..30].to_vec();
    let packets = [fragment, tcp, cut, ip_packet(0)];
    let (seen, tally) = read(&classic(Order(false), 0xa1b2_c3d4, 101, &packets));
    assert_eq!(seen.len(), 1);
    let counted = Tally {
        datagrams: 1,
        other_packets: 1,
        fragments: 1,
        cut_packets: 1,
        ..Tally::default()
    };
    assert_eq!(tally, counted);
    let (_, tally) = read(&classic(Order(false), 0xa1b2_c3d4, 999, &packets));
    assert_eq!(tally.unknown_links, 4);
}

#[test]
fn a_file_cut_anywhere_gives_what_came_before() {
    let order = Order(false);
    let packet = ethernet(&[], &ip_packet(0));
    let ng = [
        section(order),
        interface(order, 1, &[]),
        enhanced(order, 0, 1, &packet),
        enhanced(order, 0, 2, &packet),
    ]
    .concat();
    for whole in [
        classic(order, 0xa1b2_c3d4, 1, &[packet.clone(), packet.clone()]),
        ng,
    ] {
        assert_eq!(read(&whole).0.len(), 2);
        let mut before = 0;
        for length in 4..whole.len() {
            let (seen, tally) = read(&whole[..length]);
            assert!(seen.len() >= before && seen.len() < 2, "{length}");
            before = seen.len();
            let between = seen.is_empty() || tally.damaged || length + packet.len() < whole.len();
            assert!(between, "{length}");
        }
        assert_eq!(before, 1);
    }
    // Lengths of 4 GiB.
    let mut absurd = classic(order, 0xa1b2_c3d4, 1, std::slice::from_ref(&packet));
    absurd[32..36].copy_from_slice(&[0xff; 4]);
    assert_eq!((read(&absurd).0.len(), read(&absurd).1.damaged), (0, true));
}

#[test]
fn errors_of_the_file_and_of_the_visitor_are_handed_on() {
    struct Broken;
    impl io::Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("disk"))
        }
    }
    assert!(pcap::read(Broken, &mut |_| Ok(())).is_err());
    let file = classic(Order(false), 0xa1b2_c3d4, 101, &[ip_packet(0)]);
    let stopped = pcap::read(&file[..], &mut |_| Err(io::Error::other("full")));
    assert_eq!(stopped.expect_err("the visitor's").to_string(), "full");
}
