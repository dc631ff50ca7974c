//! Address blocks that flows are drawn from, and their reader.
//!
//! The reader takes the tables' CSV form (`first,last,asn,...`), since the binary ships such a table and mocked
//! flows are to be found in it. It is not the tables' reader: names and anything after them are not looked at.
//! Law: a line that is no block is an error with its number, not a block left out.

use std::net::IpAddr;

use flow_proto::Addr;

/// Addresses from `first` to `last`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressBlock {
    /// First address.
    pub first: Addr,
    /// Last address, of the same family.
    pub last: Addr,
    /// The AS that announces it.
    pub asn: u32,
    /// Whether that AS is one of the operator's own.
    pub own: bool,
}

/// The list of blocks cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BlocksError {
    /// A line is no block.
    #[error("line {line}: expected `first address,last address,AS number`, found `{found}`")]
    BadLine {
        /// Its number, from 1.
        line: usize,
        /// Its beginning.
        found: String,
    },
    /// There is none.
    #[error("no address block to draw flows from: give at least one line `first,last,asn`")]
    Empty,
}

/// Reads `first,last,asn` and ignores what follows; empty lines and those with `#` are skipped.
///
/// # Errors
/// The first line that is no block.
pub fn blocks_from_csv(text: &str, own: &[u32]) -> Result<Vec<AddressBlock>, BlocksError> {
    let lines = text.lines().enumerate();
    let rows = lines.filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'));
    rows.map(|(at, line)| {
        block(line, own).ok_or_else(|| BlocksError::BadLine {
            line: at + 1,
            found: line.chars().take(60).collect(),
        })
    })
    .collect()
}

fn block(line: &str, own: &[u32]) -> Option<AddressBlock> {
    let mut fields = line.split(',').map(str::trim);
    let first: IpAddr = fields.next()?.parse().ok()?;
    let last: IpAddr = fields.next()?.parse().ok()?;
    let asn = fields.next()?.parse().ok()?;
    (first.is_ipv4() == last.is_ipv4() && first <= last).then(|| AddressBlock {
        first: Addr::from(first),
        last: Addr::from(last),
        asn,
        own: own.contains(&asn),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_demo_table() {
        let blocks =
            blocks_from_csv(include_str!("../../../tables/demo/asn.csv"), &[64496]).unwrap();
        assert!(blocks.len() > 200);
        assert_eq!(blocks[0].first, Addr::v4([10, 0, 0, 0]));
        assert!(blocks.iter().all(|block| block.own == (block.asn == 64496)));
    }

    #[test]
    fn names_the_bad_line() {
        for bad in [
            "10.0.0.2,10.0.0.1,1",
            "10.0.0.1,::1,1",
            "10.0.0.1,10.0.0.1",
            "x",
        ] {
            let error = blocks_from_csv(&format!("# a\n{bad}\n"), &[]).unwrap_err();
            assert!(
                matches!(error, BlocksError::BadLine { line: 2, .. }),
                "{bad}: {error}"
            );
        }
    }
}
