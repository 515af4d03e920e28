//! `[outbound]`: requests that the server makes.

use std::path::Path;

use rustls::pki_types::{CertificateDer, pem::PemObject};
use serde_json::Value;

use super::{
    Warning,
    kinds::Flag,
    section::section,
    source::read_text,
    value::{Refused, Scalar},
};
use crate::limits::config::CA_FILE_MAX_BYTES;

section! {
    /// Requests that the server makes.
    Outbound = "outbound" () {
        /// Whether others may send the server to private addresses and plain http.
        allow_private_addresses: bool as Flag = default("false");
        /// Further certificate authorities: the content of the bundle.
        "extra_ca_file" extra_ca_pem: Option<Vec<u8>> as CaBundle = optional;
    }
}

/// A readable file with at least one certificate.
struct CaBundle;

impl Scalar for CaBundle {
    type Value = Vec<u8>;
    const EXPECTED: &'static str = "the path of a file with certificates in PEM form";

    fn parse(text: &str) -> Result<Vec<u8>, Refused> {
        let pem = read_text(Path::new(text), CA_FILE_MAX_BYTES)?.into_bytes();
        let certificates = CertificateDer::pem_slice_iter(&pem)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_| Refused(Some("its PEM is damaged".to_owned())))?;
        if certificates.is_empty() { Err(Refused(Some("there is no certificate in it".to_owned()))) } else { Ok(pem) }
    }

    fn show(pem: &Vec<u8>) -> Value {
        Value::from(format!("PEM, certificates: {}", CertificateDer::pem_slice_iter(pem).count()))
    }
}

impl Outbound {
    pub(super) fn warn(&self, warnings: &mut Vec<Warning>) {
        if self.allow_private_addresses {
            warnings.push(Warning::new(
                "outbound.allow_private_addresses",
                "anybody can make this server send requests into its own network: this is for closed networks only",
            ));
        }
    }
}
