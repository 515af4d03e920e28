//! One account: read, verified, written.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
};

use tokio::io::AsyncReadExt;

use super::{
    accounts::{self, ForeignAccount, ForeignAppPassword, time},
    actor::{Actor, ActorFault, ForeignBlob, Repository, hash_file},
    foreign::{Foreign, Unreadable},
    report::AccountReport,
    run::BlobTransfer,
    source::Source,
};
use crate::{
    clock::Timestamp,
    crypto::{SigningKey, scrypt_hash},
    ipld::{Cid, Codec},
    limits::{accounts::REFRESH_TOKEN_LIFETIME, adopt::COPY_BUFFER_BYTES},
    repo::RecordPath,
    service::{Server, import::blobs_of, records::backlinks},
    store::{
        AccountId, AccountState, ChangeSet, CommitRefused, CreateConflict, InviteRights, NewAccount, NewAppPassword,
        NewSession, Preference, PutAppPassword, PutBlobError, RecordChange, RecordPut, RecordTakedown, StoreError,
    },
    syntax::{Did, Handle},
};

/// What all accounts are taken with.
pub(super) struct Taker<'a> {
    pub(super) server: &'a Server,
    pub(super) source: &'a Source,
    /// `account.sqlite`.
    pub(super) db: &'a Foreign,
    /// Where copies of databases are made.
    pub(super) aside: &'a Path,
    pub(super) transfer: BlobTransfer,
}

