//! Templates of NetFlow v9 and IPFIX, compiled on arrival to the few steps that a record needs.
//!
//! Templates come once a minute, records by the million: what is decided here (which element goes where, which
//! of several alternatives counts, what is skipped) is not decided again.
//! Law: a record of a template takes at least one byte, so that every loop over records ends.

use super::fields::{Field, better_than};
use super::outcome::Protocol;
use super::reader::Reader;

/// Length of a field whose length stands in the record (RFC 7011 7).
const VARIABLE: u16 = 0xffff;
/// Top bit of an IPFIX element: an enterprise number follows (RFC 7011 3.2).
const ENTERPRISE: u16 = 0x8000;

/// What a template says of one field.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spec {
    /// The element; `None` for enterprise elements and those of other numbering.
    element: Option<u16>,
    length: u16,
    scope: bool,
}

impl Spec {
    /// Reads one; `None` if it is cut.
    pub(crate) fn read(reader: &mut Reader<'_>, protocol: Protocol, scope: bool) -> Option<Spec> {
        let (element, length) = (reader.u16()?, reader.u16()?);
        if protocol == Protocol::Ipfix && element & ENTERPRISE != 0 {
            reader.u32()?;
            return Some(Spec {
                element: None,
                length,
                scope,
            });
        }
        if protocol == Protocol::NetflowV9 && scope {
            // Scope types are numbers of their own (RFC 3954 6.1): 2 is an interface.
            return Some(Spec {
                element: (element == 2).then_some(10),
                length,
                scope,
            });
        }
        Some(Spec {
            element: Some(element),
            length,
            scope,
        })
    }
}

/// One step through a record: skip, then read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Step {
    skip: u32,
    length: u16,
    field: Field,
}

/// A compiled template.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Template {
    /// Whether its records are options (RFC 7011 3.4.2.2).
    pub(crate) options: bool,
    /// The shortest record, bytes; at least 1.
    pub(crate) shortest: usize,
    steps: Box<[Step]>,
    /// Bytes after the last step.
    tail: u32,
    /// Its record as it was sent, from which it can be learned again.
    pub(crate) sent: Box<[u8]>,
}

impl Template {
    /// From the fields of the record `sent`; `None` if its own records would have no bytes.
    pub(crate) fn compile(specs: &[Spec], options: bool, sent: &[u8]) -> Option<Template> {
        let present = Present::of(specs);
        let (mut steps, mut skip, mut shortest) = (Vec::with_capacity(specs.len()), 0_u32, 0_usize);
        for spec in specs {
            let field = spec.field(options).filter(|_| !spec.superfluous(&present));
            shortest += if spec.length == VARIABLE {
                1
            } else {
                usize::from(spec.length)
            };
            match field {
                Some(field) if spec.length > 0 => {
                    steps.push(Step {
                        skip,
                        length: spec.length,
                        field,
                    });
                    skip = 0;
                }
                _ if spec.length == VARIABLE => {
                    steps.push(Step {
                        skip,
                        length: spec.length,
                        field: Field::Skip,
                    });
                    skip = 0;
                }
                _ => skip = skip.saturating_add(u32::from(spec.length)),
            }
        }
        (shortest > 0).then(|| Template {
            options,
            shortest,
            steps: steps.into(),
            tail: skip,
            sent: sent.into(),
        })
    }

    /// What it costs to keep.
    pub(crate) fn entries(&self) -> usize {
        // A template without steps is no free lunch: 4 for its place in the map.
        self.steps.len() + 4 + self.sent.len() / 16
    }

    /// Reads one record, handing each field to `each`; `None`, and nothing to be trusted, if it is cut.
    #[inline]
    pub(crate) fn record<'a>(
        &self,
        reader: &mut Reader<'a>,
        mut each: impl FnMut(Field, &'a [u8]),
    ) -> Option<()> {
        for step in &self.steps {
            if step.skip > 0 {
                reader.take(super::reader::length(step.skip))?;
            }
            let length = match step.length {
                VARIABLE => variable_length(reader)?,
                fixed => usize::from(fixed),
            };
            each(step.field, reader.take(length)?);
        }
        reader.take(super::reader::length(self.tail))?;
        Some(())
    }
}

