//! `Input`: the bytes of one source on their way to rows.
//!
//! Law: unpacked within the bound, read in one format, every row counted as taken, bad or odd.

use std::borrow::Cow;

use crate::error::{TableError, TableReport};
use crate::format::Format;
use crate::found::Item;
use crate::kind::Kind;
use crate::place::{LIMIT_BYTES, too_large};
use crate::ranges::Row;
use crate::roles::{Each, Roles};
use crate::rows;
use crate::spec::SourceOptions;
use crate::unpack::{Unpacked, unpack};
use crate::value::{NoValue, Values};

/// One source.
pub(crate) struct Input<'a> {
    pub(crate) kind: &'a Kind,
    pub(crate) options: &'a SourceOptions,
    /// For messages.
    pub(crate) name: String,
    /// Packed or not.
    pub(crate) bytes: Cow<'a, [u8]>,
}

impl Input<'_> {
    /// All sources of an attribute must have one type.
    pub(crate) fn has_type_of(&self, values: &Values) -> Result<(), TableError> {
        match (self.kind, values) {
            (Kind::Attribute(attribute), Values::Texts(texts))
                if texts.value_type != self.options.value.unwrap_or_default() =>
            {
                Err(TableError::Types {
                    name: self.name.clone(),
                    attribute: attribute.clone(),
                })
            }
            _ => Ok(()),
        }
    }

    /// Its ranges with their values.
    pub(crate) fn rows(&self, values: &mut Values) -> Result<(Vec<Row>, TableReport), TableError> {
        let mut report = TableReport::new(self.kind.clone(), self.name.clone());
        let (mut rows, mut has_value) = (Vec::new(), false);
        let (bytes, format) = self.unpacked()?;
        report.is_cut = format.is_text() && !bytes.ends_with(b"\n");
        let roles = Roles::new(self.kind, self.options.field.as_deref());
        let read = rows::read_ranges(&bytes, format, &roles, &mut |line, item| {
            let found = match item {
                Item::Row(found) => found,
                Item::Bad(reason) => return report.add_bad(line, reason),
                Item::Odd(reason) => return report.add_odd(line, reason),
            };
            match values.number(found.value) {
                Ok(value) => {
                    report.rows += 1;
                    has_value |= value != 0;
                    rows.push(Row {
                        first: found.first,
                        last: found.last,
                        value,
                        line: u32::try_from(line).unwrap_or(u32::MAX),
                        family: found.family,
                    });
                }
                Err(NoValue::Bad(reason)) => report.add_bad(line, reason),
                Err(NoValue::Odd(reason)) => report.add_odd(line, reason),
            }
        });
        read.map_err(|what| self.refused(what))?;
        report.judge(has_value)?;
        Ok((rows, report))
    }

    /// Its records, of a table of names.
    pub(crate) fn records(&self, each: &mut Each<'_>) -> Result<(), TableError> {
        let (bytes, format) = self.unpacked()?;
        let roles = Roles::new(self.kind, self.options.field.as_deref());
        rows::read_records(&bytes, format, &roles, each).map_err(|what| self.refused(what))
    }

    fn unpacked(&self) -> Result<(Cow<'_, [u8]>, Format), TableError> {
        let bytes = unpack(&self.bytes, LIMIT_BYTES).map_err(|error| match error {
            Unpacked::TooLarge => too_large(self.name.clone()),
            Unpacked::Damaged(what) => self.refused(what),
        })?;
        let format = match self.options.format {
            Some(format) => format,
            None => Format::of(&bytes, self.kind).map_err(|what| self.refused(what))?,
        };
        Ok((bytes, format))
    }

    fn refused(&self, what: String) -> TableError {
        TableError::Format {
            name: self.name.clone(),
            what,
        }
    }
}
