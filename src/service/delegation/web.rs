//! did:web: the document is changed where it is hosted, so a change here only adds the statement once the document says
//! what it says. Where this server hosts it, both change together.

use std::sync::Arc;

use super::{
    Changed, DelegationFailure,
    change::{ChangeRequest, brought_entries, consent_to, is_here, present},
    claim::{claim, claim_held},
    consent::{Consent, Subject},
    ground::{document_key, ids_with_statements, server_keys, statements},
};
use crate::{
    delegation::{
        Account as Checked, AppData, CheckedStatement, DelegationError, DelegationId, Ground, NamedKey, Purpose,
        Session, Statement, check_statement,
        web::{Chain, WebDocument},
    },
    event,
    identity::DidDocument,
    outbound::Freshness,
    service::{AccountGuard, Server},
    store::{Account, DelegationChange},
};

/// A change by a statement.
pub(super) async fn change(
    server: &Arc<Server>,
    account: &Account,
    session: Session,
    purpose: Purpose,
    statement: &Statement,
    request: &ChangeRequest,
) -> Result<Changed, DelegationFailure> {
    let served = Served::of(server, account).await?;
    let ground = WebGround::read(server, account, statement.id()).await?;
    if is_here(server, account, statement).await? {
        return Ok(present(account, statement, ground.key, None));
    }
    let checked = ground.check(server, account, purpose, statement)?;
    let entries = brought_entries(server, account, statement, &checked, &request.app_data).await?;
    let consent = consent_to(server, account, session, &checked, request.token.as_deref()).await?;
    if request.operation.is_some() {
        return Err(DelegationError::InvalidOperation("a did:web has no PLC operations".to_owned()).into());
    }
    let key = statement.key().map(|key| key.as_str().to_owned());
    if ground.key != key && served.is_none() {
        return Err(DelegationError::DidNotManaged(to_do(account, statement.id(), key.as_deref())).into());
    }
    consent.take(server, account).await?;
    let change = DelegationChange {
        id: statement.id().clone(),
        key,
        statement_cid: Some(checked.cid),
        statement: Some(statement.to_json()),
        entries: request.app_data.clone(),
    };
    match served {
        Some(served) => served.change(server, account, Some(statement), &entries, &change).await,
        None => claim(server, account, Some(statement), &entries, &change).await,
    }
}

/// A document that this server serves itself: the change of it, the statement and the events become true together. Holds
/// the account's lock from the reading to the writing, since there is no log that could refuse the second of two changes.
struct Served(AccountGuard);

impl Served {
    async fn of(server: &Server, account: &Account) -> Result<Option<Self>, DelegationFailure> {
        if !server.store.is_served_did(&account.did).await? {
            return Ok(None);
        }
        Ok(Some(Self(server.locks.lock(account.id).await)))
    }

    async fn change(
        self,
        server: &Server,
        account: &Account,
        statement: Option<&Statement>,
        entries: &[AppData],
        change: &DelegationChange,
    ) -> Result<Changed, DelegationFailure> {
        let events = vec![event::identity(&account.did, Some(&account.handle), server.now())];
        claim_held(server, (account, self.0), statement, entries, change, events).await
    }
}

/// The end of a delegation whose key is lost.
pub(super) async fn end(
    server: &Server,
    account: &Account,
    id: &DelegationId,
    token: Option<&str>,
) -> Result<Changed, DelegationFailure> {
    let served = Served::of(server, account).await?;
    let ground = WebGround::read(server, account, id).await?;
    if ground.before(None).is_none() {
        return Err(DelegationError::DelegationNotFound.into());
    }
    let consent = Consent::by_code(server, account, &Subject::End(id.clone()), token).await?;
    if ground.key.is_some() && served.is_none() {
        return Err(DelegationError::DidNotManaged(to_do(account, id, None)).into());
    }
    consent.take(server, account).await?;
    let change =
        DelegationChange { id: id.clone(), key: None, statement_cid: None, statement: None, entries: Vec::new() };
    match served {
        Some(served) => served.change(server, account, None, &[], &change).await,
        None => claim(server, account, None, &[], &change).await,
    }
}

