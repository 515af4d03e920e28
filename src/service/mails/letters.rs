//! What mails say: a text from a template of `assets/mail/`, and the same as HTML.

use askama::Template;

use super::markup;

/// What kind of mail it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailKind {
    /// The code that confirms an address.
    ConfirmEmail,
    /// The code that changes a confirmed address.
    UpdateEmail,
    /// The code that resets a password.
    ResetPassword,
    /// The code that deletes an account.
    DeleteAccount,
    /// The code for `signPlcOperation`.
    PlcOperation,
    /// The code for one change of a delegation.
    DelegationToken,
    /// A delegation was changed.
    DelegationChanged,
    /// A delegation was changed from elsewhere.
    DelegationUnproven,
    /// An operation undid another.
    OperationNullified,
    /// The password was changed.
    PasswordChanged,
    /// The address was changed; goes to the one before.
    EmailChanged,
    /// The administrator writes to the owner.
    Administrator,
    /// The administrator tries whether mail arrives.
    Test,
}

/// A mail that is written, without its address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// What kind it is.
    pub kind: MailKind,
    /// One line.
    pub subject: String,
    /// Plain text; a code stands in a line of its own.
    pub text: String,
    /// The same as HTML.
    pub html: String,
}

/// A template could not be filled in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a mail could not be written: {0}")]
pub struct NotWritten(String);

impl MailKind {
    /// All kinds.
    pub const ALL: [Self; 13] = [
        Self::ConfirmEmail,
        Self::UpdateEmail,
        Self::ResetPassword,
        Self::DeleteAccount,
        Self::PlcOperation,
        Self::DelegationToken,
        Self::DelegationChanged,
        Self::DelegationUnproven,
        Self::OperationNullified,
        Self::PasswordChanged,
        Self::EmailChanged,
        Self::Administrator,
        Self::Test,
    ];

    /// The name of its template, by which it is kept and listed.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ConfirmEmail => "confirm_email",
            Self::UpdateEmail => "update_email",
            Self::ResetPassword => "reset_password",
            Self::DeleteAccount => "delete_account",
            Self::PlcOperation => "plc_operation",
            Self::DelegationToken => "delegation_token",
            Self::DelegationChanged => "delegation_changed",
            Self::DelegationUnproven => "delegation_unproven",
            Self::OperationNullified => "operation_nullified",
            Self::PasswordChanged => "password_changed",
            Self::EmailChanged => "email_changed",
            Self::Administrator => "administrator",
            Self::Test => "test",
        }
    }

    /// Its subject: the same for everybody, so that no user's text is in a header.
    const fn subject(self) -> &'static str {
        match self {
            Self::ConfirmEmail => "Confirm your e-mail address",
            Self::UpdateEmail => "Confirm a change of your e-mail address",
            Self::ResetPassword => "Set a new password",
            Self::DeleteAccount => "Confirm that your account is to be deleted",
            Self::PlcOperation => "Confirm a change of your identity",
            Self::DelegationToken => "Confirm a change of your end-to-end encryption key",
            Self::DelegationChanged => "Your end-to-end encryption key was changed",
            Self::DelegationUnproven => "Your end-to-end encryption key was changed from elsewhere",
            Self::OperationNullified => "A change of your identity undid another",
            Self::PasswordChanged => "Your password was changed",
            Self::EmailChanged => "Your e-mail address was changed",
            Self::Administrator => "A message about your account",
            Self::Test => "A test of mail",
        }
    }

    /// Whether it tells a code, which makes it worthless when the code is over, and subject to the budget of codes.
    pub const fn has_code(self) -> bool {
        match self {
            Self::ConfirmEmail
            | Self::UpdateEmail
            | Self::ResetPassword
            | Self::DeleteAccount
            | Self::PlcOperation
            | Self::DelegationToken => true,
            Self::DelegationChanged
            | Self::DelegationUnproven
            | Self::OperationNullified
            | Self::PasswordChanged
            | Self::EmailChanged
            | Self::Administrator
            | Self::Test => false,
        }
    }
}

