//! `dev.housekey.account.*`: what an owner can see of the account that no other namespace has. Lexicons:
//! `assets/lexicons/dev/housekey/account`.

#[cfg(test)]
mod kinds;
mod list_security_events;
#[cfg(test)]
mod tests;

pub use list_security_events::ListSecurityEvents;
