//! The outbox against an SMTP server that fails as real ones do.

use std::time::Duration;

use super::*;
use crate::{
    service::{
        codes,
        testing::{MailFault, World},
    },
    store::{CodePurpose, ListedMail, MailState},
};

const LATER: MailFault = MailFault::Refuse("451 4.7.1 greylisted, come again\r\n");
const NEVER: MailFault = MailFault::Refuse("550 5.1.1 no such user here\r\n");

async fn listed(world: &World) -> Vec<ListedMail> {
    world.server.store.list_mails(None, None, 100).await.unwrap()
}

async fn ask(world: &World, account: &Account) {
    codes::mail_code(&world.server, account, CodePurpose::ConfirmEmail).await.unwrap();
}

fn message_id(mail: &str) -> String {
    mail.lines().find_map(|line| line.strip_prefix("Message-ID: ")).unwrap().to_owned()
}

#[tokio::test]
async fn a_mail_that_waits_survives_a_restart_and_goes_out_once() {
    let world = World::new().await;
    let alice = world.account("alice").await;
    ask(&world, &alice).await;
    assert_eq!(world.mailbox.len(), 0);
    let world = world.restart().await;
    world.deliver().await;
    world.deliver().await;
    assert_eq!(world.mailbox.len(), 1);
    let mail = world.mailbox.last();
    assert!(mail.contains("Auto-Submitted: auto-generated"), "{mail}");
    assert!(mail.contains("Content-Type: text/plain") && mail.contains("Content-Type: text/html"), "{mail}");
    let [mail] = listed(&world).await.try_into().unwrap();
    assert_eq!((mail.state, mail.attempts, mail.kind.as_str()), (MailState::Sent, 1, "confirm_email"));
}

#[tokio::test]
async fn a_mail_that_is_refused_for_now_is_tried_again_later_and_later() {
    let world = World::new().await;
    let alice = world.account("alice").await;
    for _ in 0..3 {
        world.mailbox.fail_next(LATER);
    }
    ask(&world, &alice).await;
    let attempts = async || {
        world.deliver().await;
        listed(&world).await[0].attempts
    };
    assert_eq!(attempts().await, 1);
    for (wait, before, after) in [(15, 1, 2), (45, 2, 3), (135, 3, 4)] {
        world.clock.advance(Duration::from_secs(wait - 1));
        assert_eq!(attempts().await, before);
        let waiting = listed(&world).await.remove(0);
        assert_eq!(waiting.state, MailState::Waiting);
        assert!(waiting.error.unwrap().contains("greylisted"));
        world.clock.advance(Duration::from_secs(1));
        assert_eq!(attempts().await, after);
    }
    assert_eq!((world.mailbox.len(), listed(&world).await[0].state), (1, MailState::Sent));
    assert_eq!(listed(&world).await[0].error, None);
}

#[tokio::test]
async fn a_mail_that_is_refused_for_good_is_given_up_and_the_administrator_sees_why() {
    let world = World::new().await;
    let alice = world.account("alice").await;
    world.mailbox.fail_next(NEVER);
    ask(&world, &alice).await;
    world.deliver().await;
    world.clock.advance(Duration::from_hours(1));
    world.deliver().await;
    assert_eq!(world.mailbox.len(), 0);
    let given_up = world.server.store.list_mails(Some(MailState::GivenUp), None, 10).await.unwrap();
    assert_eq!((given_up.len(), given_up[0].attempts), (1, 1));
    assert!(given_up[0].error.as_ref().unwrap().contains("no such user here"), "{given_up:?}");
}

#[tokio::test]
async fn a_code_is_not_sent_when_it_is_over() {
    let world = World::new().await;
    let alice = world.account("alice").await;
    ask(&world, &alice).await;
    world.clock.advance(Duration::from_mins(15));
    world.deliver().await;
    assert_eq!((world.mailbox.len(), listed(&world).await[0].state), (0, MailState::GivenUp));
    // A notice is worth more patience.
    tell(&world.server, &alice, letters::password_changed(about(&world.server, &alice))).await;
    world.clock.advance(Duration::from_hours(24));
    world.deliver().await;
    assert_eq!(world.mailbox.len(), 1);
}

