//! An SMTP server that keeps what it is sent, and a DNS server that knows the TXT records of a test.

use std::{
    collections::{HashMap, VecDeque},
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream, UdpSocket},
};

use crate::tasks::Tasks;

/// What the mail server does wrong with the next mail.
#[derive(Clone, Copy, Debug)]
pub(crate) enum MailFault {
    /// Answers this to the recipient.
    Refuse(&'static str),
    /// Takes the mail, and falls silent before it says so.
    TakeThenHangUp,
}

/// What the mail server has, and will do wrong.
#[derive(Default)]
struct Kept {
    mails: Vec<String>,
    faults: VecDeque<MailFault>,
}

/// Mail that was sent.
#[derive(Clone)]
pub(crate) struct Mailbox {
    address: SocketAddr,
    kept: Arc<Mutex<Kept>>,
    _tasks: Tasks,
}

impl Mailbox {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let tasks = Tasks::new();
        let own = Self { address: listener.local_addr().unwrap(), kept: Arc::default(), _tasks: tasks.clone() };
        let kept = Arc::clone(&own.kept);
        tasks.clone().spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let kept = Arc::clone(&kept);
                tasks.spawn(async move { drop(receive(stream, &kept).await) });
            }
        });
        own
    }

    pub(super) fn url(&self) -> String {
        format!("smtp://{}", self.address)
    }

    /// How many mails came.
    pub(crate) fn len(&self) -> usize {
        self.kept.lock().unwrap().mails.len()
    }

    /// The latest mail, headers and all, without the soft line breaks of quoted-printable.
    pub(crate) fn last(&self) -> String {
        self.kept.lock().unwrap().mails.last().cloned().unwrap_or_default().replace("=\r\n", "")
    }

    /// All mails, oldest first, as [`Mailbox::last`] gives them.
    pub(crate) fn all(&self) -> Vec<String> {
        self.kept.lock().unwrap().mails.iter().map(|mail| mail.replace("=\r\n", "")).collect()
    }

    /// Does this wrong with the next mail that no other fault waits for.
    pub(crate) fn fail_next(&self, fault: MailFault) {
        self.kept.lock().unwrap().faults.push_back(fault);
    }

    /// The code in the latest mail.
    pub(crate) fn code(&self) -> String {
        let mail = self.last();
        let is_code = |word: &&str| word.len() == 11 && word.as_bytes()[5] == b'-' && word.to_uppercase() == **word;
        mail.split_whitespace().find(is_code).unwrap().to_owned()
    }
}

async fn receive(stream: TcpStream, kept: &Mutex<Kept>) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    stream.get_mut().write_all(b"220 test\r\n").await?;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let fault = kept.lock().unwrap().faults.front().copied();
        let answer: &[u8] = match line.get(..4).unwrap_or_default().to_ascii_uppercase().as_str() {
            "DATA" => {
                stream.get_mut().write_all(b"354 go on\r\n").await?;
                let mut mail = String::new();
                while !mail.ends_with("\r\n.\r\n") {
                    if stream.read_line(&mut mail).await? == 0 {
                        return Ok(());
                    }
                }
                kept.lock().unwrap().mails.push(mail);
                if matches!(fault, Some(MailFault::TakeThenHangUp)) {
                    kept.lock().unwrap().faults.pop_front();
                    return Ok(());
                }
                b"250 kept\r\n"
            }
            "RCPT" if let Some(MailFault::Refuse(answer)) = fault => {
                kept.lock().unwrap().faults.pop_front();
                answer.as_bytes()
            }
            "QUIT" => b"221 bye\r\n",
            _ => b"250 ok\r\n",
        };
        stream.get_mut().write_all(answer).await?;
    }
}

/// TXT records that a test sets.
#[derive(Clone)]
pub(crate) struct Names {
    pub(super) address: SocketAddr,
    records: Arc<Mutex<HashMap<String, String>>>,
    _tasks: Tasks,
}

impl Names {
    pub(super) async fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let tasks = Tasks::new();
        let own = Self { address: socket.local_addr().unwrap(), records: Arc::default(), _tasks: tasks.clone() };
        let records = Arc::clone(&own.records);
        tasks.spawn(async move {
            let mut buffer = [0; 1500];
            while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
                let answer = answer_to(&buffer[..length], &records.lock().unwrap());
                drop(socket.send_to(&answer, from).await);
            }
        });
        own
    }

    /// Sets `_atproto.<handle>` to this text.
    pub(crate) fn set(&self, handle: &str, text: String) {
        self.set_record(&format!("_atproto.{handle}"), text);
    }

    /// Sets the TXT record of a name.
    pub(crate) fn set_record(&self, name: &str, text: String) {
        self.records.lock().unwrap().insert(name.to_owned(), text);
    }
}

/// The answer to a query of one question: its TXT record, or that there is no such name.
fn answer_to(query: &[u8], records: &HashMap<String, String>) -> Vec<u8> {
    let mut labels = Vec::new();
    let mut at = 12;
    while query[at] != 0 {
        let end = at + 1 + usize::from(query[at]);
        labels.push(String::from_utf8_lossy(&query[at + 1..end]).to_lowercase());
        at = end;
    }
    let question = &query[12..at + 5];
    let found = records.get(&labels.join("."));
    // A response, recursion available; no error or NXDOMAIN; one question, and an answer if there is one.
    let mut out = query[..2].to_vec();
    out.extend([0x81, if found.is_some() { 0x80 } else { 0x83 }, 0, 1, 0, u8::from(found.is_some()), 0, 0, 0, 0]);
    out.extend(question);
    if let Some(text) = found {
        let length = u8::try_from(text.len()).unwrap();
        out.extend([0xc0, 12, 0, 16, 0, 1, 0, 0, 0, 60, 0, length + 1, length]);
        out.extend(text.as_bytes());
    }
    out
}
