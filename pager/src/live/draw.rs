//! Drawing the screens of `pager watch` and `pager top`; they fit 80 columns and 24 lines.

use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Gauge, Paragraph, Row, Sparkline, Table};

use super::screen::Screen;
use crate::report::model::{Children, Report};
use crate::size::ByteSize;
use crate::units::{count, duration};

const BOLD: Style = Style::new().add_modifier(Modifier::BOLD);

/// Draws one run.
pub fn watch(frame: &mut Frame, screen: &Screen) {
    let processes = (screen.report.process_table.len() as u16).clamp(1, 6) + 1;
    let [head, bar, kinds, trend, images, rows, foot] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Length(3),
        Constraint::Length(4),
        Constraint::Min(3),
        Constraint::Length(processes),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    let report = &screen.report;
    let title = format!(
        "{} (pid {}) runs since {}",
        report.program.display(),
        report.pid,
        duration(report.elapsed_ns)
    );
    frame.render_widget(Paragraph::new(Line::styled(title, BOLD)), head);
    draw_bar(frame, report, bar);
    draw_kinds(frame, screen, kinds);
    draw_trend(frame, screen, trend);
    draw_images(frame, screen, images);
    draw_processes(frame, report, rows);
    let keys = format!(" q quit   + - cap by a tenth   n no cap   {}", screen.word);
    frame.render_widget(Paragraph::new(keys).style(Style::new().add_modifier(Modifier::REVERSED)), foot);
}

/// What of the cap is used; without one, what is resident.
fn draw_bar(frame: &mut Frame, report: &Report, area: Rect) {
    let now = report.resident.resident_now_bytes;
    let cap = report.resident.cap_bytes.filter(|cap| *cap > 0);
    let part = cap.map_or(0.0, |cap| now as f64 / cap as f64).clamp(0.0, 1.0);
    let of = match (cap, report.resident.children) {
        (None, _) => "no cap".to_owned(),
        (Some(cap), Children::Own) => format!("the cap of each process is {}", ByteSize(cap)),
        (Some(cap), _) => format!("of {}", ByteSize(cap)),
    };
    let colour = if part > 0.9 { Color::Red } else { Color::Green };
    let gauge = Gauge::default().gauge_style(Style::new().fg(colour).bg(Color::DarkGray));
    frame.render_widget(gauge.ratio(part).label(format!("resident {} {of}", ByteSize(now))), area);
}

fn draw_kinds(frame: &mut Frame, screen: &Screen, area: Rect) {
    let (report, rates) = (&screen.report, &screen.rates);
    let line =
        |label: &str, numbers: String| Line::from(vec![Span::raw(format!("{label:<9}")), Span::raw(numbers)]);
    let each = |what: &str, rate: f64, all: u64| format!("{what} {}/s ({})", count(rate as u64), count(all));
    let faults = &report.faults;
    let lines = vec![
        line(
            "faults",
            [
                each("image", rates.image, faults.image),
                each("zero", rates.zero, faults.zero),
                each("swap-in", rates.swap_in, faults.swap_in),
            ]
            .join("  "),
        ),
        line(
            "",
            format!(
                "{}  {:.0} % of the time in faults, p99 {}",
                each("protection", rates.protection, faults.protection),
                rates.in_faults * 100.0,
                duration(report.fault_time.p99_ns)
            ),
        ),
        line(
            "swap",
            format!(
                "{} used of {}  {} written  {} evicted",
                ByteSize(report.swap.used_bytes),
                ByteSize(report.swap.capacity_bytes),
                each("", rates.written, report.pages.written).trim_start(),
                each("", rates.evicted, report.pages.evicted).trim_start()
            ),
        ),
    ];
    frame.render_widget(Paragraph::new(lines), area);
}

/// Faults a second, the newest at the right edge.
fn draw_trend(frame: &mut Frame, screen: &Screen, area: Rect) {
    let [label, place] = Layout::vertical([Constraint::Length(1), Constraint::Min(1)]).areas(area);
    let width = usize::from(place.width);
    let newest = screen.trend.iter().skip(screen.trend.len().saturating_sub(width));
    let data: Vec<u64> =
        std::iter::repeat_n(0, width.saturating_sub(screen.trend.len())).chain(newest.copied()).collect();
    let most = data.iter().max().copied().unwrap_or(0);
    frame.render_widget(Paragraph::new(format!("faults a second, at most {}", count(most))), label);
    frame.render_widget(Sparkline::default().data(&data).style(Style::new().fg(Color::Cyan)), place);
}

fn draw_images(frame: &mut Frame, screen: &Screen, area: Rect) {
    let height = usize::from(area.height.saturating_sub(1));
    let rows = screen.images().into_iter().take(height).map(|(at, rate)| {
        let image = &screen.report.images[at];
        table_row([
            count(rate as u64),
            count(image.pages_filled),
            count(image.pages_evicted),
            shorten(&image.path, usize::from(area.width).saturating_sub(33)),
        ])
    });
    let head = table_row(["pages/s", "pages", "evicted", "image"].map(str::to_owned)).style(BOLD);
    let widths = [Constraint::Length(9), Constraint::Length(10), Constraint::Length(10), Constraint::Min(10)];
    frame.render_widget(Table::new(rows, widths).header(head), area);
}

