//! Records, blobs and preferences.

use futures_util::{StreamExt as _, TryStreamExt as _, stream::BoxStream};
use serde_json::Value;
use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};
use tokio::{fs::OpenOptions, io::AsyncWriteExt as _};

use super::{Event, MoveError, Mover, account::Status};
use crate::{
    client::pds::{CAR_TYPE, CallError, Download, Upload},
    limits::client::{MOVE_BLOB_MAX_BYTES, MOVE_BUSY_PAUSE, MOVE_BUSY_TRIES, MOVE_REPO_MAX_BYTES, MOVE_SILENCE},
};

impl Mover<'_> {
    /// Brings the records over, unless the old server's latest revision was brought before.
    pub(super) async fn repository(&mut self) -> Result<(), MoveError> {
        if self.served {
            return Ok(());
        }
        let rev = Status::of(self.plan.from.fresh().await?).await?.rev;
        if self.note.imported.as_ref() == Some(&rev) {
            return Ok(());
        }
        let archive = self.plan.file.with_extension("car");
        self.download(&archive).await?;
        let unusable = |cause: io::Error| unusable(&archive, &cause);
        let file = std::fs::File::open(&archive).map_err(unusable)?;
        let size = file.metadata().map_err(unusable)?.len();
        let upload = Upload::read(CAR_TYPE.to_owned(), size, file);
        self.plan.to.fresh().await?.upload("com.atproto.repo.importRepo", upload).await?;
        self.note.imported = Some(rev);
        self.filled = true;
        self.save()
    }

    /// The repository as a file that is whole or not there, which stays as a backup.
    async fn download(&mut self, archive: &PathBuf) -> Result<(), MoveError> {
        let part = archive.with_extension("car.part");
        let unusable = |cause: io::Error| unusable(&part, &cause);
        let from = self.plan.from.fresh().await?;
        let answer = from.download("com.atproto.sync.getRepo", &[("did", self.plan.did.as_str())]).await?;
        let host = from.host();
        let (all, mut done) = (answer.size.unwrap_or(0), 0);
        let mut options = OpenOptions::new();
        let mut file =
            options.write(true).create(true).truncate(true).mode(0o600).open(&part).await.map_err(unusable)?;
        let mut body = bounded(answer, MOVE_REPO_MAX_BYTES);
        while let Some(piece) = body.next().await {
            let piece = piece.map_err(|cause| CallError::Unreachable(host.clone(), cause.to_string()))?;
            file.write_all(&piece).await.map_err(unusable)?;
            done += piece.len() as u64;
            (self.tell)(Event::Progress { done, all });
        }
        file.sync_all().await.map_err(unusable)?;
        tokio::fs::rename(&part, archive).await.map_err(unusable)
    }

    /// Brings over every blob that the new server names as missing.
    pub(super) async fn blobs(&mut self) -> Result<(), MoveError> {
        let status = Status::of(self.plan.to.fresh().await?).await?;
        let (mut done, all) = (status.imported_blobs, status.expected_blobs);
        (self.tell)(Event::Progress { done, all });
        for cid in self.missing_blobs().await? {
            if self.refused.contains(&cid) {
                continue;
            }
            if self.blob_patiently(&cid).await? {
                done += 1;
            } else {
                self.refused.insert(cid);
            }
            (self.tell)(Event::Progress { done, all });
        }
        Ok(())
    }

    /// CIDs of the blobs that records name and the new server does not have.
    pub(super) async fn missing_blobs(&mut self) -> Result<Vec<String>, MoveError> {
        Ok(self.plan.to.missing_blobs().await?)
    }

    /// Waits where a server has had too many requests.
    async fn blob_patiently(&mut self, cid: &str) -> Result<bool, MoveError> {
        let mut pause = MOVE_BUSY_PAUSE;
        for _ in 1..MOVE_BUSY_TRIES {
            match self.blob(cid).await {
                Err(MoveError::Call(cause)) if cause.is_busy() => {
                    self.tell(format!("{cause}; waiting {} seconds", pause.as_secs()));
                    tokio::time::sleep(pause).await;
                    pause *= 2;
                }
                other => return other,
            }
        }
        self.blob(cid).await
    }

    /// One blob, passed on as it comes. Whether it came.
    async fn blob(&mut self, cid: &str) -> Result<bool, MoveError> {
        let from = self.plan.from.fresh().await?;
        let host = from.host();
        let query = [("did", self.plan.did.as_str()), ("cid", cid)];
        let answer = match from.download("com.atproto.sync.getBlob", &query).await {
            Ok(answer) => answer,
            // One that a server fails over keeps no other from coming; the check stops a move from which some are missing.
            Err(cause) if cause.is_about_this() || cause.is_breakdown() => {
                self.tell(format!("{host} does not give the blob {cid}: {cause}"));
                return Ok(false);
            }
            Err(cause) => return Err(cause.into()),
        };
        let kind = answer.kind.clone().unwrap_or_else(|| "application/octet-stream".to_owned());
        let broken = Arc::new(OnceLock::new());
        let noted = Arc::clone(&broken);
        let (size, body) = (answer.size, bounded(answer, MOVE_BLOB_MAX_BYTES));
        let body = body.inspect_err(move |cause| drop(noted.set(cause.to_string()))).boxed();
        let to = self.plan.to.fresh().await?;
        let uploaded = match to.upload("com.atproto.repo.uploadBlob", Upload { kind, size, body }).await {
            Ok(uploaded) => uploaded,
            Err(_) if broken.get().is_some() => {
                let why = broken.get().map_or("", String::as_str);
                self.tell(format!("{host} does not give the whole blob {cid}: {why}"));
                return Ok(false);
            }
            Err(cause) if cause.is_about_this() => {
                self.tell(format!("the blob {cid} was not taken: {cause}"));
                return Ok(false);
            }
            Err(cause) => return Err(cause.into()),
        };
        let there = uploaded.pointer("/blob/ref/$link").and_then(Value::as_str);
        if there != Some(cid) {
            self.tell(format!("{host} gave something else for the blob {cid}"));
        }
        Ok(there == Some(cid))
    }

    /// Preferences, where both servers keep some.
    pub(super) async fn preferences(&mut self) -> Result<(), MoveError> {
        if self.served {
            return Ok(());
        }
        let kept = match self.plan.from.fresh().await?.get("app.bsky.actor.getPreferences", &[]).await {
            Ok(kept) => kept,
            Err(cause) if cause.is_about_this() => {
                self.tell(format!("no preferences were moved: {cause}"));
                return Ok(());
            }
            Err(cause) => return Err(cause.into()),
        };
        match self.plan.to.fresh().await?.post("app.bsky.actor.putPreferences", &kept).await {
            Ok(_) => Ok(()),
            Err(cause) if cause.is_about_this() => {
                self.tell(format!("the preferences were not taken: {cause}"));
                Ok(())
            }
            Err(cause) => Err(cause.into()),
        }
    }
}

