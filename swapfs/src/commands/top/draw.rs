//! Drawing the screen of `swapfs top`; it fits 80 columns and 24 lines.

use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Cell, Paragraph, Row as TableRow, Sparkline, Table};
use swapfs::accounting::{Figures, Heat};
use swapfs::heatmap::strip;
use swapfs::units::{show_bytes, show_count, show_nanoseconds};

use super::state::{HEAT_CELLS, Key, Row, Screen, Subject, TREND, p99};

const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
const TREND_CELLS: usize = 8;
const WIDTHS: [u16; 7] = [6, 7, 6, 7, 7, TREND_CELLS as u16, HEAT_CELLS as u16];

/// Draws all of it.
pub fn draw(frame: &mut Frame, screen: &Screen) {
    let [head, trend, body, foot] = Layout::vertical([
        Constraint::Length(2),
        Constraint::Length(3),
        Constraint::Min(3),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    draw_head(frame, screen, head);
    draw_trend(frame, screen, trend);
    draw_rows(frame, screen, body);
    let keys = " q quit   s sort   r reverse   p files or processes   up, down scroll";
    frame.render_widget(Paragraph::new(keys).style(Style::new().add_modifier(Modifier::REVERSED)), foot);
}

fn draw_head(frame: &mut Frame, screen: &Screen, area: Rect) {
    let (snapshot, total, seconds) = (&screen.snapshot, &screen.total, screen.seconds);
    let mode = if snapshot.strict { "every read counted" } else { "cache misses counted" };
    let faults = snapshot.faults.in_words().map(|made| format!("  faults made: {made}")).unwrap_or_default();
    let title = format!("swapfs {}  pid {}  {mode}{faults}", snapshot.mountpoint, snapshot.pid);
    let waiting = snapshot.waiting_requests;
    let rates = format!(
        "read {}/s ({}/s)  written {}/s ({}/s)  p99 {}  depth {:.1}  held {waiting}",
        show_bytes(rate(total.read_bytes, seconds)),
        show_count(rate(total.read_ops, seconds)),
        show_bytes(rate(total.write_bytes, seconds)),
        show_count(rate(total.write_ops, seconds)),
        show_nanoseconds(p99(total)),
        total.queue_depth.mean(),
    );
    let bold = Style::new().add_modifier(Modifier::BOLD);
    frame.render_widget(Paragraph::new(vec![Line::styled(title, bold), Line::raw(rates)]), area);
}

/// The newest at the right edge.
fn draw_trend(frame: &mut Frame, screen: &Screen, area: Rect) {
    let width = TREND.min(usize::from(area.width));
    let place = Rect { x: area.right() - width as u16, width: width as u16, ..area };
    let padding = width.saturating_sub(screen.total_trend.len());
    let newest = screen.total_trend.iter().skip(screen.total_trend.len().saturating_sub(width));
    let data: Vec<u64> = std::iter::repeat_n(0, padding).chain(newest.copied()).collect();
    frame.render_widget(Sparkline::default().data(&data).style(Style::new().fg(Color::Cyan)), place);
    let most = data.iter().max().copied().unwrap_or(0);
    let label = vec![Line::raw("all bytes a second"), Line::raw(format!("top: {}/s", show_bytes(most)))];
    frame.render_widget(Paragraph::new(label), Rect { width: area.width - width as u16, ..area });
}

fn draw_rows(frame: &mut Frame, screen: &Screen, area: Rect) {
    let subject = if screen.subject == Subject::Files { "file" } else { "process" };
    let names = [
        (subject, Some(Key::Name)),
        ("rd/s", Some(Key::Reads)),
        ("read/s", Some(Key::Bytes)),
        ("wr/s", Some(Key::Writes)),
        ("writ/s", Some(Key::Bytes)),
        ("p99", Some(Key::P99)),
        ("trend", None),
        (if screen.subject == Subject::Files { "heat" } else { "" }, None),
    ];
    let header = names.iter().enumerate().map(|(column, (name, key))| {
        let chosen = *key == Some(screen.key);
        let style = if chosen { Style::new().add_modifier(Modifier::UNDERLINED) } else { Style::new() };
        cell(column, (*name).to_owned()).style(style)
    });
    let header = TableRow::new(header).style(Style::new().add_modifier(Modifier::BOLD));
    let name_width = area.width.saturating_sub(WIDTHS.iter().sum::<u16>() + WIDTHS.len() as u16);
    let widths = std::iter::once(name_width).chain(WIDTHS).map(Constraint::Length);
    let height = usize::from(area.height.saturating_sub(1));
    let rows = screen.rows().iter().take(height).map(|row| table_row(screen, row, name_width.into()));
    frame.render_widget(Table::new(rows, widths).header(header).column_spacing(1), area);
}

fn table_row<'a>(screen: &Screen, row: &Row, name_width: usize) -> TableRow<'a> {
    let (Figures { read_ops, read_bytes, write_ops, write_bytes, .. }, seconds) =
        (&row.spent, screen.seconds);
    let texts = [
        shorten(&row.name, name_width),
        quiet(*read_ops, show_count(rate(*read_ops, seconds))),
        quiet(*read_bytes, show_bytes(rate(*read_bytes, seconds))),
        quiet(*write_ops, show_count(rate(*write_ops, seconds))),
        quiet(*write_bytes, show_bytes(rate(*write_bytes, seconds))),
        quiet(p99(&row.spent), show_nanoseconds(p99(&row.spent))),
    ];
    let cells = texts.into_iter().enumerate().map(|(column, text)| cell(column, text));
    let trend = Cell::from(Span::styled(bars(&row.trend), Style::new().fg(Color::Cyan)));
    let heat = Cell::from(screen.heat(row).map(heat_line).unwrap_or_default());
    TableRow::new(cells.chain([trend, heat]))
}

/// The first column and the pictures to the left, numbers to the right.
fn cell<'a>(column: usize, text: String) -> Cell<'a> {
    let alignment = if (1..=5).contains(&column) { Alignment::Right } else { Alignment::Left };
    Cell::from(Line::raw(text).alignment(alignment))
}

/// Read parts are blue, written ones red, both violet.
fn heat_line<'a>(heat: &Heat) -> Line<'a> {
    let sums: Vec<u64> = heat.reads.iter().zip(&heat.writes).map(|(read, written)| read + written).collect();
    let shades = strip(&sums, sums.iter().max().copied().unwrap_or(0));
    let colours = heat.reads.iter().zip(&heat.writes).map(|counts| match counts {
        (0, 0) => Color::DarkGray,
        (_, 0) => Color::Blue,
        (0, _) => Color::Red,
        _ => Color::Magenta,
    });
    let spans = shades.chars().zip(colours);
    Line::from_iter(spans.map(|(shade, colour)| Span::styled(shade.to_string(), Style::new().fg(colour))))
}

fn bars(trend: &[u64]) -> String {
    let most = trend.iter().max().copied().unwrap_or(0).max(1);
    let newest = &trend[trend.len().saturating_sub(TREND_CELLS)..];
    let height = |value: u64| (u128::from(value) * 8).div_ceil(u128::from(most)) as usize;
    let bar = |value: &u64| if *value == 0 { ' ' } else { BARS[height(*value) - 1] };
    format!("{:>TREND_CELLS$}", newest.iter().map(bar).collect::<String>())
}

fn quiet(count: u64, text: String) -> String {
    if count == 0 { "-".to_owned() } else { text }
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

fn rate(count: u64, seconds: f64) -> u64 {
    (count as f64 / seconds).round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use std::time::Duration;
    use swapfs::accounting::Snapshot;

    fn snapshot(reads: [u64; 2]) -> Snapshot {
        let figures = |n: u64| serde_json::json!({ "read_ops": n, "read_bytes": n * 4096 });
        let file = |path: &str, n: u64| {
            let mut file = figures(n);
            file["path"] = path.into();
            file["class"] = "image".into();
            file["size_bytes"] = 8192.into();
            file
        };
        let snapshot = serde_json::json!({
            "version": 1, "pid": 7, "mountpoint": "/m", "started_unix_ns": 0, "strict": true,
            "counted_reads": "every read", "threads": 2, "block_bytes": 4096, "waiting_requests": 0, "open_files": 0,
            "total": figures(reads[0] + reads[1]),
            "files": [file("images/a", reads[0]), file("images/lib/a/rather/long/name.so", reads[1])],
        });
        serde_json::from_value(snapshot).unwrap()
    }

    fn shown(screen: &Screen) -> String {
        let mut terminal = Terminal::new(TestBackend::new(80, 24)).unwrap();
        terminal.draw(|frame| draw(frame, screen)).unwrap();
        let buffer = terminal.backend().buffer();
        let lines =
            buffer.content().chunks(80).map(|line| line.iter().map(|cell| cell.symbol()).collect::<String>());
        lines.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn the_busiest_file_is_first_and_all_fits_80_by_24() {
        let mut screen = Screen::new(snapshot([0, 0]));
        screen.take(snapshot([1, 50]), Duration::from_secs(1));
        let (path, size_bytes) = ("images/a".to_owned(), 8192);
        screen.take_heat(Heat { path, size_bytes, reads: vec![1, 0], writes: vec![0, 0] });
        let text = shown(&screen);
        assert_eq!(text.lines().count(), 24);
        let at = |word: &str| text.find(word).unwrap_or_else(|| panic!("{word} is not in\n{text}"));
        assert!(at("name.so") < at("images/a "), "{text}");
        assert!(
            text.contains("read 204.0K/s (51/s)") && text.contains('█') && text.contains("q quit"),
            "{text}"
        );
        screen.reverse();
        let text = shown(&screen);
        assert!(text.find("images/a ") < text.find("name.so"), "{text}");
    }

    #[test]
    fn keys_sort_scroll_and_change_the_subject() {
        let mut screen = Screen::new(snapshot([5, 9]));
        for _ in 0..4 {
            screen.sort_by_next();
        }
        assert_eq!(screen.key, Key::Name);
        assert_eq!(screen.rows()[0].name, "images/a");
        screen.scroll(1);
        assert_eq!(screen.rows().len(), 1);
        screen.scroll(100);
        screen.scroll(-100);
        screen.change_subject();
        assert!(screen.rows().is_empty() && shown(&screen).contains("process"));
    }

    #[test]
    fn small_parts() {
        assert_eq!(shorten("abcdef", 4), "…def");
        assert_eq!(bars(&[0, 1, 8]), "      ▁█");
    }
}
