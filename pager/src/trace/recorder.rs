//! `--record`: a thread of the supervisor's that takes events out of the ring and writes them to the trace
//! file.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crossbeam::channel::{self, Receiver, RecvTimeoutError, Sender};
use pager_core::shared::Control;
use pager_core::trace::format::{ChunkKind, Encoder, chunk_header, file_header};
use pager_core::trace::ring::{Next, Raw};
use pager_core::trace::{Event, What};

use super::{Description, End};
use crate::control::ControlFile;
use crate::layout::TRACE_CELLS;
use crate::report::{Report, Subject};
use crate::say;
use crate::size::{ByteSize, PAGE_BYTES};
use crate::sys::map::RingMap;

/// Time between two looks at an empty ring.
const INTERVAL: Duration = Duration::from_millis(5);
/// A payload of this size is written.
const CHUNK_BYTES: usize = 64 << 10;
/// A smaller payload is written when it is this old, so that a recording that is cut off lacks little.
const CHUNK_AGE: Duration = Duration::from_millis(250);
/// How long a cell that was reserved is waited for while later ones come: its writer was killed.
const PATIENCE: Duration = Duration::from_secs(1);

/// A recording under way.
pub struct Recorder {
    /// Dropped to stop the thread.
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<Writer>>,
    control: Arc<ControlFile>,
}

impl Recorder {
    /// Begins to write what comes through the ring of `control` to `file`, up to `limit`.
    ///
    /// # Errors
    ///
    /// If the head of the file cannot be written, or the ring not be mapped.
    pub fn start(control: Arc<ControlFile>, subject: &Subject, file: Target) -> io::Result<Recorder> {
        let ring = control.ring()?;
        let mut writer = Writer::new(file, control.clone());
        writer.begin(&describe(&control, subject))?;
        let (stop, stopped) = channel::bounded(0);
        let thread =
            thread::Builder::new().name("recorder".into()).spawn(move || writer.run(&ring, &stopped))?;
        Ok(Recorder { stop: Some(stop), thread: Some(thread), control })
    }

