//! Tests of sets of rollups: what is refused, what feeds what, and that their text leads back to them.

use proptest::prelude::*;

use super::*;

fn parse(text: &str) -> Result<Rollups, RollupError> {
    Rollups::parse(&[text], 300)
}

#[test]
fn what_cannot_be_is_told_in_one_line() {
    for (text, words) in [
        ("rollup_x", "NAME=DIMENSIONS"),
        ("slots=src_as", "rollup_ and then"),
        ("rollup_=src_as", "rollup_ and then"),
        ("rollup_A=src_as", "rollup_ and then"),
        ("rollup_x_rows=src_as", "_rows"),
        ("rollup_x=src_as rollup_x=dst_as", "twice"),
        ("rollup_x=src_as,src_as", "comes twice"),
        ("rollup_x=", "is unknown; there are: src_as, "),
        ("rollup_x=city", "is unknown"),
        ("rollup_x=src_as@7m", "multiple of 300 s"),
        ("rollup_x=src_as@0s", "multiple of 300 s"),
        ("rollup_x=src_as@2d", "divides a day"),
        ("rollup_x=src_as@99999999999999999d", "divides a day"),
        ("rollup_x=src_as@35m", "divides a day"),
        ("rollup_x=src_as@", "divides a day"),
        ("rollup_x=src_as@1h", "the first rollup"),
        ("rollup_x=src_country", "the first rollup"),
    ] {
        let error = parse(text).expect_err(text).to_string();
        assert!(error.contains(words) && !error.contains('\n'), "{error}");
    }
    let many: Vec<String> = (0..65).map(|n| format!("rollup_{n}=src_as")).collect();
    assert_eq!(Rollups::parse(&many, 300), Err(RollupError::TooMany));
}

#[test]
fn none_are_the_standard_ones_and_their_text_names_them() {
    let none: [&str; 0] = [];
    assert_eq!(Rollups::parse(&none, 300), Ok(Rollups::STANDARD));
    let text = Rollups::STANDARD.to_string();
    assert_eq!(
        text,
        "rollup_5m=src_as,dst_as,etype@5m rollup_5m_country=src_country,dst_country,etype@5m"
    );
    assert_eq!(parse(&text), Ok(Rollups::STANDARD));
}

#[test]
fn the_coarsest_that_it_follows_from_feeds_it() {
    let set = parse(
        "rollup_5m=src_as,dst_as,etype rollup_1h=dst_as,src_as@1h rollup_1d=src_as@1d \
         rollup_country=src_country,etype@1h rollup_etype=etype@10m rollup_15m=etype@15m rollup_net=src_net@1d",
    )
    .expect("a set");
    let feeds: Vec<Option<u16>> = set.iter().map(|one| Some(one.feed()?.finer)).collect();
    // 15 minutes are no multiple of 10, and countries are only known where there is a table.
    assert_eq!(
        feeds,
        [None, Some(0), Some(1), None, Some(0), Some(0), None]
    );
    let words = |n| set.get(n).and_then(Rollup::feed).map(|feed| feed.words);
    assert_eq!(words(1), Some(&[1u8, 0][..]));
    assert_eq!(words(4), Some(&[2u8][..]));
}

fn set() -> impl Strategy<Value = Vec<(Vec<Dimension>, u64)>> {
    let windows = prop::sample::select(vec![300u64, 600, 900, 3_600, 21_600, 86_400]);
    let some = prop::sample::subsequence(Dimension::ALL.to_vec(), 1..=13).prop_shuffle();
    prop::collection::vec((some, windows), 1..8)
}

proptest! {
    #[test]
    fn a_set_is_what_its_text_says(given in set()) {
        let text: Vec<String> = given
            .iter()
            .zip(0..)
            .map(|((dimensions, secs), n)| {
                let names: Vec<&str> = dimensions.iter().map(|one| one.name()).collect();
                format!("rollup_{n}={}@{secs}s", names.join(","))
            })
            .collect();
        let first = &given[0];
        let is_whole = first.1 == 300 && !first.0.iter().any(|one| one.is_country());
        let Ok(set) = Rollups::parse(&text, 300) else {
            prop_assert!(!is_whole);
            return Ok(());
        };
        prop_assert!(is_whole);
        prop_assert_eq!(Rollups::of_recorded(&set.to_string(), 300), Some(set));
        for (one, (dimensions, secs)) in set.iter().zip(&given) {
            prop_assert_eq!((one.dimensions(), one.window_secs()), (&dimensions[..], *secs));
            // What feeds it has its dimensions, in these words, and its slots lie within its own.
            let Some(feed) = one.feed() else { continue };
            let finer = set.get(feed.finer).expect("of the set");
            prop_assert_eq!(one.window_secs() % finer.window_secs(), 0);
            let key: Vec<u32> = (100..).take(finer.words()).collect();
            let fed: Vec<u32> = feed.words.iter().map(|at| key[usize::from(*at)]).collect();
            let theirs: BTreeMap<Dimension, &[u32]> = finer.values(&key).collect();
            for (dimension, words) in one.values(&fed) {
                prop_assert_eq!(Some(&words), theirs.get(&dimension));
            }
            // Nobody feeds itself, by whatever way.
            let mut at = one;
            let mut steps = 0;
            while let Some(feed) = at.feed() {
                at = set.get(feed.finer).expect("of the set");
                steps += 1;
                prop_assert!(steps < given.len());
            }
        }
    }
}