/// The key that an id has before a change to nothing.
pub(super) async fn named(
    server: &Server,
    account: &Account,
    id: &DelegationId,
) -> Result<Option<String>, DelegationFailure> {
    Ok(WebGround::read(server, account, id).await?.before(None))
}

/// Checks a statement as the method that it is for would, and gives the key before.
pub(super) async fn check_asked(
    server: &Server,
    account: &Account,
    statement: &Statement,
) -> Result<Option<String>, DelegationFailure> {
    let ground = WebGround::read(server, account, statement.id()).await?;
    let wanted = statement.key().map(NamedKey::as_str);
    let before = ground.before(wanted);
    let purpose = match (wanted, before.as_deref()) {
        (None, _) => Purpose::Delete,
        (Some(wanted), Some(before)) if wanted != before => Purpose::Update,
        (Some(_), _) => Purpose::Create,
    };
    ground.check(server, account, purpose, statement)?;
    Ok(before)
}

/// What holds for one id now.
struct WebGround {
    document: Arc<DidDocument>,
    /// What the document names.
    key: Option<String>,
    statements: Vec<Statement>,
    delegations: Vec<DelegationId>,
}

impl WebGround {
    async fn read(server: &Server, account: &Account, id: &DelegationId) -> Result<Self, DelegationFailure> {
        let document = server.resolver.did(&account.did, Freshness::Now).await.map_err(|cause| {
            DelegationError::DidNotManaged(format!("the DID document of {} cannot be read: {cause}", account.did))
        })?;
        let mut delegations = ids_with_statements(server, account).await?;
        delegations.retain(|id| document_key(&document, id).is_some());
        let statements = statements(server, account, id).await?;
        Ok(Self { key: document_key(&document, id), document, statements, delegations })
    }

    /// The key that the change starts from: where the document has been changed already, the latest statement's.
    fn before(&self, wanted: Option<&str>) -> Option<String> {
        if self.key.as_deref() != wanted {
            return self.key.clone();
        }
        let first = self.statements.first()?;
        let chain = Chain::read(first.did(), first.id(), &self.statements);
        chain.last_key().map(|key| key.as_str().to_owned())
    }

    fn check(
        &self,
        server: &Server,
        account: &Account,
        purpose: Purpose,
        statement: &Statement,
    ) -> Result<CheckedStatement, DelegationError> {
        let mut keys = server_keys(server, account);
        keys.extend(self.document.signing_key.as_ref().map(ToString::to_string));
        let before = self.before(statement.key().map(NamedKey::as_str));
        let document = WebDocument { key: before.as_deref(), server_keys: &keys };
        let facts = Checked {
            did: &account.did,
            ground: Ground::Web(document, &self.statements),
            delegations: &self.delegations,
            server_keys: &keys,
            now: server.now(),
        };
        check_statement(statement, purpose, &facts)
    }
}

