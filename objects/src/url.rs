//! Where a state stands, as `--state` gives it: a directory, or `s3://bucket/prefix?endpoint=…&region=…`.
//!
//! Law: a secret never stands in a URL, and no part of a refused one that might be a secret is shown.

use std::path::{Path, PathBuf};

use flow_state::StateError;

/// Where a state stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A directory of this machine.
    Directory(PathBuf),
    /// A bucket of an S3-compatible store.
    Bucket(Address),
}

/// A bucket, and how to get to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    pub(crate) bucket: String,
    /// Without a slash at either end; may be empty.
    pub(crate) prefix: String,
    /// `None`: Amazon's, or that of the environment.
    pub(crate) endpoint: Option<String>,
    pub(crate) region: Option<String>,
}

impl Address {
    /// For messages.
    pub fn shown(&self) -> PathBuf {
        match self.prefix.as_str() {
            "" => PathBuf::from(format!("s3://{}", self.bucket)),
            prefix => PathBuf::from(format!("s3://{}/{prefix}", self.bucket)),
        }
    }
}

impl Place {
    /// For messages.
    pub fn shown(&self) -> PathBuf {
        match self {
            Place::Directory(path) => path.clone(),
            Place::Bucket(address) => address.shown(),
        }
    }

    /// Reads what `--state` was given.
    ///
    /// # Errors
    /// `Unusable` for a URL that is none of ours.
    pub fn of(given: &Path) -> Result<Place, StateError> {
        let Some((scheme, rest)) = given.to_str().and_then(|text| text.split_once("://")) else {
            return Ok(Place::Directory(given.to_owned()));
        };
        if scheme != "s3" {
            let shown = format!("{scheme}://…");
            return Err(unusable(
                &shown,
                "a state stands in a directory, or under s3://bucket/prefix",
            ));
        }
        bucket(rest).map(Place::Bucket)
    }
}

fn bucket(rest: &str) -> Result<Address, StateError> {
    let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
    if place.contains(['@', ':']) {
        return Err(unusable(
            "s3://…",
            "name the bucket alone: credentials come by AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, the server by \
             ?endpoint=",
        ));
    }
    let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
    let prefix = prefix.trim_end_matches('/');
    let shown = format!("s3://{place}");
    let odd = |c: char| !(c.is_ascii_alphanumeric() || "-._/=".contains(c));
    let parts = || prefix.split('/');
    if bucket.is_empty() || bucket.contains(odd) {
        return Err(unusable(&shown, "give s3://bucket/prefix"));
    }
    if prefix.contains(odd)
        || !prefix.is_empty() && parts().any(|part| matches!(part, "" | "." | ".."))
    {
        return Err(unusable(
            &shown,
            "a prefix is made of names with letters, digits and -._= between slashes",
        ));
    }
    let mut address = Address {
        bucket: bucket.to_owned(),
        prefix: prefix.to_owned(),
        endpoint: None,
        region: None,
    };
    for (key, value) in ::url::form_urlencoded::parse(query.as_bytes()) {
        match key.as_ref() {
            "endpoint" => address.endpoint = Some(endpoint(&shown, &value)?),
            "region" => address.region = Some(value.into_owned()),
            _ => return Err(unknown(&shown, &key)),
        }
    }
    Ok(address)
}

/// The server's URL: scheme, host and port, nothing else.
fn endpoint(shown: &str, value: &str) -> Result<String, StateError> {
    let what = "its endpoint is not of the form https://host:port (or http://, without encryption); credentials come by \
                the environment";
    let parsed = ::url::Url::parse(value).map_err(|_| unusable(shown, what))?;
    let bare = matches!(parsed.scheme(), "http" | "https")
        && parsed.has_host()
        && parsed.username().is_empty()
        && parsed.password().is_none()
        && parsed.path() == "/"
        && parsed.query().is_none();
    if bare {
        Ok(value.trim_end_matches('/').to_owned())
    } else {
        Err(unusable(shown, what))
    }
}

fn unknown(shown: &str, key: &str) -> StateError {
    let lower = key.to_ascii_lowercase();
    let secret = ["key", "secret", "token", "password"];
    if secret.iter().any(|word| lower.contains(word)) {
        return unusable(
            shown,
            "a secret does not stand in a URL: credentials come by AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or by the \
             machine's role",
        );
    }
    let key: String = key.chars().filter(|c| c.is_ascii_graphic()).collect();
    unusable(
        shown,
        &format!("unknown option `{key}`; there are: endpoint, region"),
    )
}

fn unusable(shown: &str, what: &str) -> StateError {
    StateError::Unusable {
        path: PathBuf::from(shown),
        what: what.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(given: &str) -> String {
        let error = Place::of(Path::new(given)).expect_err(given);
        let line = error.to_string();
        assert!(!line.contains('\n') && !line.contains("hush"), "{line}");
        line
    }

    #[test]
    fn a_directory_is_a_directory() {
        for given in ["/var/lib/state", "state", "s3:/odd", "./s3"] {
            let place = Place::of(Path::new(given)).expect(given);
            assert_eq!(place, Place::Directory(PathBuf::from(given)));
        }
    }

    #[test]
    fn a_bucket_with_all_it_can_have() {
        let given = "s3://flows/a/b/?endpoint=http://127.0.0.1:9000/&region=eu-north-1";
        let Place::Bucket(address) = Place::of(Path::new(given)).expect("a bucket") else {
            panic!("{given}");
        };
        assert_eq!(address.shown(), Path::new("s3://flows/a/b"));
        assert_eq!(address.endpoint.as_deref(), Some("http://127.0.0.1:9000"));
        assert_eq!(address.region.as_deref(), Some("eu-north-1"));
        let bare = Place::of(Path::new("s3://flows")).expect("a bucket");
        assert!(matches!(bare, Place::Bucket(address) if address.prefix.is_empty()));
    }

    #[test]
    fn what_is_wrong_is_said_without_what_might_be_a_secret() {
        assert!(refused("gs://flows/hush").contains("gs://…"));
        assert!(refused("s3://me:hush@flows/a").contains("AWS_ACCESS_KEY_ID"));
        assert!(refused("s3://flows?secret_access_key=hush").contains("does not stand in a URL"));
        assert!(refused("s3://flows?endpoint=http://me:hush@h").contains("its endpoint"));
        assert!(refused("s3://flows?endpoint=ftp://h").contains("its endpoint"));
        assert!(refused("s3://flows?regoin=hush").contains("unknown option `regoin`"));
        assert!(refused("s3://").contains("s3://bucket/prefix"));
        assert!(refused("s3://flows/../other").contains("a prefix"));
        assert!(refused("s3://flows/a b").contains("a prefix"));
    }
}
