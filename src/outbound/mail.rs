//! Mail over SMTP.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use lettre::{
    Address, AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor,
    message::{
        Mailbox, MultiPart, SinglePart,
        header::{ContentType, HeaderName, HeaderValue},
    },
    transport::smtp::PoolConfig,
};

use crate::{
    crypto::Secret,
    limits::outbound::{FOREIGN_MESSAGE_MAX_CHARS, KEPT_MAILS, SMTP_CONNECTIONS_MAX, SMTP_TIMEOUT},
};

/// Where mail goes.
#[derive(Clone, Debug)]
pub struct SmtpOptions {
    /// `smtp://` or `smtps://` URL, credentials included; `smtp://…?tls=required` for STARTTLS.
    pub url: Secret,
    /// The From address, `name@domain` or `Name <name@domain>`.
    pub from: String,
}

/// One mail.
#[derive(Clone, Debug)]
pub struct Mail {
    /// The recipient.
    pub to: String,
    /// The subject: one line.
    pub subject: String,
    /// Plain text.
    pub text: String,
    /// HTML, if any.
    pub html: Option<String>,
    /// Its `Message-ID`, with its brackets; the same one in every attempt, so that a mail that came twice is seen once.
    /// None: a new one.
    pub message_id: Option<String>,
}

/// Why a mail was not handed over.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MailError {
    /// No SMTP server is configured.
    #[error("no mail server is configured")]
    NotConfigured,
    /// An address or the URL is not valid.
    #[error("the mail cannot be addressed: {0}")]
    Address(String),
    /// The server could not be reached, or refused for now, or refused us: trying again may help.
    #[error("the mail was not taken: {0}")]
    NotTaken(String),
    /// The server refused this mail for good.
    #[error("the mail was refused: {0}")]
    Refused(String),
}

/// Sends mail. Cheap to clone.
#[derive(Clone)]
pub struct Mailer(Route);

/// Where mail goes.
#[derive(Clone)]
enum Route {
    /// Nowhere: no server is configured.
    Nowhere,
    /// To an SMTP server.
    Smtp(Arc<Smtp>),
    /// Into memory, for `dev` to show. A mutex because senders run side by side; it is held for one push or one copy.
    Kept(Arc<Mutex<VecDeque<Mail>>>),
}

/// The first reply code with which a server refuses a mail itself; what lies between 500 and this one is about us (our
/// words, our credentials), and may be put right.
const FIRST_REFUSAL: u16 = 550;

struct Smtp {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

impl std::fmt::Debug for Mailer {
    // The transport would print its credentials.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mailer").field("is_configured", &self.is_configured()).finish()
    }
}

impl Mailer {
    /// From settings; `None` gives a mailer that answers [`MailError::NotConfigured`]. To be called on the runtime.
    ///
    /// # Errors
    /// [`MailError::Address`] when the URL or the From address is not valid; the text names no credentials.
    pub fn new(options: Option<&SmtpOptions>) -> Result<Self, MailError> {
        let Some(options) = options else { return Ok(Self(Route::Nowhere)) };
        let from = options.from.parse().map_err(|cause| MailError::Address(format!("From: {cause}")))?;
        let transport = AsyncSmtpTransport::<Tokio1Executor>::from_url(options.url.expose())
            .map_err(|cause| MailError::Address(format!("the SMTP URL is not valid: {cause}")))?
            .timeout(Some(SMTP_TIMEOUT))
            .pool_config(PoolConfig::new().max_size(SMTP_CONNECTIONS_MAX))
            .build();
        Ok(Self(Route::Smtp(Arc::new(Smtp { transport, from }))))
    }

    /// A mailer that keeps the last [`KEPT_MAILS`] mails in memory instead of sending them.
    pub fn kept() -> Self {
        Self(Route::Kept(Arc::default()))
    }

