//! The page: template, style, script and data in one file. It loads nothing, from nowhere.

use std::io::{self, Write};

use crate::survey::model::Survey;

const TEMPLATE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// Writes the page.
///
/// # Errors
///
/// What the kernel said.
pub fn write(survey: &Survey, out: &mut impl Write) -> io::Result<()> {
    let data = inert(&serde_json::to_string(survey)?);
    let title = escaped(&survey.program);
    let mut rest = TEMPLATE;
    while let Some(at) = rest.find("{{") {
        let (before, from) = rest.split_at(at);
        let end = from.find("}}").map_or(from.len(), |end| end + 2);
        out.write_all(before.as_bytes())?;
        let piece = match &from[..end] {
            "{{title}}" => &title,
            "{{style}}" => STYLE,
            "{{script}}" => SCRIPT,
            "{{data}}" => &data,
            other => other,
        };
        out.write_all(piece.as_bytes())?;
        rest = &from[end..];
    }
    out.write_all(rest.as_bytes())
}

/// JSON that can stand in a script element: no text in it ends the element or opens a comment. The paths of
/// files are the program's to choose.
fn inert(json: &str) -> String {
    json.replace('<', "\\u003c").replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::survey::samples::survey;

    #[test]
    fn the_page_stands_alone_and_no_name_breaks_it() {
        let mut survey = survey();
        survey.program = "</script><script>alert(1)</script>".into();
        let mut page = Vec::new();
        write(&survey, &mut page).expect("memory takes it");
        let page = String::from_utf8(page).expect("text");
        assert!(!page.contains("{{"), "every place of the template is filled");
        assert_eq!(page.matches("<script").count(), 2, "data and script");
        assert!(!page.contains("alert(1)</script>"), "text of a program is no code");
        for outside in ["http://", "https://", "src=", "@import", "url("] {
            assert!(!page.replace("http://www.w3.org/2000/svg", "").contains(outside), "{outside}");
        }
    }
}
