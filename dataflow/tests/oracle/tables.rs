//! Tables as rows painted on a wall: sorted by start, the wider first, each covers what is there.

use std::collections::BTreeMap;
use std::net::IpAddr;

/// First address -> last address and value, disjoint.
#[derive(Clone, Debug, Default)]
struct Wall(BTreeMap<IpAddr, (IpAddr, u32)>);

/// One version of the tables.
#[derive(Clone, Debug, Default)]
pub struct Tables {
    asn: Option<Wall>,
    country: Option<Wall>,
    /// What is asked for an AS, `table` and `flow`, by exporter; `None`: for all others.
    pub orders: BTreeMap<Option<IpAddr>, Vec<&'static str>>,
}

impl Tables {
    /// From `first,last,value` lines, as the demo tables have them.
    pub fn from_csv(asn: Option<&str>, country: Option<&str>) -> Tables {
        let country_number = |text: &str| match text.as_bytes() {
            [a, b] => u32::from(*a) * 256 + u32::from(*b),
            other => panic!("a country of two letters, not {other:?}"),
        };
        Tables {
            asn: asn.map(|text| Wall::new(text, |value| value.parse().unwrap())),
            country: country.map(|text| Wall::new(text, country_number)),
            orders: BTreeMap::new(),
        }
    }

    /// What is asked for the AS of an exporter's flows, in order.
    pub fn asked(&self, exporter: Option<IpAddr>) -> Vec<&'static str> {
        let own = exporter.and_then(|_| self.orders.get(&exporter));
        let order = own.or_else(|| self.orders.get(&None));
        order.cloned().unwrap_or_else(|| vec!["table", "flow"])
    }

    pub fn asn(&self, address: Option<IpAddr>) -> u32 {
        self.asn.as_ref().map_or(0, |wall| wall.at(address))
    }

    pub fn country(&self, address: Option<IpAddr>) -> u32 {
        self.country.as_ref().map_or(0, |wall| wall.at(address))
    }

    pub fn has_country(&self) -> bool {
        self.country.is_some()
    }
}

impl Wall {
    fn new(text: &str, value: impl Fn(&str) -> u32) -> Wall {
        let mut rows: Vec<(IpAddr, IpAddr, u32)> = text
            .lines()
            .map(|line| {
                let mut fields = line.split(',');
                let mut next = || fields.next().unwrap();
                (
                    next().parse().unwrap(),
                    next().parse().unwrap(),
                    value(next()),
                )
            })
            .collect();
        rows.sort_by_key(|&(first, last, _)| (first, std::cmp::Reverse(last)));
        let mut wall = Wall::default();
        for (first, last, value) in rows {
            wall.paint(first, last, value);
        }
        wall
    }

    fn paint(&mut self, first: IpAddr, last: IpAddr, value: u32) {
        let before = self.0.range(..first).next_back();
        let covered = before.into_iter().chain(self.0.range(first..=last));
        let covered: Vec<_> = covered
            .map(|(&start, &(end, under))| (start, end, under))
            .collect();
        for (start, end, under) in covered.into_iter().filter(|(_, end, _)| *end >= first) {
            self.0.remove(&start);
            if start < first {
                self.0.insert(start, (step(first, -1), under));
            }
            if end > last {
                self.0.insert(step(last, 1), (end, under));
            }
        }
        self.0.insert(first, (last, value));
    }

    fn at(&self, address: Option<IpAddr>) -> u32 {
        let Some(address) = address else { return 0 };
        let piece = self.0.range(..=address).next_back();
        piece
            .filter(|(_, (last, _))| *last >= address)
            .map_or(0, |(_, (_, value))| *value)
    }
}

/// The neighbouring address.
fn step(address: IpAddr, by: i8) -> IpAddr {
    match address {
        IpAddr::V4(a) => IpAddr::V4(u32::from(a).wrapping_add_signed(by.into()).into()),
        IpAddr::V6(a) => IpAddr::V6(u128::from(a).wrapping_add_signed(by.into()).into()),
    }
}