    /// The mails that were kept, oldest first; `None` when mail is not kept.
    pub fn kept_mails(&self) -> Option<Vec<Mail>> {
        match &self.0 {
            Route::Kept(mails) => Some(mails.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()),
            Route::Nowhere | Route::Smtp(_) => None,
        }
    }

    /// Whether handing over takes no time, since nothing leaves the process.
    pub const fn is_immediate(&self) -> bool {
        matches!(self.0, Route::Kept(_))
    }

    /// Whether mail can be sent at all.
    pub const fn is_configured(&self) -> bool {
        !matches!(self.0, Route::Nowhere)
    }

    /// Hands a mail to the SMTP server.
    ///
    /// # Errors
    /// [`MailError`].
    pub async fn send(&self, mail: &Mail) -> Result<(), MailError> {
        match &self.0 {
            Route::Nowhere => Err(MailError::NotConfigured),
            Route::Smtp(smtp) => {
                let message = compose(&smtp.from, mail)?;
                smtp.transport.send(message).await.map_err(|cause| not_taken(&cause))?;
                Ok(())
            }
            Route::Kept(mails) => {
                let mut mails = mails.lock().unwrap_or_else(PoisonError::into_inner);
                if mails.len() == KEPT_MAILS {
                    mails.pop_front();
                }
                mails.push_back(mail.clone());
                drop(mails);
                Ok(())
            }
        }
    }

    /// Connects, says hello and logs in, without sending anything.
    ///
    /// # Errors
    /// [`MailError::NotConfigured`], or [`MailError::NotTaken`] with the server's words.
    pub async fn verify(&self) -> Result<(), MailError> {
        let smtp = match &self.0 {
            Route::Nowhere => return Err(MailError::NotConfigured),
            Route::Kept(_) => return Ok(()),
            Route::Smtp(smtp) => smtp,
        };
        match smtp.transport.test_connection().await {
            Ok(true) => Ok(()),
            Ok(false) => Err(MailError::NotTaken("the server does not answer to NOOP".to_owned())),
            Err(cause) => Err(not_taken(&cause)),
        }
    }
}

/// The message. Nothing that comes from a person reaches a header unchecked: the recipient is an address and nothing
/// else, and the subject one line, so that neither can add a header or a recipient.
fn compose(from: &Mailbox, mail: &Mail) -> Result<Message, MailError> {
    let to: Address = mail.to.parse().map_err(|cause| MailError::Address(format!("{cause}")))?;
    if mail.subject.chars().any(char::is_control) {
        return Err(MailError::Address("the subject must be one line".to_owned()));
    }
    let message = Message::builder()
        .from(from.clone())
        .to(Mailbox::new(None, to))
        .subject(mail.subject.as_str())
        .message_id(mail.message_id.clone());
    let built = match &mail.html {
        None => message.header(ContentType::TEXT_PLAIN).body(mail.text.clone()),
        Some(html) => message.multipart(
            MultiPart::alternative()
                .singlepart(SinglePart::plain(mail.text.clone()))
                .singlepart(SinglePart::html(html.clone())),
        ),
    };
    let mut built = built.map_err(|cause| MailError::Address(cause.to_string()))?;
    // RFC 3834: nobody's absence notice answers this.
    let auto_submitted = HeaderName::new_from_ascii_str("Auto-Submitted");
    built.headers_mut().insert_raw(HeaderValue::new(auto_submitted, "auto-generated".to_owned()));
    Ok(built)
}

