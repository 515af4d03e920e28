//! Which certificates the server believes when it asks others.

use std::sync::Arc;

use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};

/// Mozilla's certificate authorities, and those of a PEM bundle. The provider is given here, so that nothing depends on
/// what the process has installed.
///
/// # Errors
/// One sentence when the bundle holds no certificate, or one that cannot be an authority.
pub(super) fn client_config(extra_ca_pem: Option<&[u8]>) -> Result<ClientConfig, String> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    if let Some(pem) = extra_ca_pem {
        let mut added = 0;
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|cause| format!("it is not PEM: {cause}"))?;
            roots.add(certificate).map_err(|cause| format!("a certificate in it cannot be used: {cause}"))?;
            added += 1;
        }
        if added == 0 {
            return Err("it holds no certificate".to_owned());
        }
    }
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|cause| format!("TLS cannot be set up: {cause}"))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_bundle_the_public_authorities_are_believed() {
        assert!(client_config(None).is_ok());
    }

    #[test]
    fn a_bundle_without_a_certificate_is_refused() {
        assert_eq!(client_config(Some(b"hello")).unwrap_err(), "it holds no certificate");
        let broken = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(client_config(Some(broken)).unwrap_err().contains("cannot be used"));
    }

    #[test]
    fn a_bundle_of_several_certificates_is_believed() {
        let pem: String =
            ["a", "b"].map(|name| rcgen::generate_simple_self_signed([name.to_owned()]).unwrap().cert.pem()).concat();
        assert!(client_config(Some(pem.as_bytes())).is_ok());
    }
}