/// Why an account is not taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum TakeError {
    #[error("{0}")]
    Account(String),
    #[error(transparent)]
    Actor(#[from] ActorFault),
    #[error(transparent)]
    Conflict(CreateConflict),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<Unreadable> for TakeError {
    fn from(cause: Unreadable) -> Self {
        Self::Actor(cause.into())
    }
}

impl From<CreateConflict> for TakeError {
    fn from(cause: CreateConflict) -> Self {
        match cause {
            CreateConflict::Store(cause) => Self::Store(cause),
            CreateConflict::HandleTaken(_)
            | CreateConflict::EmailTaken(_)
            | CreateConflict::DidTaken
            | CreateConflict::InviteUnavailable => Self::Conflict(cause),
        }
    }
}

impl From<PutBlobError> for TakeError {
    fn from(refused: PutBlobError) -> Self {
        match refused {
            PutBlobError::OverQuota(full) => Self::Account(full.to_string()),
            PutBlobError::Store(cause) => cause.into(),
        }
    }
}

impl From<CommitRefused> for TakeError {
    fn from(cause: CommitRefused) -> Self {
        match cause {
            CommitRefused::Store(cause) => Self::Store(cause),
            CommitRefused::StaleHead { .. }
            | CommitRefused::BlobMissing(_)
            | CommitRefused::Inactive(_)
            | CommitRefused::OverQuota(_)
            | CommitRefused::Gone => Self::Account(cause.to_string()),
        }
    }
}

impl Taker<'_> {
    /// Takes one account over; what of it is not taken is said in `not_taken`.
    pub(super) async fn take(
        &self,
        account: &ForeignAccount,
        not_taken: &mut Vec<String>,
    ) -> Result<AccountReport, TakeError> {
        let did: Did = account.did.parse().map_err(|_| TakeError::Account("it has no valid DID".to_owned()))?;
        let actor = Actor::new(&self.source.actors, did.clone());
        if actor.has_unsent_operation() {
            return Err(TakeError::Account("its creation was never finished".to_owned()));
        }
        let key = actor.key()?;
        let db = actor.open(self.aside)?;
        let repository = actor.repository(&db, &key)?;
        let id = self.begin(account, &did, &key).await?;
        let (blobs, temporary_blobs) = Actor::blobs(&db)?;
        let (present, mut missing) = self.take_blobs(id, &did, &blobs).await?;
        let mut report = AccountReport {
            did: did.to_string(),
            handle: account.handle.clone().unwrap_or_default(),
            rev: repository.head.rev.to_string(),
            records: repository.records.len(),
            blobs: present.len(),
            temporary_blobs,
            ..AccountReport::default()
        };
        self.write_repository(id, repository, &present, &mut missing).await?;
        report.missing_blobs = missing;
        self.take_takedowns(id, &db, &blobs).await?;
        report.preferences = self.take_preferences(id, &db, &did, not_taken).await?;
        report.app_passwords = self.take_app_passwords(id, &did, not_taken).await?;
        report.sessions = self.take_sessions(id, account).await?;
        report.state = self.set_state(id, account).await?;
        Ok(report)
    }

    /// The account's row.
    async fn begin(&self, account: &ForeignAccount, did: &Did, key: &SigningKey) -> Result<AccountId, TakeError> {
        let lacks = |what: &str| TakeError::Account(format!("it has no {what}"));
        let handle = account.handle.as_deref().ok_or_else(|| lacks("handle"))?;
        let handle: Handle = handle.to_ascii_lowercase().parse().map_err(|_| lacks("valid handle"))?;
        let password_hash = account.password.clone().ok_or_else(|| lacks("password"))?;
        let created_at = time(&account.created_at).ok_or_else(|| lacks("valid time of creation"))?;
        let purpose = Server::repo_key_purpose(did);
        let new = NewAccount {
            did: did.clone(),
            handle,
            email: account.email.as_deref().map(str::to_lowercase),
            password_hash,
            sealed_signing_key: self.server.master_key.seal(
                &purpose,
                key.to_bytes().as_slice(),
                self.server.entropy.as_ref(),
            ),
            signing_key: key.did_key().to_string(),
            invite_code: None,
            created_at,
        };
        let confirmed = account.email_confirmed_at.as_deref().and_then(time);
        Ok(self.server.store.take_over_account(new, confirmed).await?)
    }

    /// Takes the blobs whose content matches their hash. Which these are, and the others in words.
    async fn take_blobs(
        &self,
        id: AccountId,
        did: &Did,
        blobs: &[ForeignBlob],
    ) -> Result<(HashSet<Cid>, Vec<String>), TakeError> {
        let (mut present, mut missing) = (HashSet::new(), Vec::new());
        for blob in blobs {
            let cid = blob.cid.parse::<Cid>().ok().filter(|cid| cid.codec() == Codec::Raw);
            let found = cid.and_then(|cid| self.find_blob(did, &cid).map(|(path, size)| (cid, path, size)));
            let Some((cid, path, size)) = found else {
                missing.push(blob.cid.clone());
                continue;
            };
            let linked =
                self.transfer == BlobTransfer::Link && self.server.store.blob_files().link(&path, &cid).await?;
            if !linked {
                self.copy_blob(&path, &cid).await?;
            }
            let created_at = time(&blob.created_at).unwrap_or(Timestamp::EPOCH);
            self.server.store.put_blob(id, cid, &blob.mime_type, size, created_at).await?;
            present.insert(cid);
        }
        Ok((present, missing))
    }

    /// What the administrator took down. After the commit: a new record may use no such blob.
    async fn take_takedowns(&self, id: AccountId, db: &Foreign, blobs: &[ForeignBlob]) -> Result<(), TakeError> {
        let (store, now) = (&self.server.store, self.server.now());
        for blob in blobs {
            if let (Some(reference), Ok(cid)) = (blob.taken_down.clone(), blob.cid.parse::<Cid>()) {
                store.set_blob_takedown(id, &cid, Some(reference), now, None).await?;
            }
        }
        for (path, reference) in Actor::record_takedowns(db)? {
            if let Ok(path) = path.parse::<RecordPath>() {
                let takedown = RecordTakedown { reference, cid: None };
                store.set_record_takedown(id, &path, Some(takedown), now, None).await?;
            }
        }
        Ok(())
    }

    /// The file of a blob and its size, if its content is what its CID says.
    fn find_blob(&self, did: &Did, cid: &Cid) -> Option<(PathBuf, u64)> {
        let name = Path::new(did.as_str()).join(cid.to_string());
        // Taken down ones lie apart.
        let places = [self.source.blobs.join(&name), self.source.blobs.join("quarantine").join(&name)];
        places.into_iter().find_map(|path| match hash_file(&path) {
            Ok((found, size)) if found == *cid => Some((path, size)),
            Ok(_) | Err(_) => None,
        })
    }

    async fn copy_blob(&self, path: &Path, cid: &Cid) -> Result<(), StoreError> {
        let failed = |cause: std::io::Error| StoreError::File(cause.to_string());
        let files = self.server.store.blob_files();
        let mut from = tokio::fs::File::open(path).await.map_err(failed)?;
        let (mut to, mut buffer) = (files.begin().await?, vec![0; COPY_BUFFER_BYTES]);
        loop {
            let read = from.read(&mut buffer).await.map_err(failed)?;
            if read == 0 {
                break;
            }
            to.write(buffer.get(..read).unwrap_or_default()).await?;
        }
        let staged = to.finish().await?;
        if staged.cid != *cid {
            return Err(StoreError::File(format!("{} was changed while it was read", path.display())));
        }
        files.keep(staged).await
    }

    /// Writes the repository in one commit, as it is. References to blobs that are not there are noted in `missing`.
    async fn write_repository(
        &self,
        id: AccountId,
        repository: Repository,
        present: &HashSet<Cid>,
        missing: &mut Vec<String>,
    ) -> Result<(), TakeError> {
        let mut records = Vec::with_capacity(repository.records.len());
        for (path, cid, value, decoded) in repository.records {
            let blobs = blobs_of(&decoded);
            for name in blobs.iter().filter(|blob| !present.contains(blob)).map(ToString::to_string) {
                if !missing.contains(&name) {
                    missing.push(name);
                }
            }
            let put = RecordPut { cid, value, blobs, backlinks: backlinks(&path.collection, &decoded) };
            records.push(RecordChange { path, put: Some(put) });
        }
        let change = ChangeSet {
            account: id,
            expected_head: None,
            head: repository.head,
            commit: repository.commit,
            new_nodes: repository.nodes,
            removed_nodes: Vec::new(),
            records,
            events: Vec::new(),
        };
        self.server.store.take_over_repository(change).await?;
        Ok(())
    }

    /// What the account's apps keep for it, in its order. How many.
    async fn take_preferences(
        &self,
        id: AccountId,
        db: &Foreign,
        did: &Did,
        not_taken: &mut Vec<String>,
    ) -> Result<usize, TakeError> {
        let (mut preferences, mut broken) = (Vec::new(), 0);
        for (name, value) in Actor::preferences(db)? {
            match serde_json::from_str::<serde_json::Value>(&value) {
                Ok(serde_json::Value::Object(_)) => preferences.push(Preference { name, value }),
                Ok(_) | Err(_) => broken += 1,
            }
        }
        if broken > 0 {
            not_taken.push(format!("{did}: {broken} preferences that are no JSON objects"));
        }
        let taken = preferences.len();
        self.server.store.replace_preferences(id, None, preferences).await?;
        Ok(taken)
    }

    /// App passwords, which stay what they are: their hashes are good here and replaced when they are next used. How many.
    async fn take_app_passwords(
        &self,
        account: AccountId,
        did: &Did,
        not_taken: &mut Vec<String>,
    ) -> Result<usize, TakeError> {
        let (mut taken, mut broken) = (0, 0);
        for ForeignAppPassword { name, hash, privileged, created_at } in accounts::app_passwords(self.db, did.as_str())?
        {
            if !scrypt_hash::is_foreign(&hash) {
                broken += 1;
                continue;
            }
            let created_at = time(&created_at).unwrap_or(Timestamp::EPOCH);
            let new = NewAppPassword { account, name, hash, privileged, created_at };
            // Names are unique there too, and whoever has more than are made here keeps them.
            if self.server.store.put_app_password(new, usize::MAX, None).await? == PutAppPassword::Stored {
                taken += 1;
            }
        }
        if broken > 0 {
            not_taken.push(format!("{did}: {broken} app passwords whose hashes are of another kind"));
        }
        Ok(taken)
    }

    /// Sessions that have not ended, those of app passwords with them.
    async fn take_sessions(&self, id: AccountId, account: &ForeignAccount) -> Result<usize, TakeError> {
        let mut taken = 0;
        for session in accounts::sessions(self.db, &account.did)? {
            let Some(expires_at) = time(&session.expires_at).filter(|end| *end > self.server.now()) else { continue };
            let app_password = match &session.app_password {
                None => None,
                // One that is gone, or was not taken, opens nothing.
                Some(name) => match self.server.store.app_password_named(id, name).await? {
                    Some(found) => Some(found),
                    None => continue,
                },
            };
            // When the password was given is not kept there: long ago.
            let opened_at = expires_at.minus(REFRESH_TOKEN_LIFETIME);
            let session = NewSession { id: session.id, account: id, expires_at, app_password, opened_at, epoch: 0 };
            self.server.store.open_session(session).await?;
            taken += 1;
        }
        Ok(taken)
    }

    /// The account's state, and its name.
    async fn set_state(&self, id: AccountId, account: &ForeignAccount) -> Result<&'static str, TakeError> {
        if account.invites_disabled {
            let rights = InviteRights { is_disabled: true, note: None };
            self.server.store.set_invite_rights(id, rights, None).await?;
        }
        let mut name = "active";
        if account.deactivated_at.is_some() {
            let delete_after = account.delete_after.as_deref().and_then(time);
            let state = AccountState::Deactivated { delete_after };
            self.server.store.set_account_state(id, state, Vec::new()).await?;
            name = "deactivated";
        }
        // Covers the owner's own state, which comes back when it is lifted.
        if let Some(reference) = account.takedown_reference.clone() {
            let state = AccountState::Takendown { reference };
            self.server.store.set_account_state(id, state, Vec::new()).await?;
            name = "takendown";
        }
        Ok(name)
    }
}
