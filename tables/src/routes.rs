//! Formats of routing researchers: pyasn's `prefix<TAB>asn`, and CAIDA's `base<TAB>length<TAB>asn`.
//!
//! Law: of several origins the first is taken; a set of ASes, of which nobody knows which one it was, is odd.

use crate::lines::Lines;
use crate::roles::{Each, Record};

/// pyasn's. Its comments begin with `;`.
pub(crate) fn read_dat(bytes: &[u8], each: &mut Each<'_>) {
    for (line, text) in Lines::new(bytes) {
        let mut fields = text.splitn(3, |b| *b == b'\t');
        let record = match (fields.next(), fields.next()) {
            (Some(key), Some(value)) => Ok(Record {
                key: key.trim_ascii(),
                second: None,
                value: value.trim_ascii(),
            }),
            _ => Err("no tab after the prefix".to_owned()),
        };
        each(line, record);
    }
}

/// CAIDA's. `a_b`: two ASes announce it, by the number of their announcements; `a,b`: a set.
pub(crate) fn read_pfx2as(bytes: &[u8], each: &mut Each<'_>) {
    let (mut prefix, mut set) = (Vec::new(), Vec::new());
    for (line, text) in Lines::new(bytes) {
        let mut fields = text.splitn(4, |b| *b == b'\t').map(<[u8]>::trim_ascii);
        let (Some(base), Some(length), Some(origins)) =
            (fields.next(), fields.next(), fields.next())
        else {
            each(
                line,
                Err("not three fields with tabs between them".to_owned()),
            );
            continue;
        };
        prefix.clear();
        prefix.extend_from_slice(base);
        prefix.push(b'/');
        prefix.extend_from_slice(length);
        let first = origins.split(|b| *b == b'_').next().unwrap_or_default();
        // In braces, as other tables write a set.
        let value = if first.contains(&b',') {
            set.clear();
            set.extend([b"{", first, b"}"].concat());
            &set[..]
        } else {
            first
        };
        each(
            line,
            Ok(Record {
                key: &prefix,
                second: None,
                value,
            }),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::span;

    #[test]
    fn the_first_origin_and_sets() {
        let text =
            b"1.0.0.0\t24\t13335\n1.0.4.0\t22\t7_8\n1.0.8.0\t24\t7,8_9\n::\t0\t5\n1.2.3.4\t24\n";
        let mut found = Vec::new();
        read_pfx2as(text, &mut |line, record| {
            let shown = record.map(|r| {
                let value = String::from_utf8_lossy(r.value).into_owned();
                (span(r.key, r.second).expect("a prefix").1, value)
            });
            found.push((line, shown.ok()));
        });
        let row = |first: u128, value: &str| Some((first, value.to_owned()));
        assert_eq!(
            found,
            [
                (1, row(1 << 24, "13335")),
                (2, row((1 << 24) + 1024, "7")),
                (3, row((1 << 24) + 2048, "{7,8}")),
                (4, row(0, "5")),
                (5, None),
            ]
        );
    }
}
