//! `swapfs top`: what a mount does now, as a screen that is drawn anew every second.

mod draw;
mod state;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Args;
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use swapfs::accounting::Heat;

use super::client;
use crate::arguments::interval::interval;
use state::{HEAT_CELLS, Screen};

/// `swapfs top`.
#[derive(Debug, Args)]
pub struct TopArguments {
    /// Where it is mounted
    pub mountpoint: PathBuf,
    /// Seconds between two looks
    #[arg(long, value_name = "SECONDS", value_parser = interval, default_value = "1")]
    pub interval: Duration,
}

/// Shows the screen until `q`.
pub fn run(arguments: &TopArguments) -> anyhow::Result<()> {
    let mut mount = client::Mount::at(&arguments.mountpoint)?;
    let first = mount.stats()?;
    let mut screen = Screen::new(first);
    let mut terminal =
        ratatui::try_init().context("`swapfs top` needs a terminal; use `swapfs stat --interval 1`")?;
    let shown = show(arguments, &mut mount, &mut terminal, &mut screen);
    ratatui::restore();
    shown
}

fn show(
    arguments: &TopArguments,
    mount: &mut client::Mount,
    terminal: &mut DefaultTerminal,
    screen: &mut Screen,
) -> anyhow::Result<()> {
    let mut looked = Instant::now();
    loop {
        terminal.draw(|frame| draw::draw(frame, screen))?;
        let left = arguments.interval.saturating_sub(looked.elapsed());
        if event::poll(left)? {
            let event = event::read()?;
            if matches!(event, Event::Key(key) if is_quit(key)) {
                return Ok(());
            }
            press(screen, &event);
        }
        if looked.elapsed() >= arguments.interval {
            let stats = mount.stats()?;
            screen.take(stats, looked.elapsed());
            looked = Instant::now();
            look_at_heat(mount, screen);
        }
    }
}

/// A mount that another user owns shows no heat.
fn look_at_heat(mount: &mut client::Mount, screen: &mut Screen) {
    for path in screen.paths_in_sight() {
        let answer = mount.command(&format!("heat {HEAT_CELLS} {path}"));
        let heat = answer.ok().and_then(|text| serde_json::from_str::<Heat>(&text).ok());
        if let Some(heat) = heat {
            screen.take_heat(heat);
        }
    }
}

fn is_quit(key: KeyEvent) -> bool {
    let control_c = key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
    control_c || matches!(key.code, KeyCode::Char('q') | KeyCode::Esc)
}

fn press(screen: &mut Screen, event: &Event) {
    let Event::Key(key) = event else { return };
    if key.kind == KeyEventKind::Release {
        return;
    }
    match key.code {
        KeyCode::Char('s') => screen.sort_by_next(),
        KeyCode::Char('r') => screen.reverse(),
        KeyCode::Char('p') => screen.change_subject(),
        KeyCode::Down | KeyCode::Char('j') => screen.scroll(1),
        KeyCode::Up | KeyCode::Char('k') => screen.scroll(-1),
        KeyCode::PageDown => screen.scroll(10),
        KeyCode::PageUp => screen.scroll(-10),
        _ => {}
    }
}
