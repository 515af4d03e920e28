//! Preferences of `app.bsky`: kept here for the account's apps, moved with it, and shown to nobody else.

use serde_json::{Map, Value, json};

use super::Server;
use crate::{
    clock::Timestamp,
    limits::accounts::PREFERENCES_MAX,
    store::{Account, Preference, StoreError},
    syntax::Datetime,
};

/// The namespace whose preferences are kept.
const NAMESPACE: &str = "app.bsky";

/// Holds the birth date: sessions of app passwords neither see nor change it.
const PERSONAL_DETAILS: &str = "app.bsky.actor.defs#personalDetailsPref";

/// Says what follows from the birth date, to every session; never stored.
const DECLARED_AGE: &str = "app.bsky.actor.defs#declaredAgePref";

/// What a session may see and set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Everything: the account's own password, or the moderation service.
    Full,
    /// All but personal details: app passwords.
    WithoutPersonalDetails,
}

/// Why preferences were not put; nothing changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PreferencesError {
    /// One has no `$type`.
    #[error("Preference is missing a $type")]
    Untyped,
    /// One belongs elsewhere.
    #[error("Some preferences are not in the {NAMESPACE} namespace")]
    Namespace,
    /// The session may not set these.
    #[error("Do not have authorization to set preferences: {0}")]
    Forbidden(String),
    /// There are too many.
    #[error("there may be at most {PREFERENCES_MAX} preferences")]
    TooMany,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The preferences that a session sees.
///
/// # Errors
/// When the database fails.
pub async fn read(server: &Server, account: &Account, reach: Reach) -> Result<Vec<Value>, StoreError> {
    let stored = server.store.preferences(account.id).await?;
    let mut shown: Vec<Value> = stored
        .iter()
        .filter(|preference| is_in_namespace(&preference.name))
        .filter_map(|preference| serde_json::from_str(&preference.value).ok())
        .collect();
    let birth = shown.iter().filter(|value| type_of(value) == Some(PERSONAL_DETAILS)).find_map(birth_date);
    if let Some(birth) = birth {
        let age = age(&birth, server.now());
        let is_over = |years| age.is_some_and(|age| age >= years);
        shown.push(json!({
            "$type": DECLARED_AGE,
            "isOverAge13": is_over(13),
            "isOverAge16": is_over(16),
            "isOverAge18": is_over(18),
        }));
    }
    shown.retain(|value| type_of(value).is_some_and(|name| is_allowed(name, reach)));
    Ok(shown)
}

/// Puts preferences in the place of those that the session may set. What is only ever derived is left out.
///
/// # Errors
/// [`PreferencesError`].
pub async fn put(
    server: &Server,
    account: &Account,
    reach: Reach,
    values: Vec<Map<String, Value>>,
) -> Result<(), PreferencesError> {
    if values.len() > PREFERENCES_MAX {
        return Err(PreferencesError::TooMany);
    }
    let mut preferences = Vec::with_capacity(values.len());
    let mut forbidden = Vec::new();
    for value in values {
        let name = value.get("$type").and_then(Value::as_str).ok_or(PreferencesError::Untyped)?.to_owned();
        if !is_in_namespace(&name) {
            return Err(PreferencesError::Namespace);
        }
        if !is_allowed(&name, reach) {
            forbidden.push(name);
        } else if name != DECLARED_AGE {
            preferences.push(Preference { name, value: Value::Object(value).to_string() });
        }
    }
    if !forbidden.is_empty() {
        return Err(PreferencesError::Forbidden(forbidden.join(", ")));
    }
    let kept = match reach {
        Reach::Full => None,
        Reach::WithoutPersonalDetails => Some(PERSONAL_DETAILS),
    };
    Ok(server.store.replace_preferences(account.id, kept, preferences).await?)
}

