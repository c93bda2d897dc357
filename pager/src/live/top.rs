//! `pager top`: all runs of the user, a line each.

use std::io;
use std::time::{Duration, Instant};

use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind};

use super::screen::Screen;
use super::watch::{self, is_quit};
use super::{LiveError, draw};
use crate::attach::{self, Attached};
use crate::cli::TopArgs;
use crate::say;

/// Looks between two searches for runs that have begun: a search reads the descriptors of all processes.
const SEARCH: u32 = 3;

/// The runs, and where the mark stands.
struct Runs {
    runs: Vec<(Attached, Screen)>,
    chosen: usize,
    looks: u32,
}

/// Shows all runs until `q`; with `--json`, prints their reports once, a line each.
///
/// # Errors
///
/// If there is no terminal.
pub fn top(args: &TopArgs) -> Result<(), LiveError> {
    if args.json {
        attach::all().iter_mut().for_each(|run| say::to_stdout(&run.report().to_json()));
        return Ok(());
    }
    let mut terminal = ratatui::try_init().map_err(LiveError::Terminal)?;
    let shown = show(args.interval.0, &mut terminal);
    ratatui::restore();
    shown.map_err(LiveError::Terminal)
}

fn show(interval: Duration, terminal: &mut DefaultTerminal) -> io::Result<()> {
    let mut runs = Runs { runs: Vec::new(), chosen: 0, looks: 0 };
    runs.search();
    let mut looked = Instant::now();
    loop {
        terminal.draw(|frame| draw::top(frame, runs.runs.iter().map(|(_, screen)| screen), runs.chosen))?;
        if event::poll(interval.saturating_sub(looked.elapsed()))?
            && let Event::Key(key) = event::read()?
            && key.kind != KeyEventKind::Release
        {
            if is_quit(key) {
                return Ok(());
            }
            match key.code {
                KeyCode::Down | KeyCode::Char('j') => runs.chosen += 1,
                KeyCode::Up | KeyCode::Char('k') => runs.chosen = runs.chosen.saturating_sub(1),
                KeyCode::Enter => {
                    if let Some((run, _)) = runs.runs.get_mut(runs.chosen) {
                        watch::show(run, interval, terminal)?;
                    }
                }
                _ => {}
            }
        }
        if looked.elapsed() >= interval {
            runs.look(looked.elapsed());
            looked = Instant::now();
        }
        runs.chosen = runs.chosen.min(runs.runs.len().saturating_sub(1));
    }
}

impl Runs {
    fn look(&mut self, took: Duration) {
        self.runs.retain(|(run, _)| run.is_alive());
        for (run, screen) in &mut self.runs {
            screen.take(run.report(), took);
        }
        self.looks += 1;
        if self.looks.is_multiple_of(SEARCH) {
            self.search();
        }
    }

    fn search(&mut self) {
        for mut run in attach::all() {
            if self.runs.iter().all(|(known, _)| known.identity() != run.identity()) {
                let screen = Screen::new(run.report());
                self.runs.push((run, screen));
            }
        }
    }
}
