//! Answers in words to whoever wrote to a control file, fit for the terminal that will show them.

/// The most characters of a complaint, which quotes what was written.
const LONGEST: usize = 2000;

/// `why` as one line, whatever it quotes: cut short, and with control and other unprintable characters
/// escaped.
pub(super) fn complaint(why: &str) -> String {
    let mut shown = String::with_capacity(why.len().min(LONGEST) + 1);
    let mut rest = why.chars();
    for c in rest.by_ref().take(LONGEST) {
        match c {
            '"' | '\'' | '\\' => shown.push(c),
            _ => shown.extend(c.escape_debug()),
        }
    }
    if rest.next().is_some() {
        shown.push_str("...");
    }
    shown.push('\n');
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_complaint_is_a_short_line_of_printable_text() {
        assert_eq!(complaint("no `é\u{1b}[2J\n\u{202e}\"x\\`"), "no `é\\u{1b}[2J\\n\\u{202e}\"x\\`\n");
        let long = complaint(&"(".repeat(1 << 20));
        assert!(long.ends_with("(...\n") && long.len() < LONGEST + 10);
    }
}