/// A body that breaks off where it is too long or falls silent.
fn bounded(answer: Download, most: u64) -> BoxStream<'static, io::Result<bytes::Bytes>> {
    futures_util::stream::unfold(Some((answer.body, most)), async |state| {
        let (mut body, left) = state?;
        let next = match tokio::time::timeout(MOVE_SILENCE, body.next()).await {
            Ok(next) => next?.map_err(|cause| io::Error::other(cause.to_string())),
            Err(_) => Err(io::Error::other(format!("nothing came for {} seconds", MOVE_SILENCE.as_secs()))),
        };
        match next.map(|piece| (left.checked_sub(piece.len() as u64), piece)) {
            Ok((Some(left), piece)) => Some((Ok(piece), Some((body, left)))),
            Ok((None, _)) => Some((Err(io::Error::other("it is longer than anything that is moved")), None)),
            Err(cause) => Some((Err(cause), None)),
        }
    })
    .boxed()
}

fn unusable(path: &Path, cause: &io::Error) -> MoveError {
    MoveError::Unfit(format!("{} cannot be used: {cause}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn download(pieces: &[&'static [u8]]) -> Download {
        let pieces: Vec<_> = pieces.iter().map(|piece| Ok(Bytes::from_static(piece))).collect();
        Download { kind: None, size: None, body: futures_util::stream::iter(pieces).boxed() }
    }

    #[tokio::test]
    async fn a_body_ends_with_an_error_where_it_is_longer_than_the_bound() {
        let whole: Vec<_> = bounded(download(&[b"ab", b"c"]), 3).collect().await;
        assert_eq!(whole.len(), 2);
        assert!(whole.iter().all(Result::is_ok));
        let cut: Vec<_> = bounded(download(&[b"ab", b"cd", b"e"]), 3).collect().await;
        assert_eq!(cut.len(), 2);
        assert!(cut[1].as_ref().unwrap_err().to_string().contains("longer"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_falls_silent_is_given_up() {
        let silent = Download { kind: None, size: None, body: futures_util::stream::pending().boxed() };
        let pieces: Vec<_> = bounded(silent, 3).collect().await;
        assert!(pieces[0].as_ref().unwrap_err().to_string().contains("nothing came"));
    }
}
