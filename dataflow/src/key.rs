//! Keys, their hash and their shard.
//!
//! Law: the shard of a key is a pure function of rollup and key, the same in every build and for ever, since
//! segments and cursors are indexed by it.

/// Number of key groups; fixed, since state and cursors name them.
pub const SHARDS: usize = 64;

/// 64 well-mixed bits of a rollup's key. Not the slot: a key keeps its shard in all slots. Nor the width of its record:
/// words that are zero at its end change nothing.
#[inline]
pub fn hash(rollup: u16, key: &[u32]) -> u64 {
    let word = |at: usize| key.get(at).copied().map_or(0, u64::from);
    let pair = word(0) << 32 | word(1);
    let rest = u64::from(rollup) << 32 | word(2);
    let mut h = pair.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    h ^= h >> 32;
    let mut odd = 0xa076_1d64_78bd_642f_u64;
    for more in key.get(3..).unwrap_or_default() {
        h = h.wrapping_add((u64::from(*more)).wrapping_mul(odd));
        odd = odd.wrapping_mul(0xe703_7ed1_a0b4_28db);
    }
    h = (h ^ rest).wrapping_mul(0xd6e8_feb8_6659_fd93);
    h = (h ^ (h >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
    h ^ (h >> 29)
}

/// The shard of a key's hash: its top six bits.
#[inline]
pub fn shard(hash: u64) -> u16 {
    u16::try_from(hash >> 58).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_are_what_they_were() {
        let got: Vec<u16> = [
            [0, 0, 0],
            [64496, 64511, 0x800],
            [1, 2, 0x86dd],
            [u32::MAX; 3],
        ]
        .into_iter()
        .map(|key| shard(hash(0, &key)))
        .collect();
        assert_eq!(
            got,
            [0, 22, 20, 18],
            "changing the hash orphans every state directory"
        );
    }

    #[test]
    fn a_wider_record_changes_no_shard() {
        let key = [5, 6, 7, 8, 9];
        let mut wide = [0; 27];
        wide[..5].copy_from_slice(&key);
        assert_eq!(hash(3, &key), hash(3, &wide));
        wide[26] = 1;
        assert_ne!(hash(3, &key), hash(3, &wide));
    }

    #[test]
    fn keys_spread_evenly() {
        let mut counts = [0u32; SHARDS];
        for a in 0..100 {
            for b in 0..100 {
                counts[usize::from(shard(hash(0, &[64496 + a, 65000 + b, 0x800])))] += 1;
            }
        }
        let (low, high) = (counts.iter().min(), counts.iter().max());
        assert!(
            low > Some(&100) && high < Some(&220),
            "{low:?}..{high:?} of 156 on average"
        );
    }
}
