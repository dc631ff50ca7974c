//! Where a password comes from: a file, the URL, libpq's password file, or `PGPASSWORD`, in this order.
//!
//! A URL stands in process lists and shell histories; so the other ways exist. Law: a password is returned to the one
//! who asks, and is in no message.

use std::fs;

use flow_topic::shown::secret_file;
use tokio_postgres::Config;
use tokio_postgres::config::Host;

use crate::SinkError;

/// What was given.
#[derive(Default)]
pub(super) struct Source {
    /// `password_file=FILE`: the password alone, as secrets are mounted into containers.
    pub(super) file: Option<String>,
    /// In the URL.
    pub(super) url: Option<String>,
    /// `passfile=FILE`: libpq's format, a line `host:port:database:user:password` for each, `*` for any.
    pub(super) pass_file: Option<String>,
    /// `PGPASSWORD`.
    pub(super) environment: Option<String>,
}

impl Source {
    /// The password, if there is one.
    pub(super) fn password(self, config: &Config, sink: &str) -> Result<Option<String>, SinkError> {
        let read = |file: &str| {
            fs::read_to_string(file).map_err(|error| {
                SinkError::refused(format!(
                    "sink {sink}: password file {}: {error}; name a file that this program may read",
                    secret_file(file)
                ))
            })
        };
        if let Some(file) = &self.file {
            let text = read(file)?;
            return Ok(Some(text.trim_end_matches(['\r', '\n']).to_owned()));
        }
        if self.url.is_some() {
            return Ok(self.url);
        }
        if let Some(file) = &self.pass_file {
            let found = search(&read(file)?, config);
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(self.environment)
    }
}

/// The password of the first line that fits the first host.
fn search(text: &str, config: &Config) -> Option<String> {
    let host = match config.get_hosts().first() {
        Some(Host::Tcp(host)) => host.clone(),
        // libpq's rule for sockets.
        _ => "localhost".to_owned(),
    };
    let port = config.get_ports().first().copied().unwrap_or(5432);
    let user = config.get_user().unwrap_or_default().to_owned();
    let database = config.get_dbname().map_or(user.clone(), str::to_owned);
    let wanted = [host, port.to_string(), database, user];
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(fields).find_map(|mut fields| {
        let password = fields.pop()?;
        let fits = fields.len() == wanted.len()
            && fields
                .iter()
                .zip(&wanted)
                .all(|(field, want)| field == "*" || field == want);
        fits.then_some(password)
    })
}

/// A line's fields; `\:` and `\\` stand for the characters themselves.
fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        let taken = match character {
            ':' if fields.len() < 5 => {
                fields.push(String::new());
                continue;
            }
            '\\' => characters.next().unwrap_or('\\'),
            other => other,
        };
        if let Some(last) = fields.last_mut() {
            last.push(taken);
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        let mut config = Config::new();
        config.host("db").port(6432).user("flow").dbname("net:flow");
        config
    }

    #[test]
    fn the_first_line_that_fits_is_taken() {
        let text = "# db:6432:net\\:flow:flow:comment\n\
                    other:*:*:*:wrong\n\
                    db:5432:*:flow:wrong\n\
                    db:6432:net\\:flow:flow:a\\:b\\\\c\n\
                    *:*:*:*:late";
        assert_eq!(search(text, &config()).as_deref(), Some("a:b\\c"));
        assert_eq!(search("*:*:*:*:any", &config()).as_deref(), Some("any"));
        assert_eq!(search("db:6432:flow:any", &config()), None);
    }

    #[test]
    fn the_order_is_file_url_pass_file_environment() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        fs::write(path("p"), "from file\n").unwrap();
        fs::write(path("pass"), "db:*:*:*:from pass file\n").unwrap();
        let given = |file: bool, url: bool, pass: bool| {
            let source = Source {
                file: file.then(|| path("p")),
                url: url.then(|| "from url".to_owned()),
                pass_file: pass.then(|| path("pass")),
                environment: Some("from environment".into()),
            };
            source.password(&config(), "x").unwrap().unwrap()
        };
        assert_eq!(given(true, true, true), "from file");
        assert_eq!(given(false, true, true), "from url");
        assert_eq!(given(false, false, true), "from pass file");
        assert_eq!(given(false, false, false), "from environment");
    }
}
