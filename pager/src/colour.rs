//! Colours, where somebody sees them.

use std::io::IsTerminal;

/// Whether text may carry colours.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Colour {
    /// It goes to a terminal, and nobody asked for none.
    On,
    /// Plain text only.
    Off,
}

impl Colour {
    /// For text that goes to `stream`: none in files and pipes, none with `NO_COLOR` set to anything
    /// (<https://no-color.org>), none on a terminal that says that it is dumb.
    pub fn of(stream: &impl IsTerminal) -> Colour {
        let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let is_dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        if stream.is_terminal() && !is_set("NO_COLOR") && !is_dumb { Colour::On } else { Colour::Off }
    }

    /// `text` in bold.
    pub fn bold(self, text: &str) -> String {
        self.wrap("1", text)
    }

    /// `text` less bright than the rest.
    pub fn dim(self, text: &str) -> String {
        self.wrap("2", text)
    }

    /// `text` that can be typed.
    pub fn command(self, text: &str) -> String {
        self.wrap("36", text)
    }

    fn wrap(self, code: &str, text: &str) -> String {
        match self {
            Colour::On => format!("\x1b[{code}m{text}\x1b[0m"),
            Colour::Off => text.to_owned(),
        }
    }
}
