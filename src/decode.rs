//! `decode`: prints the flows in capture files.
use crate::cli::Format;
use crate::failure::Failure;
use std::path::PathBuf;
pub(crate) fn run(_: &[PathBuf], _: Format) -> Result<(), Failure> {
    Ok(())
}
