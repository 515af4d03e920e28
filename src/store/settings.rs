//! Small values of the server itself: sealed secrets, the master key's check value.

use super::{Store, StoreError, sql};

impl Store {
    /// The value under a name.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn setting(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.point(|conn| sql::one(conn, READ, [name], |row| sql::col(row, 0)))
    }

    /// Sets it if there is none; returns what is there now.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn setting_or_insert(&self, name: &str, value: Vec<u8>) -> Result<Vec<u8>, StoreError> {
        let name = name.to_owned();
        self.write(move |work| {
            sql::execute(
                work.conn,
                "INSERT INTO settings (name, value) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
                (&name, &value),
            )?;
            Ok(sql::one(work.conn, READ, [&name], |row| sql::col(row, 0))?.unwrap_or(value))
        })
        .await
    }

    /// Sets it, whatever there was.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn put_setting(&self, name: &str, value: Vec<u8>) -> Result<(), StoreError> {
        let name = name.to_owned();
        self.write(move |work| {
            sql::execute(
                work.conn,
                "INSERT INTO settings (name, value) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET value = ?2",
                (&name, &value),
            )
            .map(drop)
        })
        .await
    }
}

const READ: &str = "SELECT value FROM settings WHERE name = ?1";
