//! What an account's apps keep for it.

use super::{AccountId, Store, StoreError, sql};

/// One preference as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preference {
    /// Its `$type`.
    pub name: String,
    /// All of it, as JSON text.
    pub value: String,
}

impl Store {
    /// All preferences of an account, in order.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn preferences(&self, account: AccountId) -> Result<Vec<Preference>, StoreError> {
        const QUERY: &str = "SELECT name, value FROM preferences WHERE account = ?1 ORDER BY position";
        self.point(|conn| {
            sql::all(conn, QUERY, [account.0], |row| {
                Ok(Preference { name: sql::col(row, 0)?, value: sql::col(row, 1)? })
            })
        })
    }

    /// Puts these preferences in the place of all that there are; those named `kept` stay, before the new ones.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn replace_preferences(
        &self,
        account: AccountId,
        kept: Option<&'static str>,
        preferences: Vec<Preference>,
    ) -> Result<(), StoreError> {
        const DELETE: &str = "DELETE FROM preferences WHERE account = ?1 AND (?2 IS NULL OR name <> ?2)";
        const INSERT: &str = "INSERT INTO preferences (account, position, name, value) VALUES (?1,
                              (SELECT coalesce(max(position), 0) + 1 FROM preferences WHERE account = ?1), ?2, ?3)";
        self.write(move |work| {
            sql::execute(work.conn, DELETE, (account.0, kept))?;
            for preference in &preferences {
                sql::execute(work.conn, INSERT, (account.0, &preference.name, &preference.value))?;
            }
            Ok(())
        })
        .await
    }
}
