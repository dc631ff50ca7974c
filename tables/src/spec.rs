//! `SourceSpec`: one source of a table as the command line names it, `KIND=PLACE?format=csv&field=asn`.
//!
//! Options begin at the last `?`, so a name that has one of its own is written with another `?` at its end.
//! Law: what is displayed reads back as the same source; an option that is not known is refused.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::format::Format;
use crate::kind::{Kind, KindError};
use crate::value::ValueType;

/// Options of every source.
const OPTIONS: &str = "format, field, value";
/// Options of a place that is no file are its own.
const REMOTE_OPTIONS: [&str; 2] = ["endpoint", "region"];

/// Where a source stands, and how it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceSpec {
    /// What its values are.
    pub kind: Kind,
    /// Where it stands.
    pub place: Place,
    /// How it is read.
    pub options: SourceOptions,
}

/// Where a source stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A file, or a folder whose newest file it is.
    Path(PathBuf),
    /// The URL of an object, or of a prefix that ends in `/`, whose newest object it is; with the options of the URL.
    Remote(String),
}

/// How a source is read; what is not said is found out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceOptions {
    /// The format; else by content.
    pub format: Option<Format>,
    /// The field that holds the value: a column's name or number, a path `a.b.c`.
    pub field: Option<String>,
    /// The type of an attribute's values; else strings.
    pub value: Option<ValueType>,
}

/// Why a text names no source.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SpecError {
    /// No `KIND=`, or no place.
    #[error("give KIND=PLACE, as asn=prefixes.csv")]
    Form,
    /// The kind is none.
    #[error(transparent)]
    Kind(#[from] KindError),
    /// An option that there is not.
    #[error("unknown option {name:?} of a table; there are: {known}")]
    Option {
        /// As given.
        name: String,
        /// Those that there are.
        known: String,
    },
    /// An option's value that there is not.
    #[error("{option}={given:?}: there are: {known}")]
    Value {
        /// The option.
        option: &'static str,
        /// As given.
        given: String,
        /// Those that there are.
        known: String,
    },
    /// An option that has no sense for this kind.
    #[error("value= is for attributes; the values of {0} have a type of their own")]
    NoType(Kind),
}

impl FromStr for SourceSpec {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<SourceSpec, SpecError> {
        let (kind, place) = text.split_once('=').ok_or(SpecError::Form)?;
        let kind: Kind = kind.parse()?;
        let (place, query) = place.rsplit_once('?').unwrap_or((place, ""));
        if place.is_empty() {
            return Err(SpecError::Form);
        }
        let is_remote = place.contains("://");
        let (mut options, mut of_place) = (SourceOptions::default(), String::new());
        for option in query.split('&').filter(|option| !option.is_empty()) {
            let (name, given) = option.split_once('=').unwrap_or((option, ""));
            match name {
                "format" => options.format = Some(known("format", given, &Format::ALL)?),
                "value" => options.value = Some(known("value", given, &ValueType::ALL)?),
                "field" if !given.is_empty() => options.field = Some(given.to_owned()),
                _ if is_remote && REMOTE_OPTIONS.contains(&name) => {
                    of_place.push(if of_place.is_empty() { '?' } else { '&' });
                    of_place.push_str(option);
                }
                _ => {
                    let known = match is_remote {
                        true => format!("{OPTIONS}, {}", REMOTE_OPTIONS.join(", ")),
                        false => OPTIONS.to_owned(),
                    };
                    let name = name.to_owned();
                    return Err(SpecError::Option { name, known });
                }
            }
        }
        if options.value.is_some() && !matches!(kind, Kind::Attribute(_)) {
            return Err(SpecError::NoType(kind));
        }
        let place = match is_remote {
            true => Place::Remote(format!("{place}{of_place}")),
            false => Place::Path(place.into()),
        };
        Ok(SourceSpec {
            kind,
            place,
            options,
        })
    }
}

/// One of the names that there are.
fn known<T: Copy + fmt::Display>(
    option: &'static str,
    given: &str,
    all: &[T],
) -> Result<T, SpecError> {
    let found = all.iter().find(|one| one.to_string() == given);
    found.copied().ok_or_else(|| {
        let names: Vec<String> = all.iter().map(T::to_string).collect();
        SpecError::Value {
            option,
            given: given.to_owned(),
            known: names.join(", "),
        }
    })
}

impl fmt::Display for SourceSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = match &self.place {
            Place::Path(path) => path.display().to_string(),
            Place::Remote(url) => url.clone(),
        };
        write!(f, "{}={place}", self.kind)?;
        let options = &self.options;
        let given = [
            options.format.map(|format| format!("format={format}")),
            options.field.as_ref().map(|field| format!("field={field}")),
            options.value.map(|value| format!("value={value}")),
        ];
        let given: Vec<String> = given.into_iter().flatten().collect();
        match (&self.place, place.contains('?')) {
            (Place::Remote(_), true) if !given.is_empty() => write!(f, "&{}", given.join("&")),
            (Place::Remote(_), true) => Ok(()),
            (Place::Path(_), true) => write!(f, "?{}", given.join("&")),
            (_, false) if given.is_empty() => Ok(()),
            (_, false) => write!(f, "?{}", given.join("&")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_displayed_reads_back() {
        for text in [
            "asn=a=b.csv",
            "country=/var/lib/tables/",
            "customer=c.csv?field=name",
            "attribute.rack=r.json?format=json&field=a.b.c&value=integer",
            "asn=odd?.csv?",
            "asn=s3://bucket/full/",
            "asn=s3://bucket/t.csv?endpoint=http://127.0.0.1:9000&region=a&format=csv",
        ] {
            let spec: SourceSpec = text.parse().expect(text);
            assert_eq!(spec.to_string(), text);
            assert_eq!(spec.to_string().parse(), Ok(spec));
        }
        let odd: SourceSpec = "asn=odd?.csv?".parse().expect("odd");
        assert_eq!(odd.place, Place::Path("odd?.csv".into()));
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, line) in [
            ("asn", "give KIND=PLACE, as asn=prefixes.csv"),
            ("asn=", "give KIND=PLACE, as asn=prefixes.csv"),
            (
                "asn=x?fromat=csv",
                "unknown option \"fromat\" of a table; there are: format, field, value",
            ),
            (
                "asn=x?format=xml",
                "format=\"xml\": there are: csv, dat, pfx2as, mmdb, mrt, json",
            ),
            (
                "customer=x?value=float",
                "value=\"float\": there are: string, integer",
            ),
            (
                "asn=x?value=integer",
                "value= is for attributes; the values of asn have a type of their own",
            ),
            (
                "asn=x?region=a",
                "unknown option \"region\" of a table; there are: format, field, value",
            ),
        ] {
            let refused = text
                .parse::<SourceSpec>()
                .map_err(|error| error.to_string());
            assert_eq!(refused, Err(line.to_owned()), "{text}");
        }
    }
}
