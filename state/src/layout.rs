//! How a state store is laid out: the object `format`, the folders, and the names in them.
//!
//! Law: a place that holds something else, or a layout of a later release, is left untouched.

use std::io::ErrorKind;
use std::path::Path;

use crate::objects::Objects;
use crate::{SegmentName, StateError};

/// Version of the layout that this program writes, and the newest that it reads.
const LAYOUT: u32 = 1;
const FORMAT_WORDS: &str = "flow-pipeline state, layout ";
/// A foreign file may be of any size; ours is never longer.
const FORMAT_BYTES: u64 = 256;
pub(crate) const FORMAT: &str = "format";
pub(crate) const PROOF: &str = "proof";
pub(crate) const CHECKPOINTS: &str = "checkpoints";
pub(crate) const SEGMENTS: &str = "segments";
pub(crate) const TABLES: &str = "tables";
pub(crate) const DAMAGED: &str = "damaged";
pub(crate) const REPLACED: &str = "replaced";
pub(crate) const SWAPS: &str = "swaps";
pub(crate) const FOLDERS: [&str; 6] = [CHECKPOINTS, SEGMENTS, TABLES, DAMAGED, REPLACED, SWAPS];

/// What stands at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// Nothing yet.
    Nothing,
    /// A state of ours.
    State,
}

/// Looks at a place; `shown` is for the message.
///
/// # Errors
/// `Foreign` if it holds something else, `Newer` if a later release has laid it out, `Io`.
pub(crate) fn look(objects: &dyn Objects, shown: &Path) -> Result<Found, StateError> {
    let foreign = |what: String| StateError::Foreign {
        path: shown.to_owned(),
        what,
    };
    let format = shown.join(FORMAT);
    let open = || match objects.open(FORMAT) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(StateError::io("open", &format)(error)),
    };
    let file = match open()? {
        Some(file) => file,
        None => {
            let names = objects.list("").map_err(StateError::io("list", shown))?;
            let Some(name) = names.first() else {
                return Ok(Found::Nothing);
            };
            // Another job that begins here may have put it since it was asked for.
            let again = if names.iter().any(|name| name == FORMAT) {
                open()?
            } else {
                None
            };
            again.ok_or_else(|| foreign(format!("not empty (`{name}`) and no state of ours")))?
        }
    };
    let mut words = vec![0; usize::try_from(file.length().min(FORMAT_BYTES)).unwrap_or(0)];
    file.read_at(0, &mut words)
        .map_err(StateError::io("read", &format))?;
    let layout = std::str::from_utf8(&words)
        .ok()
        .and_then(|words| words.strip_prefix(FORMAT_WORDS))
        .and_then(|version| version.trim_end().parse::<u32>().ok());
    match layout {
        Some(LAYOUT) => Ok(Found::State),
        Some(found) if found > LAYOUT => Err(StateError::Newer {
            path: format,
            found,
            known: LAYOUT,
        }),
        _ => Err(foreign("its file `format` is not ours".into())),
    }
}

/// Makes an empty place a state. Another process may do so at the same time.
///
/// # Errors
/// As `look`.
pub(crate) fn begin(objects: &dyn Objects, shown: &Path) -> Result<(), StateError> {
    if look(objects, shown)? == Found::Nothing {
        let words = format!("{FORMAT_WORDS}{LAYOUT}\n");
        objects
            .put_if_absent(FORMAT, 0, &[words.as_bytes()])
            .map_err(StateError::io("create", &shown.join(FORMAT)))?;
        look(objects, shown)?;
    }
    Ok(())
}

/// The object of a checkpoint.
pub(crate) fn checkpoint(number: u64) -> String {
    format!("{CHECKPOINTS}/{number:020}")
}

/// The checkpoint number that a name in a folder has, if it is one of ours.
pub(crate) fn checkpoint_number(name: &str) -> Option<u64> {
    name.parse()
        .ok()
        .filter(|number| name == format!("{number:020}"))
}

/// The object of a request to swap tables.
pub(crate) fn swap(number: u64) -> String {
    format!("{SWAPS}/{number:020}")
}

/// The object of a replaced slot.
pub(crate) fn replaced(slot_secs: u64, generation: u32) -> String {
    format!("{REPLACED}/{}", replaced_file(slot_secs, generation))
}

/// `SLOT-GENERATION`, of fixed width so that names sort as numbers do.
fn replaced_file(slot_secs: u64, generation: u32) -> String {
    format!("{slot_secs:020}-{generation:010}")
}

/// Slot and generation that a name in the folder has, if it is one of ours.
pub(crate) fn replaced_name(text: &str) -> Option<(u64, u32)> {
    let (slot, generation) = text.split_once('-')?;
    let name = (slot.parse().ok()?, generation.parse().ok()?);
    (replaced_file(name.0, name.1) == text).then_some(name)
}

/// The object of a segment.
pub(crate) fn segment(name: SegmentName) -> String {
    format!("{SEGMENTS}/{}", segment_file(name))
}

/// `NUMBER-ATTEMPT-PROCESS`, of fixed width so that names sort as numbers do.
fn segment_file(name: SegmentName) -> String {
    format!(
        "{:020}-{:016x}-{:010}",
        name.number, name.attempt, name.process
    )
}

/// The segment that a name in the folder has, if it is one of ours.
pub(crate) fn segment_name(text: &str) -> Option<SegmentName> {
    let mut parts = text.splitn(3, '-');
    let name = SegmentName {
        number: parts.next()?.parse().ok()?,
        attempt: u64::from_str_radix(parts.next()?, 16).ok()?,
        process: parts.next()?.parse().ok()?,
    };
    (segment_file(name) == text).then_some(name)
}
