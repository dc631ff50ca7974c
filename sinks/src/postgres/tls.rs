//! Whether and how the server has to prove who it is: `sslmode` and its companions, as libpq means them.
//!
//! Law: `verify-ca` and `verify-full` never talk to a server whose certificate does not stand; the modes below them
//! protect from listeners only, as libpq's do.

use std::fs;

use native_tls::{Certificate, Identity, TlsConnector};
use postgres_native_tls::MakeTlsConnector;

use crate::SinkError;

/// What the options ask for.
#[derive(Default)]
pub(super) struct Wanted {
    pub(super) mode: Option<String>,
    /// Authorities to trust instead of the system's: a PEM file.
    pub(super) root_certificates: Option<String>,
    /// Certificate of this client: a PEM file.
    pub(super) certificate: Option<String>,
    /// Its key: a PEM file (PKCS #8).
    pub(super) key: Option<String>,
}

/// How connections are protected.
#[derive(Clone)]
pub(super) enum Tls {
    /// Not at all.
    None,
    /// If the server offers it.
    IfOffered(MakeTlsConnector),
    /// Or there is no connection.
    Always(MakeTlsConnector),
}

impl Wanted {
    /// Reads the files.
    pub(super) fn build(self, sink: &str) -> Result<Tls, SinkError> {
        let own_authority = self.root_certificates.is_some();
        let (chain, host) = match self.mode.as_deref().unwrap_or("prefer") {
            "disable" => return Ok(Tls::None),
            // libpq's rule: an authority that was named is asked.
            "prefer" => (false, false),
            "require" => (own_authority, false),
            "verify-ca" => (true, false),
            "verify-full" => (true, true),
            other => {
                return Err(SinkError::refused(format!(
                    "sink {sink}: sslmode `{other}`; there are: disable, prefer, require, verify-ca, verify-full"
                )));
            }
        };
        let connector = MakeTlsConnector::new(self.connector(sink, chain, host)?);
        Ok(match self.mode.as_deref() {
            None | Some("prefer") => Tls::IfOffered(connector),
            Some(_) => Tls::Always(connector),
        })
    }

    fn connector(&self, sink: &str, chain: bool, host: bool) -> Result<TlsConnector, SinkError> {
        let mut builder = TlsConnector::builder();
        builder
            .danger_accept_invalid_certs(!chain)
            .danger_accept_invalid_hostnames(!host);
        if let Some(file) = self
            .root_certificates
            .as_ref()
            .filter(|file| *file != "system")
        {
            let found = Certificate::stack_from_pem(&read(sink, file)?)
                .map_err(|error| unusable(sink, file, &error))?;
            if found.is_empty() {
                return Err(unusable(sink, file, &"holds no certificate in PEM"));
            }
            builder.disable_built_in_roots(true);
            for certificate in found {
                builder.add_root_certificate(certificate);
            }
        }
        match (&self.certificate, &self.key) {
            (Some(certificate), Some(key)) => {
                let identity = Identity::from_pkcs8(&read(sink, certificate)?, &read(sink, key)?)
                    .map_err(|error| unusable(sink, certificate, &error))?;
                builder.identity(identity);
            }
            (None, None) => (),
            _ => {
                return Err(SinkError::refused(format!(
                    "sink {sink}: sslcert and sslkey belong together; give both"
                )));
            }
        }
        builder.build().map_err(|error| {
            SinkError::refused(format!("sink {sink}: TLS cannot be set up: {error}"))
        })
    }
}

fn read(sink: &str, file: &str) -> Result<Vec<u8>, SinkError> {
    fs::read(file).map_err(|error| unusable(sink, file, &error))
}

fn unusable(sink: &str, file: &str, why: &dyn std::fmt::Display) -> SinkError {
    SinkError::refused(format!(
        "sink {sink}: {file}: {why}; name a PEM file that this program may read"
    ))
}
