//! The account at both servers: made, activated, deactivated.

use serde_json::{Value, json};

use super::{MoveError, Mover, Stand, identity::Credentials, strange, text};
use crate::{
    client::pds::{CallError, Pds},
    crypto::Secret,
    syntax::{Did, Handle},
};

/// What a server says to the owner of an account that moves.
pub(super) struct Status {
    pub(super) active: bool,
    pub(super) commit: String,
    pub(super) rev: String,
    pub(super) records: u64,
    pub(super) expected_blobs: u64,
    pub(super) imported_blobs: u64,
}

impl Status {
    pub(super) async fn of(pds: &Pds) -> Result<Self, MoveError> {
        const METHOD: &str = "com.atproto.server.checkAccountStatus";
        let json = pds.get(METHOD, &[]).await?;
        let number = |name: &str| json.get(name).and_then(Value::as_u64).unwrap_or(0);
        let active = json.get("activated").and_then(Value::as_bool);
        match (active, text(&json, "repoCommit"), text(&json, "repoRev")) {
            (Some(active), Some(commit), Some(rev)) => Ok(Self {
                active,
                commit,
                rev,
                records: number("indexedRecords"),
                expected_blobs: number("expectedBlobs"),
                imported_blobs: number("importedBlobs"),
            }),
            _ => Err(strange(&pds.host(), METHOD)),
        }
    }
}

impl Mover<'_> {
    /// The account at the new server: the one that is there, or a new one that is not active yet.
    pub(super) async fn account(&mut self) -> Result<(), MoveError> {
        let is_there = self.open_there().await?;
        if !is_there {
            self.require_to_live_at_old().await?;
            self.create().await?;
            self.plan.to.open().await?;
            // What an earlier run brought went with the account that it was brought to.
            self.note.imported = None;
        }
        self.save()?;
        let to = self.plan.to.fresh().await?;
        let status = Status::of(to).await?;
        let new = Credentials::of(to).await?;
        (self.served, self.filled) = (status.active, status.records > 0);
        self.turned = self.is_named(&new).await?;
        if is_there && !self.turned {
            self.require_to_live_at_old().await?;
            // It would be taken for what moved here, and what is at the old server would be lost.
            if self.served {
                return Err(MoveError::Unfit(format!(
                    "the account is active at {} although its document names another server: deactivate it there, then \
                     run this again; its records there are replaced by those of {}",
                    self.plan.to.host(),
                    self.plan.from.host()
                )));
            }
        }
        Ok(())
    }

    /// A move from where an account lived before would bring back what it was then.
    async fn require_to_live_at_old(&mut self) -> Result<(), MoveError> {
        let from = self.plan.from.fresh().await?;
        require_to_be_free(&self.plan.did, from, &describe(from).await?)?;
        let old = Credentials::of(from).await?;
        if self.is_signed_by(&old).await? {
            return Ok(());
        }
        let (host, did) = (self.plan.from.host(), &self.plan.did);
        Err(MoveError::Unfit(format!(
            "{did} does not live at {host} any more: its document names another key than the one that is there. Name the server \
             where it lives with --from"
        )))
    }

    /// Whether there is an account at the new server that the password opens.
    async fn open_there(&mut self) -> Result<bool, MoveError> {
        let cause = match self.plan.to.open().await {
            Ok(()) => return Ok(true),
            Err(cause) if cause.is_definite() => cause,
            Err(cause) => return Err(cause.into()),
        };
        match Stand::at(self.plan.to.pds(), &self.plan.did).await {
            Stand::Active | Stand::Inactive => Err(MoveError::Unfit(format!(
                "there is an account at {} that the new password does not open: {cause}",
                self.plan.to.host()
            ))),
            Stand::Absent | Stand::Unknown => Ok(false),
        }
    }

    async fn create(&mut self) -> Result<(), MoveError> {
        const METHOD: &str = "com.atproto.server.createAccount";
        let from = self.plan.from.fresh().await?;
        let to = self.plan.to.pds();
        let now = from.get("com.atproto.server.getSession", &[]).await?;
        let described = describe(to).await?;
        let handle = match &self.plan.handle {
            Some(handle) => handle.clone(),
            None => handle_there(&text(&now, "handle").unwrap_or_default(), &describe(from).await?, &described)?,
        };
        let email = self.plan.email.clone().or_else(|| text(&now, "email"));
        let aud = text(&described, "did").ok_or_else(|| strange(&to.host(), "describeServer"))?;
        let proof = from.get("com.atproto.server.getServiceAuth", &[("aud", &aud), ("lxm", METHOD)]).await?;
        let proof = text(&proof, "token").ok_or_else(|| strange(&from.host(), "getServiceAuth"))?;
        let mut body = json!({"did": self.plan.did, "handle": handle, "password": self.plan.to.password().expose()});
        if let Some(map) = body.as_object_mut() {
            map.extend(email.map(|email| ("email".to_owned(), Value::String(email))));
            map.extend(self.plan.invite_code.clone().map(|code| ("inviteCode".to_owned(), Value::String(code))));
        }
        to.with_token(&Secret::new(proof)).post(METHOD, &body).await?;
        Ok(())
    }

    /// The new server serves the account from now on.
    pub(super) async fn activate(&mut self) -> Result<(), MoveError> {
        let to = self.plan.to.fresh().await?;
        if !Status::of(to).await?.active {
            to.post("com.atproto.server.activateAccount", &Value::Null).await?;
        }
        self.served = true;
        Ok(())
    }

    /// The old server does not any more; one that has no such account has nothing to end.
    pub(super) async fn deactivate(&mut self) -> Result<(), MoveError> {
        match self.end_at_old().await {
            Err(MoveError::Call(cause))
                if cause.is_definite() && Stand::at(self.plan.from.pds(), &self.plan.did).await == Stand::Absent =>
            {
                self.tell(format!("{} has no such account any more", self.plan.from.host()));
                Ok(())
            }
            other => other,
        }
    }

    async fn end_at_old(&mut self) -> Result<(), MoveError> {
        let imported = self.note.imported.clone();
        let from = self.plan.from.fresh().await?;
        let status = Status::of(from).await?;
        if status.active {
            from.post("com.atproto.server.deactivateAccount", &json!({})).await?;
        }
        if imported.is_some_and(|rev| rev != status.rev) {
            self.tell(format!(
                "something was written at {} after its records had been brought over: it is there and not at {}",
                self.plan.from.host(),
                self.plan.to.host()
            ));
        }
        Ok(())
    }
}

