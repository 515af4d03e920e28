//! The mail that a development server kept, as a page and as JSON.

use crate::{outbound::Mail, xrpc::Reply};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use serde_json::json;

/// The newest mail first: a page for a browser, JSON for everything else.
pub(super) fn page(mails: &[Mail], headers: &HeaderMap) -> Reply {
    let wants_html = headers
        .get(header::ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .is_some_and(|accept| accept.contains("text/html"));
    if wants_html {
        Reply::bytes("text/html; charset=utf-8", Bytes::from(html(mails))).with_header(
            header::CONTENT_SECURITY_POLICY,
            HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'"),
        )
    } else {
        Reply::raw_json(json(mails).to_string().into_bytes())
    }
}

fn json(mails: &[Mail]) -> serde_json::Value {
    let mails: Vec<_> = mails
        .iter()
        .rev()
        .map(|mail| json!({"to": mail.to, "subject": mail.subject, "text": mail.text, "html": mail.html}))
        .collect();
    json!({ "mails": mails })
}

fn html(mails: &[Mail]) -> String {
    let mut page = String::from(
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width\">\
         <title>Mail</title><style>:root{color-scheme:light dark}body{font:1rem/1.5 system-ui;max-width:44rem;\
         margin:2rem auto;padding:0 1rem}pre{white-space:pre-wrap;border:1px solid;padding:1rem}</style><h1>Mail</h1>",
    );
    if mails.is_empty() {
        page.push_str("<p>No mail was sent yet.</p>");
    }
    for mail in mails.iter().rev() {
        let (subject, to, text) = (escape(&mail.subject), escape(&mail.to), escape(&mail.text));
        page.extend(["<article><h2>", &subject, "</h2><p>To ", &to, "</p><pre>", &text, "</pre></article>"]);
    }
    page.push_str("</html>");
    page
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xrpc::ReplyBody;

    fn body(mails: &[Mail], accept: &'static str) -> String {
        let headers = HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static(accept))]);
        match page(mails, &headers).body {
            ReplyBody::Full(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
            ReplyBody::Stream(_) => panic!("a page is in memory"),
        }
    }

    fn mail(subject: &str) -> Mail {
        Mail {
            to: "alice@example.com".into(),
            subject: subject.into(),
            text: "<b>code</b>".into(),
            html: None,
            message_id: None,
        }
    }

    #[test]
    fn a_browser_sees_the_newest_mail_first_and_no_markup_of_a_mail() {
        let page = body(&[mail("first"), mail("second")], "text/html,*/*");
        assert!(page.find("second").unwrap() < page.find("first").unwrap());
        assert!(page.contains("&lt;b&gt;code&lt;/b&gt;"));
    }

    #[test]
    fn everything_else_gets_json() {
        let json: serde_json::Value = serde_json::from_str(&body(&[mail("first")], "*/*")).unwrap();
        assert_eq!(json["mails"][0]["text"], "<b>code</b>");
    }
}
