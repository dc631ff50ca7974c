//! Dimensions: the values of a flow by which a rollup may sum, each with its column and its words of the key.
//!
//! One table, since the configuration, the job and every store have to mean the same by a name. Law: a dimension's name,
//! kind and words never change, since keys in segments and columns in databases are made of them.

use crate::value::Addr;

/// A value of a flow that can be part of a rollup's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dimension {
    /// Source AS: the table's, else as sent.
    SrcAs,
    /// Destination AS: the table's, else as sent.
    DstAs,
    /// Source country by the table.
    SrcCountry,
    /// Destination country by the table.
    DstCountry,
    /// EtherType.
    Etype,
    /// IP protocol number.
    Proto,
    /// Source port.
    SrcPort,
    /// Destination port.
    DstPort,
    /// Input interface index.
    InIf,
    /// Output interface index.
    OutIf,
    /// Address of the exporter.
    Exporter,
    /// Source network: /24 of IPv4, /48 of IPv6.
    SrcNet,
    /// Destination network: /24 of IPv4, /48 of IPv6.
    DstNet,
    /// Source customer by the table.
    SrcCustomer,
    /// Destination customer by the table.
    DstCustomer,
}

/// What a dimension's words hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DimensionKind {
    /// A number.
    Number,
    /// Two ASCII letters as a number; 0: none.
    Country,
    /// An address in four words, in the order of its bytes.
    Address,
    /// A text as `text_words` gives it; zeros: none.
    Text,
}

impl Dimension {
    /// All of them.
    pub const ALL: [Dimension; 15] = [
        Dimension::SrcAs,
        Dimension::DstAs,
        Dimension::SrcCountry,
        Dimension::DstCountry,
        Dimension::Etype,
        Dimension::Proto,
        Dimension::SrcPort,
        Dimension::DstPort,
        Dimension::InIf,
        Dimension::OutIf,
        Dimension::Exporter,
        Dimension::SrcNet,
        Dimension::DstNet,
        Dimension::SrcCustomer,
        Dimension::DstCustomer,
    ];

    /// Its name, in the configuration and as a column.
    pub const fn name(self) -> &'static str {
        match self {
            Dimension::SrcAs => "src_as",
            Dimension::DstAs => "dst_as",
            Dimension::SrcCountry => "src_country",
            Dimension::DstCountry => "dst_country",
            Dimension::Etype => "etype",
            Dimension::Proto => "proto",
            Dimension::SrcPort => "src_port",
            Dimension::DstPort => "dst_port",
            Dimension::InIf => "in_if",
            Dimension::OutIf => "out_if",
            Dimension::Exporter => "exporter",
            Dimension::SrcNet => "src_net",
            Dimension::DstNet => "dst_net",
            Dimension::SrcCustomer => "src_customer",
            Dimension::DstCustomer => "dst_customer",
        }
    }

    /// From its name.
    pub fn from_name(name: &str) -> Option<Dimension> {
        Dimension::ALL.into_iter().find(|one| one.name() == name)
    }

    /// What its words hold.
    pub const fn kind(self) -> DimensionKind {
        match self {
            Dimension::SrcCountry | Dimension::DstCountry => DimensionKind::Country,
            Dimension::Exporter | Dimension::SrcNet | Dimension::DstNet => DimensionKind::Address,
            Dimension::SrcCustomer | Dimension::DstCustomer => DimensionKind::Text,
            _ => DimensionKind::Number,
        }
    }

    /// How many words of the key it takes.
    pub const fn words(self) -> usize {
        match self.kind() {
            DimensionKind::Number | DimensionKind::Country => 1,
            DimensionKind::Text => 2,
            DimensionKind::Address => 4,
        }
    }

    /// Whether a flow has it only if there is a table of countries.
    pub const fn is_country(self) -> bool {
        matches!(self.kind(), DimensionKind::Country)
    }

    /// Whether its words are those of a text.
    pub const fn is_text(self) -> bool {
        matches!(self.kind(), DimensionKind::Text)
    }

    /// Whether `FlowCore` lacks it, so that a message has to be read by the whole decoder.
    pub const fn is_beyond_core(self) -> bool {
        matches!(
            self,
            Dimension::Proto
                | Dimension::SrcPort
                | Dimension::DstPort
                | Dimension::InIf
                | Dimension::OutIf
                | Dimension::Exporter
        )
    }
}

/// The network of an address: /24 of IPv4, /48 of IPv6; none of none.
pub fn network(address: Addr) -> Addr {
    let kept = if address.as_v4().is_some() { 15 } else { 6 };
    let mut bytes = address.0;
    bytes[kept..].fill(0);
    Addr(bytes)
}

/// An address as the words of a key.
pub fn address_words(address: Addr) -> [u32; 4] {
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = address.0;
    [[a, b, c, d], [e, f, g, h], [i, j, k, l], [m, n, o, p]].map(u32::from_be_bytes)
}

/// An address from the words of a key; none if there are not four.
pub fn address_of(words: &[u32]) -> Addr {
    let mut bytes = [0; 16];
    for (four, word) in bytes.chunks_exact_mut(4).zip(words) {
        four.copy_from_slice(&word.to_be_bytes());
    }
    Addr(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_of_24_and_48_bits() {
        assert_eq!(
            network(Addr::v4([198, 51, 100, 77])),
            Addr::v4([198, 51, 100, 0])
        );
        let six = [
            0x20, 1, 0xd, 0xb8, 0xab, 0xcd, 0xff, 1, 2, 3, 4, 5, 6, 7, 8, 9,
        ];
        let mut net = [0; 16];
        net[..6].copy_from_slice(&six[..6]);
        assert_eq!(network(Addr(six)), Addr(net));
        assert_eq!(address_of(&address_words(Addr(six))), Addr(six));
    }

    #[test]
    fn names_lead_back() {
        for one in Dimension::ALL {
            assert_eq!(Dimension::from_name(one.name()), Some(one));
        }
    }
}