#[tokio::test]
async fn a_mail_that_came_twice_can_be_seen_to_be_one() {
    let world = World::new().await;
    let alice = world.account("alice").await;
    world.mailbox.fail_next(MailFault::TakeThenHangUp);
    ask(&world, &alice).await;
    world.deliver().await;
    let world = world.restart().await;
    world.deliver().await;
    assert_eq!(world.mailbox.len(), 1, "not again at once");
    world.clock.advance(Duration::from_secs(15));
    world.deliver().await;
    let mails = world.mailbox.all();
    assert_eq!(mails.len(), 2);
    assert_eq!(message_id(&mails[0]), message_id(&mails[1]));
    assert!(message_id(&mails[0]).ends_with("@pds.example.com>"));
}

#[tokio::test]
async fn what_a_mail_says_is_sealed_while_it_waits_and_gone_afterwards() {
    let world = World::new().await;
    let alice = world.account("alice").await;
    ask(&world, &alice).await;
    let [due] = world.server.store.due_mails(world.server.now(), 10).await.unwrap().try_into().unwrap();
    let holds = |bytes: &[u8], text: &str| bytes.windows(text.len()).any(|part| part == text.as_bytes());
    assert!(due.sealed.len() > 100 && !holds(&due.sealed, "alice") && !holds(&due.sealed, "code"));
    world.deliver().await;
    assert!(
        world.server.store.due_mails(world.server.now().plus(Duration::from_hours(9)), 10).await.unwrap().is_empty()
    );
    let code = world.mailbox.code();
    world.server.store.close().await;
    let data = world.data_dir();
    for file in ["housekey.sqlite", "housekey.sqlite-wal"] {
        let bytes = std::fs::read(data.join(file)).unwrap_or_default();
        assert!(!holds(&bytes, &code), "{file} holds the code");
    }
}

#[tokio::test]
async fn many_mails_go_out_each_once_even_if_two_look_at_the_outbox() {
    let world = World::new().await;
    let mut names = Vec::new();
    for n in 0..12 {
        let account = world.account(&format!("user{n:02}")).await;
        ask(&world, &account).await;
        names.push(account.email.unwrap());
    }
    tokio::join!(world.deliver(), world.deliver());
    assert_eq!(world.mailbox.len(), 12);
    let mails = world.mailbox.all().concat();
    assert!(names.iter().all(|to| mails.matches(&format!("To: {to}")).count() == 1));
}

#[tokio::test]
async fn what_was_done_with_is_forgotten_after_a_week() {
    let world = World::new().await;
    let alice = world.account("alice").await;
    ask(&world, &alice).await;
    world.deliver().await;
    world.clock.advance(Duration::from_hours(7 * 24));
    world.deliver().await;
    assert_eq!(listed(&world).await.len(), 1);
    world.clock.advance(Duration::from_secs(1));
    world.deliver().await;
    assert!(listed(&world).await.is_empty());
}

#[tokio::test]
async fn a_password_reset_that_was_asked_for_before_a_crash_is_answered_after_it() {
    let world = World::new().await;
    world.account("alice").await;
    crate::service::credentials::request_reset(&world.server, "alice@example.com").await.unwrap();
    let world = world.restart().await;
    world.deliver().await;
    assert_eq!(world.mailbox.len(), 1);
    world.deliver().await;
    assert_eq!(world.mailbox.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_servers_own_task_hands_mail_over_when_it_is_rung_and_stops_when_told() {
    let kept = World::new().await;
    let alice = kept.account("alice").await;
    let server = &kept.server;
    let (ended, seen) = tokio::sync::oneshot::channel();
    let running = Arc::clone(server);
    server.tasks.spawn(async move {
        run_outbox(running).await;
        ended.send(()).unwrap();
    });
    ask(&kept, &alice).await;
    while kept.mailbox.len() == 0 {
        tokio::task::yield_now().await;
    }
    server.tasks.stop();
    seen.await.unwrap();
}