/// What the letters about an account share.
#[derive(Clone, Copy, Debug)]
pub struct About<'a> {
    /// The server's host name.
    pub host: &'a str,
    /// The account's handle.
    pub handle: &'a str,
    /// The account's DID.
    pub did: &'a str,
}

/// A delegation in a letter: keys as people compare them.
#[derive(Clone, Copy, Debug)]
pub struct Change<'a> {
    /// The delegation's id.
    pub id: &'a str,
    /// The key before.
    pub old: &'a str,
    /// The key after.
    pub new: &'a str,
}

macro_rules! templates {
    ($($name:ident $path:literal { $($field:ident),* })*) => {
        $(
            #[derive(Template)]
            #[template(path = $path)]
            struct $name<'a> { $($field: &'a str),* }
        )*
    };
}

templates! {
    ConfirmEmail "confirm_email.txt" { host, handle, code }
    UpdateEmail "update_email.txt" { host, handle, code }
    ResetPassword "reset_password.txt" { host, handle, code }
    DeleteAccount "delete_account.txt" { host, handle, code }
    PlcOperation "plc_operation.txt" { handle, did, code }
    DelegationToken "delegation_token.txt" { handle, did, id, old, new, code }
    DelegationChanged "delegation_changed.txt" { handle, did, id, old, new }
    DelegationUnproven "delegation_unproven.txt" { handle, did, id, old, new }
    OperationNullified "operation_nullified.txt" { handle, did, operation, nullified }
    PasswordChanged "password_changed.txt" { host, handle }
    EmailChanged "email_changed.txt" { host, handle }
    Test "test.txt" { host }
}