fn not_taken(cause: &lettre::transport::smtp::Error) -> MailError {
    let mut text = cause.to_string();
    let mut next = std::error::Error::source(cause);
    while let Some(cause) = next {
        let more = cause.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        next = cause.source();
    }
    let text = text.chars().take(FOREIGN_MESSAGE_MAX_CHARS).collect();
    match cause.status() {
        Some(code) if u16::from(code) >= FIRST_REFUSAL => MailError::Refused(text),
        Some(_) | None => MailError::NotTaken(text),
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
        net::TcpListener,
        sync::mpsc,
    };

    use super::*;
    use crate::tasks::Tasks;

    /// An SMTP server that takes everything except mail for `refused@…`, and gives each transcript.
    async fn sink(tasks: &Tasks) -> (String, mpsc::UnboundedReceiver<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (transcripts, received) = mpsc::unbounded_channel();
        let spawner = tasks.clone();
        tasks.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let transcripts = transcripts.clone();
                spawner.spawn(async move {
                    let (reader, mut writer) = stream.into_split();
                    let (mut lines, mut transcript, mut in_data) =
                        (BufReader::new(reader).lines(), String::new(), false);
                    writer.write_all(b"220 sink\r\n").await.unwrap();
                    while let Ok(Some(line)) = lines.next_line().await {
                        transcript.push_str(&line);
                        transcript.push('\n');
                        let reply: &[u8] = match line.as_str() {
                            "." if in_data => {
                                in_data = false;
                                transcripts.send(std::mem::take(&mut transcript)).unwrap();
                                b"250 taken\r\n"
                            }
                            _ if in_data => continue,
                            "DATA" => {
                                in_data = true;
                                b"354 go on\r\n"
                            }
                            "QUIT" => b"221 bye\r\n",
                            line if line.starts_with("EHLO") => b"250-sink\r\n250 AUTH PLAIN\r\n",
                            line if line.starts_with("AUTH PLAIN ") => b"235 in\r\n",
                            line if line.starts_with("RCPT TO:<refused@") => b"550 no such user here\r\n",
                            _ => b"250 ok\r\n",
                        };
                        if writer.write_all(reply).await.is_err() {
                            return;
                        }
                    }
                });
            }
        });
        (address.to_string(), received)
    }

    fn mailer(url: &str) -> Mailer {
        let options = SmtpOptions { url: Secret::new(url), from: "Housekey <pds@example.com>".to_owned() };
        Mailer::new(Some(&options)).unwrap()
    }

    fn mail(to: &str, subject: &str, html: Option<&str>) -> Mail {
        let (text, html) = ("Your code is ABCDE-12345".to_owned(), html.map(str::to_owned));
        Mail { to: to.to_owned(), subject: subject.to_owned(), text, html, message_id: None }
    }

    #[tokio::test]
    async fn a_mail_is_handed_over_with_its_plain_text() {
        let tasks = Tasks::new();
        let (address, mut received) = sink(&tasks).await;
        mailer(&format!("smtp://{address}")).send(&mail("alice@example.org", "Your code", None)).await.unwrap();
        let transcript = received.recv().await.unwrap();
        for line in [
            "MAIL FROM:<pds@example.com>",
            "RCPT TO:<alice@example.org>",
            "Subject: Your code",
            "To: alice@example.org",
            "From: Housekey <pds@example.com>",
            "Your code is ABCDE-12345",
        ] {
            assert!(transcript.contains(line), "{line} is missing in {transcript}");
        }
        assert!(transcript.contains("Date: ") && transcript.contains("Message-ID: "));
    }

    #[tokio::test]
    async fn html_comes_with_the_plain_text_before_it_and_credentials_are_used() {
        let tasks = Tasks::new();
        let (address, mut received) = sink(&tasks).await;
        let mailer = mailer(&format!("smtp://me:p%40ss@{address}"));
        mailer.send(&mail("alice@example.org", "Grüße", Some("<b>ABCDE-12345</b>"))).await.unwrap();
        let transcript = received.recv().await.unwrap();
        let login = data_encoding::BASE64.encode(b"\0me\0p@ss");
        assert!(transcript.contains(&format!("AUTH PLAIN {login}")), "{transcript}");
        assert!(transcript.contains("multipart/alternative"));
        let (plain, html) = (transcript.find("Your code is").unwrap(), transcript.find("<b>ABCDE").unwrap());
        assert!(plain < html);
        assert!(!transcript.contains("Grüße"), "headers are ASCII");
        assert!(!format!("{mailer:?}").contains("p@ss"));
    }

    #[tokio::test]
    async fn recipients_and_subjects_cannot_add_headers_or_recipients() {
        let tasks = Tasks::new();
        let (address, mut received) = sink(&tasks).await;
        let mailer = mailer(&format!("smtp://{address}"));
        for to in [
            "a@example.org\r\nBcc: b@example.org",
            "a@example.org, b@example.org",
            "a@example.org>\r\nRCPT TO:<b@example.org",
            "x <a@example.org>",
            "a b@example.org",
            "",
            "a",
            "a@",
        ] {
            assert!(matches!(mailer.send(&mail(to, "s", None)).await, Err(MailError::Address(_))), "{to:?}");
        }
        for subject in ["one\r\nBcc: b@example.org", "one\ntwo", "nul\0"] {
            let answer = mailer.send(&mail("a@example.org", subject, None)).await;
            assert!(matches!(answer, Err(MailError::Address(_))), "{subject:?}");
        }
        assert!(received.try_recv().is_err());
    }

    #[tokio::test]
    async fn text_cannot_end_the_message_early() {
        let tasks = Tasks::new();
        let (address, mut received) = sink(&tasks).await;
        let text = "one\r\n.\r\nMAIL FROM:<evil@example.com>\r\n".to_owned();
        let mail = Mail { to: "a@example.org".to_owned(), subject: "s".to_owned(), text, html: None, message_id: None };
        mailer(&format!("smtp://{address}")).send(&mail).await.unwrap();
        let transcript = received.recv().await.unwrap();
        assert!(transcript.contains("\n..\nMAIL FROM:<evil@example.com>"), "{transcript}");
    }

    #[tokio::test]
    async fn a_refusal_is_told_in_the_servers_words() {
        let tasks = Tasks::new();
        let (address, _received) = sink(&tasks).await;
        let answer = mailer(&format!("smtp://{address}")).send(&mail("refused@example.org", "s", None)).await;
        let Err(MailError::Refused(why)) = answer else { panic!("{answer:?}") };
        assert!(why.contains("no such user here"), "{why}");
    }

    #[tokio::test]
    async fn a_connection_is_verified_without_a_mail() {
        let tasks = Tasks::new();
        let (address, mut received) = sink(&tasks).await;
        assert_eq!(mailer(&format!("smtp://{address}")).verify().await, Ok(()));
        assert!(received.try_recv().is_err());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let nobody = mailer(&format!("smtp://{}", listener.local_addr().unwrap()));
        drop(listener);
        assert!(matches!(nobody.verify().await, Err(MailError::NotTaken(_))));
        assert!(matches!(nobody.send(&mail("a@example.org", "s", None)).await, Err(MailError::NotTaken(_))));
    }

    #[tokio::test]
    async fn without_settings_there_is_no_mail_and_bad_settings_are_refused_without_telling_the_password() {
        let none = Mailer::new(None).unwrap();
        assert!(!none.is_configured());
        assert_eq!(none.send(&mail("a@example.org", "s", None)).await, Err(MailError::NotConfigured));
        assert_eq!(none.verify().await, Err(MailError::NotConfigured));
        for (url, from) in
            [("http://me:hunter2@h", "a@example.com"), ("smtp://me:hunter2@h", "nobody"), ("hunter2", "a@example.com")]
        {
            let options = SmtpOptions { url: Secret::new(url), from: from.to_owned() };
            let Err(MailError::Address(why)) = Mailer::new(Some(&options)) else { panic!("{url} {from}") };
            assert!(!why.contains("hunter2"), "{why}");
        }
        for url in ["smtps://me:pw@mail.example.com", "smtp://mail.example.com?tls=required"] {
            assert!(mailer(url).is_configured());
        }
    }
}