fn draw_processes(frame: &mut Frame, report: &Report, area: Rect) {
    let height = usize::from(area.height.saturating_sub(1));
    let alive = report.process_table.iter().filter(|row| row.exit.is_none());
    let rows = alive.take(height).map(|row| {
        table_row([
            row.pid.to_string(),
            count(row.faults),
            ByteSize(row.resident_peak_bytes).to_string(),
            shorten(&row.program, usize::from(area.width).saturating_sub(33)),
        ])
    });
    let head = table_row(["pid", "faults", "peak", "process"].map(str::to_owned)).style(BOLD);
    let widths = [Constraint::Length(9), Constraint::Length(10), Constraint::Length(10), Constraint::Min(10)];
    frame.render_widget(Table::new(rows, widths).header(head), area);
}

/// Three numbers, to the right, and a name.
fn table_row<'a>([a, b, c, name]: [String; 4]) -> Row<'a> {
    let number = |text: String| Line::raw(text).alignment(Alignment::Right);
    Row::new([number(a), number(b), number(c), Line::raw(name)])
}

/// Draws a line for each run, the chosen one marked.
pub fn top<'a>(frame: &mut Frame, runs: impl ExactSizeIterator<Item = &'a Screen>, chosen: usize) {
    let [head, body, foot] =
        Layout::vertical([Constraint::Length(1), Constraint::Min(1), Constraint::Length(1)])
            .areas(frame.area());
    let title = match runs.len() {
        0 => "no paged program of yours is running; `pager run -- PROGRAM` starts one".to_owned(),
        1 => "1 run".to_owned(),
        many => format!("{many} runs"),
    };
    frame.render_widget(Paragraph::new(Line::styled(title, BOLD)), head);
    let rows = runs.enumerate().map(|(at, run)| {
        let row = run_row(run, usize::from(body.width).saturating_sub(56));
        if at == chosen { row.style(Style::new().add_modifier(Modifier::REVERSED)) } else { row }
    });
    let names = ["pid", "resident", "cap", "swap", "faults/s", "swapin/s", "program"];
    let number = |text: &str| Line::raw(text.to_owned()).alignment(Alignment::Right);
    let header = Row::new(names.map(|name| if name == "program" { Line::raw(name) } else { number(name) }));
    let widths = [8, 9, 9, 8, 8, 8].map(Constraint::Length).into_iter().chain([Constraint::Min(10)]);
    frame.render_widget(Table::new(rows, widths).header(header.style(BOLD)), body);
    let keys = " q quit   up, down choose   Enter watch";
    frame.render_widget(Paragraph::new(keys).style(Style::new().add_modifier(Modifier::REVERSED)), foot);
}

fn run_row<'a>(run: &Screen, width: usize) -> Row<'a> {
    let (report, rates) = (&run.report, &run.rates);
    let cap = report.resident.cap_bytes.map_or("none".to_owned(), |cap| ByteSize(cap).to_string());
    let numbers = [
        report.supervisor_pid.to_string(),
        ByteSize(report.resident.resident_now_bytes).to_string(),
        cap,
        ByteSize(report.swap.used_bytes).to_string(),
        count(rates.faults() as u64),
        count(rates.swap_in as u64),
    ];
    let number = |text: String| Line::raw(text).alignment(Alignment::Right);
    let name = Line::raw(shorten(&report.program.display().to_string(), width));
    Row::new(numbers.map(number).into_iter().chain([name]))
}

/// The end of a path says more than its beginning.
fn shorten(name: &str, width: usize) -> String {
    let length = name.chars().count();
    if length <= width {
        return name.to_owned();
    }
    let rest: String = name.chars().skip(length + 1 - width.max(1)).collect();
    format!("…{rest}")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::*;
    use crate::report::samples::{first, sample};

    fn shown(draw: impl FnOnce(&mut Frame)) -> String {
        let mut terminal = Terminal::new(TestBackend::new(80, 24)).expect("a buffer");
        terminal.draw(draw).expect("drawn");
        let buffer = terminal.backend().buffer();
        let lines =
            buffer.content().chunks(80).map(|line| line.iter().map(|cell| cell.symbol()).collect::<String>());
        lines.map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
    }

    fn screen() -> Screen {
        let mut before = sample();
        (before.exit, before.complete) = (None, false);
        before.process_table[0].exit = None;
        before.resident.resident_now_bytes = 31 << 20;
        let mut now = before.clone();
        now.faults.swap_in += 5000;
        now.images[0].pages_filled += 12;
        let mut screen = Screen::new(before);
        screen.take(now, Duration::from_secs(1));
        screen
    }

    #[test]
    fn a_run_fits_80_by_24() {
        insta::assert_snapshot!(shown(|frame| watch(frame, &screen())));
    }

    #[test]
    fn all_runs_fit_80_by_24() {
        let runs = [screen(), screen()];
        insta::assert_snapshot!(shown(|frame| top(frame, runs.iter(), 1)));
        assert!(shown(|frame| top(frame, [].iter(), 0)).contains("no paged program"));
    }

    #[test]
    fn nothing_that_a_program_writes_into_the_counters_breaks_the_screen() {
        let mut screen = screen();
        screen.report.resident.resident_now_bytes = u64::MAX;
        screen.report.resident.cap_bytes = Some(0);
        screen.report.faults.zero = u64::MAX;
        screen.report.process_table = vec![first(); 50];
        screen.word = "x".repeat(300);
        assert_eq!(shown(|frame| watch(frame, &screen)).lines().count(), 24);
        let mut small = Terminal::new(TestBackend::new(10, 3)).expect("a buffer");
        small.draw(|frame| watch(frame, &screen)).expect("drawn on whatever there is");
    }
}