impl Spec {
    fn field(&self, options: bool) -> Option<Field> {
        let element = self.element?;
        if options {
            Field::of_option(element, self.scope)
        } else {
            Field::of(element)
        }
    }

    fn superfluous(&self, present: &Present) -> bool {
        self.element
            .is_some_and(|element| better_than(element).iter().any(|e| present.has(*e)))
    }
}

/// Which elements below 512 a template has, with any length.
struct Present([u64; 8]);

impl Present {
    fn of(specs: &[Spec]) -> Present {
        let mut present = Present([0; 8]);
        for spec in specs.iter().filter(|spec| spec.length > 0) {
            let Some(element) = spec.element else {
                continue;
            };
            if let Some(word) = present.0.get_mut(usize::from(element / 64)) {
                *word |= 1 << (element % 64);
            }
        }
        present
    }

    fn has(&self, element: u16) -> bool {
        self.0
            .get(usize::from(element / 64))
            .is_some_and(|word| word >> (element % 64) & 1 == 1)
    }
}

/// RFC 7011 7: one byte, or 255 and two bytes.
fn variable_length(reader: &mut Reader<'_>) -> Option<usize> {
    match reader.u8()? {
        255 => reader.u16().map(usize::from),
        short => Some(usize::from(short)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn specs(fields: &[(u16, u16)]) -> Vec<Spec> {
        let bytes: Vec<u8> = fields
            .iter()
            .flat_map(|(element, length)| [element.to_be_bytes(), length.to_be_bytes()].concat())
            .collect();
        let mut reader = Reader::new(&bytes);
        std::iter::from_fn(|| Spec::read(&mut reader, Protocol::NetflowV9, false)).collect()
    }

    fn seen(template: &Template, record: &[u8]) -> Option<Vec<(Field, Vec<u8>)>> {
        let mut seen = Vec::new();
        let mut reader = Reader::new(record);
        template.record(&mut reader, |field, bytes| {
            seen.push((field, bytes.to_vec()));
        })?;
        assert_eq!(reader.len(), 0);
        Some(seen)
    }

    #[test]
    fn unknown_fields_become_offsets() {
        let template =
            Template::compile(&specs(&[(999, 2), (998, 1), (1, 2), (997, 1)]), false, &[]).unwrap();
        assert_eq!(template.steps.len(), 1);
        assert_eq!(template.shortest, 6);
        assert_eq!(
            seen(&template, &[9, 9, 9, 1, 2, 9]),
            Some(vec![(Field::Bytes, vec![1, 2])])
        );
        assert_eq!(seen(&template, &[9, 9, 9, 1, 2]), None);
    }

    #[test]
    fn variable_lengths_short_and_long() {
        let template =
            Template::compile(&specs(&[(999, 0xffff), (2, 0xffff)]), false, &[]).unwrap();
        assert_eq!(template.shortest, 2);
        let expected = vec![(Field::Skip, vec![7]), (Field::Packets, vec![1, 2])];
        assert_eq!(seen(&template, &[1, 7, 2, 1, 2]), Some(expected.clone()));
        assert_eq!(seen(&template, &[255, 0, 1, 7, 2, 1, 2]), Some(expected));
        assert_eq!(seen(&template, &[255, 0, 9, 7, 2, 1, 2]), None);
    }

    #[test]
    fn the_best_alternative_is_used_and_a_zero_length_one_is_none() {
        let count = |fields: &[(u16, u16)]| {
            Template::compile(&specs(fields), false, &[]).map(|t| t.steps.len())
        };
        assert_eq!(count(&[(23, 4), (1, 4)]), Some(1));
        assert_eq!(count(&[(23, 4), (1, 0)]), Some(1));
        assert_eq!(count(&[(23, 4), (2, 4)]), Some(2));
        assert_eq!(count(&[(1, 0), (2, 0)]), None);
        assert_eq!(count(&[]), None);
    }
}