/// A paragraph of a letter.
enum Paragraph<'a> {
    /// Words.
    Text(&'a str),
    /// Lines whose columns stand below each other.
    Table(&'a str),
    /// The code.
    Code(&'a str),
}

#[derive(Template)]
#[template(path = "letter.html")]
struct Html<'a> {
    subject: &'a str,
    host: &'a str,
    paragraphs: Vec<Paragraph<'a>>,
}

/// The code of a purpose that stands for itself.
///
/// # Errors
/// [`NotWritten`], also for a kind that has no code or needs more than one.
pub fn code(kind: MailKind, about: About<'_>, code: &str) -> Result<Letter, NotWritten> {
    let About { host, handle, did } = about;
    let text = match kind {
        MailKind::ConfirmEmail => ConfirmEmail { host, handle, code }.render(),
        MailKind::UpdateEmail => UpdateEmail { host, handle, code }.render(),
        MailKind::ResetPassword => ResetPassword { host, handle, code }.render(),
        MailKind::DeleteAccount => DeleteAccount { host, handle, code }.render(),
        MailKind::PlcOperation => PlcOperation { handle, did, code }.render(),
        MailKind::DelegationToken
        | MailKind::DelegationChanged
        | MailKind::DelegationUnproven
        | MailKind::OperationNullified
        | MailKind::PasswordChanged
        | MailKind::EmailChanged
        | MailKind::Administrator
        | MailKind::Test => return Err(NotWritten(format!("{} is not the mail of a code", kind.name()))),
    };
    letter(kind, host, text, Some(code))
}

/// The code for one change of a delegation.
///
/// # Errors
/// [`NotWritten`].
pub fn delegation_token(about: About<'_>, change: Change<'_>, code: &str) -> Result<Letter, NotWritten> {
    let (About { host, handle, did }, Change { id, old, new }) = (about, change);
    let text = DelegationToken { handle, did, id, old, new, code }.render();
    letter(MailKind::DelegationToken, host, text, Some(code))
}

/// A delegation was changed.
///
/// # Errors
/// [`NotWritten`].
pub fn delegation_changed(about: About<'_>, change: Change<'_>) -> Result<Letter, NotWritten> {
    let (About { host, handle, did }, Change { id, old, new }) = (about, change);
    letter(MailKind::DelegationChanged, host, DelegationChanged { handle, did, id, old, new }.render(), None)
}

/// A delegation was changed from elsewhere, and no statement bears the change out.
///
/// # Errors
/// [`NotWritten`].
pub fn delegation_unproven(about: About<'_>, change: Change<'_>) -> Result<Letter, NotWritten> {
    let (About { host, handle, did }, Change { id, old, new }) = (about, change);
    letter(MailKind::DelegationUnproven, host, DelegationUnproven { handle, did, id, old, new }.render(), None)
}

/// An operation undid others, one to a line.
///
/// # Errors
/// [`NotWritten`].
pub fn operation_nullified(about: About<'_>, operation: &str, nullified: &str) -> Result<Letter, NotWritten> {
    let About { host, handle, did } = about;
    letter(MailKind::OperationNullified, host, OperationNullified { handle, did, operation, nullified }.render(), None)
}

/// The password was changed.
///
/// # Errors
/// [`NotWritten`].
pub fn password_changed(about: About<'_>) -> Result<Letter, NotWritten> {
    let About { host, handle, .. } = about;
    letter(MailKind::PasswordChanged, host, PasswordChanged { host, handle }.render(), None)
}

/// The address was changed.
///
/// # Errors
/// [`NotWritten`].
pub fn email_changed(about: About<'_>) -> Result<Letter, NotWritten> {
    let About { host, handle, .. } = about;
    letter(MailKind::EmailChanged, host, EmailChanged { host, handle }.render(), None)
}

/// What the administrator has to say, in paragraphs or as HTML, as moderation services write it. The subject becomes one
/// line.
///
/// # Errors
/// [`NotWritten`].
pub fn administrator(host: &str, subject: Option<&str>, content: &str) -> Result<Letter, NotWritten> {
    let mut letter = if markup::is_html(content) {
        let letter = letter(MailKind::Administrator, host, Ok(markup::text_of(content)), None)?;
        Letter { html: content.to_owned(), ..letter }
    } else {
        letter(MailKind::Administrator, host, Ok(content.to_owned()), None)?
    };
    if let Some(subject) = subject {
        letter.subject = subject.split(char::is_control).collect::<Vec<_>>().join(" ");
    }
    Ok(letter)
}

/// A test.
///
/// # Errors
/// [`NotWritten`].
pub fn test(host: &str) -> Result<Letter, NotWritten> {
    letter(MailKind::Test, host, Test { host }.render(), None)
}

/// One of each kind, filled with examples.
///
/// # Errors
/// [`NotWritten`].
pub fn example(kind: MailKind, host: &str) -> Result<Letter, NotWritten> {
    let handle = format!("alice.{host}");
    let about = About { host, handle: &handle, did: "did:plc:ewvi7nxzyoun6zhxrhs64oiz" };
    let change = Change { id: "e2ee", old: "none", new: "3f1a 92c4 77d0 0b5e 61aa 8c2f 90ee 41d3" };
    let cid = "bafyreidfayvfuwqa7qlnopdjiqrxzs6blmoeu4rujcjtnci5beludirz2a";
    match kind {
        MailKind::DelegationToken => delegation_token(about, change, "ABCDE-23456"),
        MailKind::DelegationChanged => delegation_changed(about, change),
        MailKind::DelegationUnproven => delegation_unproven(about, change),
        MailKind::OperationNullified => operation_nullified(about, cid, cid),
        MailKind::PasswordChanged => password_changed(about),
        MailKind::EmailChanged => email_changed(about),
        MailKind::Administrator => administrator(host, None, "Hello,\n\nthe server moves to another machine tonight."),
        MailKind::Test => test(host),
        MailKind::ConfirmEmail
        | MailKind::UpdateEmail
        | MailKind::ResetPassword
        | MailKind::DeleteAccount
        | MailKind::PlcOperation => code(kind, about, "ABCDE-23456"),
    }
}

fn letter(
    kind: MailKind,
    host: &str,
    text: Result<String, askama::Error>,
    code: Option<&str>,
) -> Result<Letter, NotWritten> {
    let failed = |cause: askama::Error| NotWritten(cause.to_string());
    let subject = kind.subject();
    let text = text.map_err(failed)?;
    let paragraphs = text.split("\n\n").map(|paragraph| paragraph_of(paragraph.trim_end(), code)).collect();
    let html = Html { subject, host, paragraphs }.render().map_err(failed)?;
    Ok(Letter { kind, subject: subject.to_owned(), text, html })
}

fn paragraph_of<'a>(text: &'a str, code: Option<&str>) -> Paragraph<'a> {
    if Some(text) == code {
        Paragraph::Code(text)
    } else if text.contains("  ") {
        Paragraph::Table(text)
    } else {
        Paragraph::Text(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ABOUT: About<'_> =
        About { host: "pds.example.com", handle: "alice.example.com", did: "did:plc:ewvi7nxzyoun6zhxrhs64oiz" };

    #[test]
    fn each_code_stands_alone_in_a_line_once_in_each_form() {
        for kind in MailKind::ALL {
            let letter = example(kind, "pds.example.com").unwrap();
            let count = usize::from(kind.has_code());
            assert_eq!(letter.text.lines().filter(|line| *line == "ABCDE-23456").count(), count, "{}", letter.text);
            assert_eq!(letter.html.matches(">ABCDE-23456</p>").count(), count, "{}", letter.html);
            assert!(!letter.text.contains("{{") && !letter.html.contains("{{"), "{}", letter.text);
            assert!(letter.subject.chars().all(|c| c.is_ascii() && !c.is_ascii_control()));
            assert!(letter.html.contains(&letter.subject));
        }
    }

    #[test]
    fn the_mail_for_a_new_password_names_the_handle_and_the_server() {
        let letter = code(MailKind::ResetPassword, ABOUT, "ABCDE-23456").unwrap();
        assert!(letter.text.contains("your account alice.example.com on pds.example.com"), "{}", letter.text);
        assert!(letter.html.contains("alice.example.com"));
    }

    #[test]
    fn markup_is_text_in_the_html_and_itself_in_the_text() {
        let change = Change { id: "<script>alert(1)</script>", old: "a & b", new: "\"c\"" };
        let letter = delegation_changed(ABOUT, change).unwrap();
        assert!(letter.text.contains("<script>alert(1)</script>"));
        assert!(!letter.html.contains("<script>") && letter.html.contains("a &#38; b"), "{}", letter.html);
    }

    #[test]
    fn the_administrators_subject_becomes_one_line() {
        let letter = administrator("pds.example.com", Some("one\r\nBcc: x@example.com"), "Hello").unwrap();
        assert_eq!(letter.subject, "one  Bcc: x@example.com");
    }

    #[test]
    fn what_the_administrator_writes_as_html_has_a_text_too() {
        let letter = administrator("pds.example.com", None, "<p>Dear <b>you</b>,</p><p>a &lt; b</p>").unwrap();
        assert_eq!(letter.html, "<p>Dear <b>you</b>,</p><p>a &lt; b</p>");
        assert_eq!(letter.text.trim(), "Dear you,\n\na < b");
        let plain = administrator("pds.example.com", None, "a < b & c > d").unwrap();
        assert!(plain.html.contains("a &#60; b &#38; c &#62; d"), "{}", plain.html);
    }

    #[test]
    fn a_kind_without_a_code_has_no_mail_of_a_code() {
        assert!(code(MailKind::Test, ABOUT, "ABCDE-23456").is_err());
        let names: std::collections::BTreeSet<_> = MailKind::ALL.iter().map(|kind| kind.name()).collect();
        assert_eq!(names.len(), MailKind::ALL.len());
    }
}