fn is_in_namespace(name: &str) -> bool {
    name.strip_prefix(NAMESPACE).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

fn is_allowed(name: &str, reach: Reach) -> bool {
    reach == Reach::Full || name != PERSONAL_DETAILS
}

fn type_of(value: &Value) -> Option<&str> {
    value.get("$type")?.as_str()
}

fn birth_date(details: &Value) -> Option<String> {
    details.get("birthDate")?.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

/// Years since a date; none if it is none. Apps write a datetime, some a date alone.
fn age(birth: &str, now: Timestamp) -> Option<i16> {
    let day = match birth.parse::<Datetime>() {
        Ok(datetime) => date(datetime.timestamp())?,
        Err(_) => birth.parse::<jiff::civil::Date>().ok()?,
    };
    let today = date(now)?;
    let had_birthday = (today.month(), today.day()) >= (day.month(), day.day());
    Some(today.year() - day.year() - i16::from(!had_birthday))
}

fn date(at: Timestamp) -> Option<jiff::civil::Date> {
    let at = jiff::Timestamp::from_microsecond(at.as_micros()).ok()?;
    Some(at.to_zoned(jiff::tz::TimeZone::UTC).date())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::testing::World;

    fn values(json: &Value) -> Vec<Map<String, Value>> {
        serde_json::from_value(json.clone()).unwrap()
    }

    fn details(birth: &str) -> Value {
        json!({ "$type": PERSONAL_DETAILS, "birthDate": birth })
    }

    fn adult() -> Value {
        json!({ "$type": "app.bsky.actor.defs#adultContentPref", "enabled": false })
    }

    #[test]
    fn an_age_counts_birthdays() {
        let now = |text: &str| text.parse::<Datetime>().unwrap().timestamp();
        let at = now("2026-03-01T12:00:00Z");
        assert_eq!(age("2013-03-01T23:00:00.000Z", at), Some(13));
        assert_eq!(age("2013-03-02T00:00:00.000Z", at), Some(12));
        assert_eq!(age("2013-03-01", at), Some(13));
        assert_eq!(age("2008-02-29", at), Some(18));
        assert_eq!(age("2030-01-01", at), Some(-4));
        for bad in ["soon", "2013-13-01", "99999999999", "1990-01-01T"] {
            assert_eq!(age(bad, at), None, "{bad}");
        }
    }

    #[test]
    fn a_namespace_ends_at_a_dot() {
        assert!(is_in_namespace("app.bsky.actor.defs#x") && is_in_namespace("app.bsky"));
        assert!(!is_in_namespace("app.bskyx.actor") && !is_in_namespace("com.example") && !is_in_namespace(""));
    }

    #[tokio::test]
    async fn an_app_password_neither_sees_nor_changes_the_birth_date_but_sees_the_age() {
        let world = World::new().await;
        let (server, alice) = (&world.server, world.account("alice").await);
        let both = values(&json!([details("1990-05-05T00:00:00.000Z"), adult()]));
        put(server, &alice, Reach::Full, both).await.unwrap();
        let declared = json!({ "$type": DECLARED_AGE, "isOverAge13": true, "isOverAge16": true, "isOverAge18": true });
        let full = read(server, &alice, Reach::Full).await.unwrap();
        assert_eq!(full, [details("1990-05-05T00:00:00.000Z"), adult(), declared.clone()]);
        let narrow = read(server, &alice, Reach::WithoutPersonalDetails).await.unwrap();
        assert_eq!(narrow, [adult(), declared.clone()]);

        let changed = values(&json!([details("2020-01-01")]));
        let refused = put(server, &alice, Reach::WithoutPersonalDetails, changed).await;
        assert_eq!(refused, Err(PreferencesError::Forbidden(PERSONAL_DETAILS.to_owned())));
        // What an app read, it puts back: the derived one is not kept.
        put(server, &alice, Reach::WithoutPersonalDetails, values(&json!([declared.clone()]))).await.unwrap();
        let full = read(server, &alice, Reach::Full).await.unwrap();
        assert_eq!(full, [details("1990-05-05T00:00:00.000Z"), declared]);
    }

    #[tokio::test]
    async fn what_is_no_preference_of_the_namespace_changes_nothing() {
        let world = World::new().await;
        let (server, alice) = (&world.server, world.account("alice").await);
        put(server, &alice, Reach::Full, values(&json!([adult()]))).await.unwrap();
        for (bad, error) in [
            (json!([{ "enabled": true }]), PreferencesError::Untyped),
            (json!([adult(), { "$type": 3 }]), PreferencesError::Untyped),
            (json!([adult(), { "$type": "com.example.pref" }]), PreferencesError::Namespace),
            (json!(vec![adult(); PREFERENCES_MAX + 1]), PreferencesError::TooMany),
        ] {
            assert_eq!(put(server, &alice, Reach::Full, values(&bad)).await, Err(error));
        }
        assert_eq!(read(server, &alice, Reach::Full).await.unwrap(), [adult()]);
    }
}
