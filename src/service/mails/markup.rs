//! HTML that somebody else wrote, for those who read mail as text.

/// Tags after which a paragraph begins.
const BLOCKS: &[&str] = &["/p", "/div", "/h1", "/h2", "/h3", "/ul", "/ol", "/table", "/blockquote"];

/// Tags after which a line begins.
const LINES: &[&str] = &["br", "/li", "/tr"];

/// What the entities of text stand for.
const ENTITIES: &[(&str, &str)] =
    &[("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&nbsp;", " "), ("&amp;", "&")];

/// Whether a text is HTML: an element ends in it, or a line.
pub(super) fn is_html(text: &str) -> bool {
    ["</", "<br"].iter().any(|tag| text.contains(tag))
}

/// The words of HTML, its paragraphs and lines apart.
pub(super) fn text_of(html: &str) -> String {
    let mut pieces = html.split('<');
    let mut text = words(pieces.next().unwrap_or_default());
    for piece in pieces {
        // What has no end is no tag.
        let Some((tag, after)) = piece.split_once('>') else {
            text.push('<');
            text.push_str(&words(piece));
            continue;
        };
        let name: String = tag.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '/').collect();
        let name = name.to_ascii_lowercase();
        let name = name.strip_suffix('/').unwrap_or(&name);
        if BLOCKS.contains(&name) {
            text.push_str("\n\n");
        } else if LINES.contains(&name) {
            text.push('\n');
        }
        text.push_str(&words(after));
    }
    let paragraphs = text.split("\n\n").map(str::trim).filter(|paragraph| !paragraph.is_empty());
    paragraphs.collect::<Vec<_>>().join("\n\n") + "\n"
}

/// Text between tags: white space counts once, entities are what they stand for.
fn words(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if !c.is_whitespace() {
            shown.push(c);
        } else if !shown.ends_with(' ') {
            shown.push(' ');
        }
    }
    ENTITIES.iter().fold(shown, |text, (entity, meant)| text.replace(entity, meant))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paragraphs_and_lines_stay_apart_and_tags_go() {
        let html = "<div>\n <h1>Hello</h1> <p>one<br/>two<BR>three</p>\n<ul><li>a</li><li>b</li></ul></div>";
        assert_eq!(text_of(html), "Hello\n\none\ntwo\nthree\n\na\nb\n");
        assert_eq!(text_of("a &amp;lt; b <a href=\"https://example.com/\">c</a>"), "a &lt; b c\n");
    }

    #[test]
    fn what_is_broken_stays_text() {
        for broken in ["<", "</", "a < b", "<<<", "<p", "&", "&lt", ""] {
            assert!(text_of(broken).ends_with('\n'), "{broken}");
        }
        assert_eq!(text_of("</p>x < y"), "x < y\n");
    }

    #[test]
    fn comparisons_are_no_html() {
        assert!(is_html("<p>x</p>") && is_html("x<br>y"));
        assert!(!is_html("1 < 2 and 3 > 2"));
    }
}