/// A did:web under one of the old server's own domains has its document there, and that names no other server.
pub(super) fn require_to_be_free(did: &Did, old: &Pds, described: &Value) -> Result<(), MoveError> {
    let is_bound = did.as_str().strip_prefix("did:web:").is_some_and(|name| is_under(name, described));
    if is_bound {
        return Err(MoveError::Unfit(format!(
            "{did} cannot leave {}, which serves its document under a domain of its own. Its records, blobs and preferences can: \
             `housekey account export` makes a file of them",
            old.host()
        )));
    }
    Ok(())
}

pub(super) async fn describe(pds: &Pds) -> Result<Value, CallError> {
    pds.get("com.atproto.server.describeServer", &[]).await
}

/// The present handle where it does not belong to the old server; else its first label under the new server's first domain.
pub(super) fn handle_there(present: &str, old: &Value, new: &Value) -> Result<Handle, MoveError> {
    let wanted =
        match (is_under(present, old) && !is_under(present, new), domains(new).next(), present.split('.').next()) {
            (true, Some(domain), Some(label)) => format!("{label}{domain}"),
            _ => present.to_owned(),
        };
    wanted
        .parse()
        .map_err(|_| MoveError::Unfit(format!("{wanted:?} cannot be the handle there: name one with --handle")))
}

fn is_under(name: &str, described: &Value) -> bool {
    domains(described).any(|domain| name.ends_with(domain))
}

/// The domains under which a server gives handles, each with its dot.
fn domains(described: &Value) -> impl Iterator<Item = &str> {
    described.get("availableUserDomains").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_did_web_is_bound_to_the_server_under_whose_domain_it_is_and_others_are_free() {
        let client = crate::outbound::TrustedClient::new(&crate::outbound::OutboundOptions::default()).unwrap();
        let old = Pds::new("https://old.example".parse().unwrap(), crate::client::pds::Through::Trusted(client));
        let described = json!({"availableUserDomains": [".old.example"]});
        let free = |did: &str| require_to_be_free(&did.parse().unwrap(), &old, &described);
        for did in ["did:web:alice.example.com", "did:web:old.example", "did:plc:ewvi7nxzyoun6zhxrhs64oiz"] {
            assert!(free(did).is_ok(), "{did}");
        }
        let bound = free("did:web:alice.old.example").unwrap_err().to_string();
        assert!(bound.contains("cannot leave https://old.example") && bound.contains("account export"), "{bound}");
    }

    #[test]
    fn a_handle_of_the_old_server_gets_the_new_ones_domain_and_a_domain_of_the_owners_stays() {
        let server = |domains: &[&str]| json!({"availableUserDomains": domains});
        for (present, old, new, expected) in [
            ("alice.old.example", &[".old.example"][..], &[".new.example", ".x.example"][..], "alice.new.example"),
            ("alice.example.com", &[".old.example"], &[".new.example"], "alice.example.com"),
            ("alice.test", &[".test"], &[".test"], "alice.test"),
            ("alice.old.example", &[".old.example"], &[], "alice.old.example"),
        ] {
            assert_eq!(handle_there(present, &server(old), &server(new)).unwrap().as_str(), expected);
        }
        let refused = handle_there("", &server(&[]), &server(&[])).unwrap_err().to_string();
        assert!(refused.contains("--handle"), "{refused}");
    }
}