    /// Writes what is left in the ring, and the end with `report`.
    pub fn finish(mut self, report: &Report) {
        drop(self.stop.take());
        let Some(Ok(mut writer)) = self.thread.take().map(JoinHandle::join) else {
            return say::line("the recording failed; the trace is cut short");
        };
        writer.end(&self.control, report);
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn describe(control: &Control, subject: &Subject) -> Description {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Description {
        program: subject.program.to_string_lossy().into_owned(),
        arguments: subject.arguments.iter().map(|word| word.to_string_lossy().into_owned()).collect(),
        cap_pages: Some(control.settings.cap_pages.load(Relaxed)).filter(|&pages| pages != u64::MAX),
        fault_around_pages: control.settings.fault_around_pages.load(Relaxed),
        page_bytes: PAGE_BYTES,
        started_unix_ns: u64::try_from(since.as_nanos()).unwrap_or(u64::MAX),
    }
}

/// The file of a recording, opened, and how large it may become.
pub struct Target {
    file: File,
    path: PathBuf,
    limit: ByteSize,
}

impl Target {
    /// Creates the file.
    ///
    /// # Errors
    ///
    /// What the kernel said.
    pub fn create(path: &Path, limit: ByteSize) -> io::Result<Target> {
        Ok(Target { file: File::create(path)?, path: path.to_owned(), limit })
    }
}

struct Writer {
    target: Target,
    control: Arc<ControlFile>,
    encoder: Encoder,
    chunk_begun: Instant,
    written_bytes: u64,
    /// The counter at the first event.
    first_ticks: Option<u64>,
    events: u64,
    /// Events in the chunk that is not written yet.
    unwritten: u64,
    /// Events that could not be written.
    lost: u64,
    /// Events that the ring had no room for.
    dropped_by_ring: u64,
    /// Whether a failed write was told; nothing is written any more.
    failed: bool,
}

impl Writer {
    fn new(target: Target, control: Arc<ControlFile>) -> Writer {
        Writer {
            target,
            control,
            encoder: Encoder::default(),
            chunk_begun: Instant::now(),
            written_bytes: 0,
            first_ticks: None,
            events: 0,
            unwritten: 0,
            lost: 0,
            dropped_by_ring: 0,
            failed: false,
        }
    }

    fn begin(&mut self, description: &Description) -> io::Result<()> {
        self.target.file.write_all(&file_header())?;
        self.write_chunk(ChunkKind::Description, &serde_json::to_vec(description)?)
    }

    fn write_chunk(&mut self, kind: ChunkKind, payload: &[u8]) -> io::Result<()> {
        let mut chunk = chunk_header(kind, payload).to_vec();
        chunk.extend_from_slice(payload);
        self.target.file.write_all(&chunk)?;
        self.written_bytes += chunk.len() as u64;
        Ok(())
    }

    fn run(mut self, ring: &RingMap, stopped: &Receiver<()>) -> Writer {
        let mut unfinished_since = None;
        loop {
            let found = self.drain(ring);
            if found == Next::Unfinished && ring.get().waiting() > 1 {
                let since: &mut Instant = unfinished_since.get_or_insert_with(Instant::now);
                if since.elapsed() > PATIENCE {
                    ring.get().skip();
                    unfinished_since = None;
                }
            } else {
                unfinished_since = None;
            }
            if self.chunk_begun.elapsed() > CHUNK_AGE {
                self.flush();
            }
            if stopped.recv_timeout(INTERVAL) != Err(RecvTimeoutError::Timeout) {
                self.drain_to_the_end(ring);
                self.flush();
                self.dropped_by_ring = ring.get().dropped();
                return self;
            }
        }
    }

    /// Takes all events that are finished; what came after them.
    fn drain(&mut self, ring: &RingMap) -> Next {
        loop {
            match ring.get().take() {
                Next::Event(raw) => self.push(&raw),
                Next::Nonsense => self.lost += 1,
                other => return other,
            }
        }
    }

    /// The processes have ended or are left alone: what is not finished now never will be.
    fn drain_to_the_end(&mut self, ring: &RingMap) {
        for _ in 0..TRACE_CELLS {
            match self.drain(ring) {
                Next::Unfinished => ring.get().skip(),
                _ => return,
            }
        }
    }

    fn push(&mut self, raw: &Raw) {
        if self.failed || self.written_bytes >= self.target.limit.0 {
            self.lost += 1;
            return;
        }
        if self.unwritten == 0 {
            self.chunk_begun = Instant::now();
        }
        let first = *self.first_ticks.get_or_insert(raw.ticks);
        let multiplier = self.control.settings.tick_multiplier.load(Relaxed);
        let ns = |ticks: u64| ((u128::from(ticks) * u128::from(multiplier)) >> 32) as u64;
        let mut what = raw.what;
        if let What::Fault { cost_ns, .. } = &mut what {
            *cost_ns = ns(*cost_ns);
        }
        self.encoder.push(&Event {
            time_ns: ns(raw.ticks.saturating_sub(first)),
            pid: raw.pid,
            tid: raw.tid,
            what,
        });
        self.unwritten += 1;
        if self.encoder.payload().len() >= CHUNK_BYTES {
            self.flush();
        }
    }

    fn flush(&mut self) {
        if self.unwritten == 0 {
            return;
        }
        let encoder = std::mem::take(&mut self.encoder);
        let count = std::mem::take(&mut self.unwritten);
        match self.write_chunk(ChunkKind::Events, encoder.payload()) {
            Ok(()) => self.events += count,
            Err(error) => {
                self.lost += count;
                self.fail(&error);
            }
        }
        self.encoder = encoder;
        self.encoder.clear();
    }

    fn fail(&mut self, error: &io::Error) {
        if !self.failed {
            self.failed = true;
            say::line(format_args!(
                "--record {}: cannot be written any more ({error})",
                self.target.path.display()
            ));
        }
    }

    fn end(&mut self, control: &Control, report: &Report) {
        let dropped = self.lost + self.dropped_by_ring;
        let end = End {
            events: self.events,
            dropped,
            report: serde_json::to_value(report).unwrap_or_default(),
            images: control.images.iter().map(path_of).collect(),
        };
        if let Ok(text) = serde_json::to_vec(&end)
            && !self.failed
            && let Err(error) = self.write_chunk(ChunkKind::End, &text)
        {
            self.fail(&error);
        }
        if dropped > 0 && !self.failed {
            say::line(format_args!(
                "--record {}: {dropped} events are missing (the file may have {} at most: --record-limit)",
                self.target.path.display(),
                self.target.limit
            ));
        }
    }
}

fn path_of(image: &pager_core::shared::Image) -> String {
    String::from_utf8_lossy(&image.path.iter().collect::<Vec<u8>>()).into_owned()
}