/// What the owner has to do with the document.
fn to_do(account: &Account, id: &DelegationId, key: Option<&str>) -> String {
    let did = &account.did;
    let Some(key) = key else {
        return format!(
            "the document of {did} is not served by this server: remove its verificationMethod entry #{id}, then send \
             this again"
        );
    };
    let multibase = key.strip_prefix("did:key:").unwrap_or(key);
    let entry = serde_json::json!({
        "id": format!("{did}#{id}"), "type": "Multikey", "controller": did, "publicKeyMultibase": multibase,
    });
    format!(
        "the document of {did} is not served by this server: make its verificationMethod list have {entry}, then send this again"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::Clock,
        crypto::{DelegateKey, DelegateSigningKey, KeyType},
        delegation::{Draft, Effect, testing::delegate},
        ipld::Cid,
        service::testing::World,
    };

    struct Carol {
        world: World,
        account: Account,
    }

    impl Carol {
        async fn new() -> Self {
            let world = World::new().await;
            let account = Account { did: "did:web:carol.example".parse().unwrap(), ..world.account("carol").await };
            Self { world, account }
        }

        fn ground(&self, key: Option<&DelegateKey>, statements: Vec<Statement>) -> WebGround {
            let did = &self.account.did;
            let methods = key.map(|key| {
                let multibase = key.to_string().replace("did:key:", "");
                serde_json::json!({ "id": "#e2ee", "type": "Multikey", "controller": did, "publicKeyMultibase": multibase })
            });
            let json = serde_json::json!({ "id": did, "verificationMethod": methods.into_iter().collect::<Vec<_>>() });
            let document = Arc::new(DidDocument::parse(did, json).unwrap());
            let key = document_key(&document, &DelegationId::default());
            WebGround { document, key, statements, delegations: Vec::new() }
        }

        fn statement(
            &self,
            prev: Option<Cid>,
            key: Option<&DelegateSigningKey>,
            endorser: Option<&DelegateSigningKey>,
        ) -> Statement {
            let draft = Draft {
                did: self.account.did.clone(),
                id: DelegationId::default(),
                key: key.map(DelegateSigningKey::public),
                prev,
                created_at: self.world.clock.now(),
            };
            draft.sign(key, endorser).unwrap()
        }

        fn check(&self, ground: &WebGround, purpose: Purpose, statement: &Statement) -> CheckedStatement {
            ground.check(&self.world.server, &self.account, purpose, statement).unwrap()
        }
    }

    #[tokio::test]
    async fn a_change_is_checked_alike_before_and_after_the_document_was_changed() {
        let carol = Carol::new().await;
        let (first, second) = (delegate(KeyType::Ed25519, 1), delegate(KeyType::P256, 2));
        let created = carol.statement(None, Some(&first), None);
        for document in [None, Some(first.public())] {
            let ground = carol.ground(document.as_ref(), Vec::new());
            let checked = carol.check(&ground, Purpose::Create, &created);
            assert_eq!((checked.effect, checked.first), (Effect::Names, true));
        }
        let rotated = carol.statement(Some(created.cid()), Some(&second), Some(&first));
        for document in [first.public(), second.public()] {
            let ground = carol.ground(Some(&document), vec![created.clone()]);
            let checked = carol.check(&ground, Purpose::Update, &rotated);
            assert_eq!((checked.effect, checked.endorsed), (Effect::Names, true));
            assert_eq!(ground.before(Some(second.public().to_string().as_str())), Some(first.public().to_string()));
        }
        let ended = carol.statement(Some(rotated.cid()), None, Some(&second));
        for document in [Some(second.public()), None] {
            let ground = carol.ground(document.as_ref(), vec![created.clone(), rotated.clone()]);
            assert_eq!(carol.check(&ground, Purpose::Delete, &ended).effect, Effect::Ends);
        }
    }

    #[tokio::test]
    async fn a_document_that_cannot_be_read_is_said_plainly_and_the_entry_to_add_is_shown() {
        let carol = Carol::new().await;
        let first = delegate(KeyType::Ed25519, 1);
        let request = ChangeRequest {
            statement: carol.statement(None, Some(&first), None).to_json(),
            ..ChangeRequest::default()
        };
        let account = Account { did: "did:web:carol.invalid".parse().unwrap(), ..carol.account.clone() };
        let mut statement = request.statement.clone();
        statement["did"] = serde_json::json!(account.did);
        let statement = Statement::from_json(&statement).unwrap();
        let session = Session::Fresh { second_factor: false };
        let refused =
            change(&carol.world.server, &account, session, Purpose::Create, &statement, &request).await.unwrap_err();
        assert!(matches!(refused, DelegationFailure::Refused(DelegationError::DidNotManaged(_))), "{refused:?}");
        let key = first.public().to_string();
        let text = to_do(&carol.account, &DelegationId::default(), Some(&key));
        assert!(text.contains(key.trim_start_matches("did:key:")) && text.contains("did:web:carol.example#e2ee"));
    }
}
