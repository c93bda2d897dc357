//! `pager watch`: one run as a screen that is drawn anew at intervals, from which its cap can be changed.

use std::io;
use std::time::{Duration, Instant};

use pager_core::pool::NO_CAP;
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::screen::{Screen, Step, changed_cap};
use super::{LiveError, draw};
use crate::attach::Attached;
use crate::cap::LEAST_CAP_PAGES;
use crate::cli::WatchArgs;
use crate::limit;
use crate::size::ByteSize;

/// Shows the run of a process until it ends, or `q`.
///
/// # Errors
///
/// If there is no such run, or no terminal.
pub fn watch(args: &WatchArgs) -> Result<(), LiveError> {
    let mut run = Attached::to(args.pid)?;
    let mut terminal = ratatui::try_init().map_err(LiveError::Terminal)?;
    let shown = show(&mut run, args.interval.0, &mut terminal);
    ratatui::restore();
    shown.map_err(LiveError::Terminal)
}

/// The same on a terminal that is set up already; returns when the run ends, too.
pub fn show(run: &mut Attached, interval: Duration, terminal: &mut DefaultTerminal) -> io::Result<()> {
    let mut screen = Screen::new(run.report());
    let mut looked = Instant::now();
    while run.is_alive() {
        terminal.draw(|frame| draw::watch(frame, &screen))?;
        if event::poll(interval.saturating_sub(looked.elapsed()))?
            && let Event::Key(key) = event::read()?
            && key.kind != KeyEventKind::Release
        {
            if is_quit(key) {
                return Ok(());
            }
            press(run, &mut screen, key.code);
        }
        if looked.elapsed() >= interval {
            screen.take(run.report(), looked.elapsed());
            looked = Instant::now();
        }
    }
    Ok(())
}

/// Whether a key ends a screen.
pub fn is_quit(key: KeyEvent) -> bool {
    let control_c = key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
    control_c || matches!(key.code, KeyCode::Char('q') | KeyCode::Esc)
}

fn press(run: &Attached, screen: &mut Screen, key: KeyCode) {
    // Without a cap a tenth of what is resident now is taken away from, or added to, that.
    let now = screen.report.resident.cap_pages.unwrap_or(screen.report.resident.resident_now_pages);
    let step = match key {
        KeyCode::Char('+' | '=') => Step::More,
        KeyCode::Char('-') => Step::Less,
        KeyCode::Char('n') => {
            limit::set(run, u64::MAX);
            screen.word = "no cap now".to_owned();
            return;
        }
        _ => return,
    };
    let pages = changed_cap(now.min(NO_CAP), step, LEAST_CAP_PAGES);
    limit::set(run, pages);
    screen.report.resident.cap_pages = Some(pages);
    screen.report.resident.cap_bytes = Some(ByteSize::of_pages(pages).0);
    screen.word = format!("the cap is {}", ByteSize::of_pages(pages));
}
