//! A range of addresses as prefixes, for people.
//!
//! Law: the prefixes cover just the range, and are as few as can be.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The fewest prefixes that make up a range, ascending; none if the addresses are of two families or in the wrong order.
pub fn prefixes(first: IpAddr, last: IpAddr) -> Vec<String> {
    match (first, last) {
        (IpAddr::V4(first), IpAddr::V4(last)) => {
            let show =
                |base: u128| Ipv4Addr::from(u32::try_from(base).unwrap_or(u32::MAX)).to_string();
            cut(u32::from(first).into(), u32::from(last).into(), 32, show)
        }
        (IpAddr::V6(first), IpAddr::V6(last)) => cut(first.into(), last.into(), 128, |base| {
            Ipv6Addr::from(base).to_string()
        }),
        _ => Vec::new(),
    }
}

fn cut(first: u128, last: u128, bits: u32, show: impl Fn(u128) -> String) -> Vec<String> {
    let (mut prefixes, mut at) = (Vec::new(), Some(first));
    while let Some(base) = at.filter(|base| *base <= last) {
        // As many free bits as the base has, and as the range has room for.
        let room = (last - base).saturating_add(1);
        let room = if last - base == u128::MAX {
            128
        } else {
            room.ilog2()
        };
        let free = base.trailing_zeros().min(bits).min(room);
        prefixes.push(format!("{}/{}", show(base), bits - free));
        at = 1_u128
            .checked_shl(free)
            .and_then(|size| base.checked_add(size));
    }
    prefixes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::span;

    #[test]
    fn they_cover_just_the_range() {
        for (first, last, count) in [
            ("1.0.0.0", "1.0.0.255", 1),
            ("0.0.0.0", "255.255.255.255", 1),
            ("1.0.0.1", "1.0.0.6", 4),
            ("10.0.0.255", "10.0.2.0", 3),
            ("255.255.255.255", "255.255.255.255", 1),
            ("::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 1),
            ("::1", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 128),
            ("2001:db8::", "2001:db8:2:ffff:ffff:ffff:ffff:ffff", 2),
        ] {
            let (a, b) = (first.parse().expect(first), last.parse().expect(last));
            let found = prefixes(a, b);
            assert_eq!(found.len(), count, "{found:?}");
            let spans = found
                .iter()
                .map(|text| span(text.as_bytes(), None).expect(text));
            let spans: Vec<_> = spans.collect();
            let whole = span(first.as_bytes(), Some(last.as_bytes())).expect(first);
            assert_eq!((spans[0].1, spans[count - 1].2), (whole.1, whole.2));
            assert!(
                spans.windows(2).all(|pair| pair[0].2 + 1 == pair[1].1),
                "{found:?}"
            );
        }
    }
}
