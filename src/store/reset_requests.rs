//! Password resets that were asked for, whether anybody has the address or not: that is looked up afterwards.

use super::{Store, StoreError, sql};

/// A password reset that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResetRequest {
    /// With which e-mail address, lower-cased.
    pub email: String,
    /// From which network address; none for what the server did by itself.
    pub address: Option<String>,
    /// By which program, in its own words.
    pub agent: Option<String>,
}

impl Store {
    /// Writes down that a password reset was asked for. One that waits for the same address already is the one that is
    /// answered.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn ask_for_reset(&self, asked: ResetRequest) -> Result<(), StoreError> {
        self.write(move |work| {
            sql::execute(
                work.conn,
                "INSERT INTO reset_requests (email, address, agent) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
                (asked.email, asked.address, asked.agent),
            )
            .map(drop)
        })
        .await
    }

    /// Some of the password resets that were asked for.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn reset_requests(&self, limit: usize) -> Result<Vec<ResetRequest>, StoreError> {
        const QUERY: &str = "SELECT email, address, agent FROM reset_requests LIMIT ?1";
        self.point(|conn| {
            sql::all(conn, QUERY, [sql::limit(limit)], |row| {
                Ok(ResetRequest { email: sql::col(row, 0)?, address: sql::col(row, 1)?, agent: sql::col(row, 2)? })
            })
        })
    }

    /// Removes an address for which a password reset was asked for.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn forget_reset_request(&self, email: &str) -> Result<(), StoreError> {
        let email = email.to_owned();
        self.write(move |work| {
            sql::execute(work.conn, "DELETE FROM reset_requests WHERE email = ?1", [email]).map(drop)
        })
        .await
    }
}
