//! One ELF file with its symbols and debug information.

use std::borrow::Cow;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use addr2line::{Context, demangle_auto};
use flate2::read::ZlibDecoder;
use gimli::{EndianRcSlice, RunTimeEndian};
use object::{CompressionFormat, File, Object, ObjectSection, ObjectSegment, ObjectSymbol, SymbolKind};

/// Largest file that is read for its names.
const LARGEST_BYTES: u64 = 1 << 30;
/// Where distributions put what they strip off.
const DEBUG_FOLDER: &str = "/usr/lib/debug";

type Reader = EndianRcSlice<RunTimeEndian>;

/// One function that was being executed; inlined ones are frames of their own.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Frame {
    /// Its name, demangled.
    pub function: String,
    /// File and line; `None` without debug information.
    pub line: Option<String>,
}

/// A file and what it says of its code.
pub struct Module {
    segments: Vec<Segment>,
    /// Ascending by address.
    symbols: Vec<Symbol>,
    lines: Option<Context<Reader>>,
}

/// A part of the file that is mapped.
struct Segment {
    offset: u64,
    bytes: u64,
    address: u64,
}

struct Symbol {
    address: u64,
    bytes: u64,
    name: String,
}

/// Why a file has no names: it cannot be read, or is no ELF file. Which of the two is nobody's concern.
#[derive(Debug)]
pub struct Nameless;

impl Module {
    /// Reads `path` and what debug information there is for it.
    pub fn open(path: &Path) -> Result<Module, Nameless> {
        let bytes = read(path).ok_or(Nameless)?;
        let file = File::parse(&*bytes).map_err(|_| Nameless)?;
        let segments = file.segments().map(|segment| {
            let (offset, bytes) = segment.file_range();
            Segment { offset, bytes, address: segment.address() }
        });
        let mut module = Module { segments: segments.collect(), symbols: symbols(&file), lines: None };
        if file.section_by_name(".debug_info").is_some() {
            module.lines = lines(&file);
        } else if let Some(bytes) = separate(path, &file)
            && let Ok(debug) = File::parse(&*bytes)
        {
            module.symbols = symbols(&debug);
            module.lines = lines(&debug);
        }
        Ok(module)
    }

    /// The frames at a byte of the file, the outermost first.
    pub fn frames(&self, offset: u64) -> Vec<Frame> {
        let Some(address) = self.address(offset) else { return Vec::new() };
        let mut frames = self.described(address);
        frames.reverse();
        if frames.is_empty() {
            frames.extend(self.named(address).map(|name| Frame { function: name, line: None }));
        }
        frames
    }

    fn address(&self, offset: u64) -> Option<u64> {
        let inside = |segment: &&Segment| offset.wrapping_sub(segment.offset) < segment.bytes;
        self.segments.iter().find(inside).map(|segment| segment.address + (offset - segment.offset))
    }

    /// From the debug information, the innermost first.
    fn described(&self, address: u64) -> Vec<Frame> {
        let Some(lines) = &self.lines else { return Vec::new() };
        let Ok(mut found) = lines.find_frames(address).skip_all_loads() else { return Vec::new() };
        let mut frames = Vec::new();
        while let Ok(Some(frame)) = found.next() {
            let name = frame.function.as_ref().and_then(|name| name.demangle().ok().map(Cow::into_owned));
            let line = frame.location.and_then(|at| Some(format!("{}:{}", at.file?, at.line?)));
            if let Some(function) = name.or_else(|| self.named(address)) {
                frames.push(Frame { function, line });
            }
        }
        frames
    }

    /// From the symbol tables.
    fn named(&self, address: u64) -> Option<String> {
        let at = self.symbols.partition_point(|symbol| symbol.address <= address).checked_sub(1)?;
        let symbol = &self.symbols[at];
        // Hand-written assembly has no sizes: then up to the next symbol.
        let is_in = symbol.bytes == 0 || address - symbol.address < symbol.bytes;
        is_in.then(|| demangle_auto(Cow::Borrowed(&symbol.name), None).into_owned())
    }

    /// Some function whose name holds `part`, and where in the file it is.
    #[cfg(test)]
    pub fn some_function(&self, part: &str) -> Option<(u64, String)> {
        let symbol = self.symbols.iter().find(|symbol| symbol.bytes > 0 && symbol.name.contains(part))?;
        let holds = |segment: &&Segment| symbol.address.wrapping_sub(segment.address) < segment.bytes;
        let segment = self.segments.iter().find(holds)?;
        Some((symbol.address - segment.address + segment.offset, symbol.name.clone()))
    }
}

fn read(path: &Path) -> Option<Vec<u8>> {
    let data = fs::metadata(path).ok()?;
    // A pipe or a device would be read for ever.
    if data.is_file() && data.len() <= LARGEST_BYTES { fs::read(path).ok() } else { None }
}

fn symbols(file: &File<'_>) -> Vec<Symbol> {
    let all = file.symbols().chain(file.dynamic_symbols());
    let functions = all.filter(|symbol| symbol.kind() == SymbolKind::Text && symbol.is_definition());
    let mut found: Vec<Symbol> = functions
        .filter_map(|symbol| {
            let name = symbol.name().ok().filter(|name| !name.is_empty())?.to_owned();
            Some(Symbol { address: symbol.address(), bytes: symbol.size(), name })
        })
        .collect();
    // Of several names for one place the one with a size, then the first in the alphabet.
    found.sort_by(|a, b| (a.address, b.bytes, &a.name).cmp(&(b.address, a.bytes, &b.name)));
    found.dedup_by_key(|symbol| symbol.address);
    found
}

fn lines(file: &File<'_>) -> Option<Context<Reader>> {
    let endian = if file.is_little_endian() { RunTimeEndian::Little } else { RunTimeEndian::Big };
    let section = |id: gimli::SectionId| -> Result<Reader, gimli::Error> {
        let data = file.section_by_name(id.name()).and_then(|section| contents(&section));
        Ok(EndianRcSlice::new(Rc::from(data.unwrap_or_default()), endian))
    };
    Context::from_dwarf(gimli::Dwarf::load(section).ok()?).ok()
}

/// A section's bytes, inflated if they are compressed.
fn contents<'data>(section: &impl ObjectSection<'data>) -> Option<Cow<'data, [u8]>> {
    let data = section.compressed_data().ok()?;
    match data.format {
        CompressionFormat::None => Some(Cow::Borrowed(data.data)),
        CompressionFormat::Zlib => {
            let limit = data.uncompressed_size.min(LARGEST_BYTES);
            let mut bytes = Vec::new();
            ZlibDecoder::new(data.data).take(limit).read_to_end(&mut bytes).ok()?;
            Some(Cow::Owned(bytes))
        }
        _ => None,
    }
}

/// The file of the debug information that was stripped off.
fn separate(path: &Path, file: &File<'_>) -> Option<Vec<u8>> {
    let by_id = file.build_id().ok().flatten().filter(|id| id.len() > 2).map(|id| {
        let hex: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
        PathBuf::from(format!("{DEBUG_FOLDER}/.build-id/{}/{}.debug", &hex[..2], &hex[2..]))
    });
    let folder = path.parent().unwrap_or(Path::new("/"));
    let by_link = file.gnu_debuglink().ok().flatten().map(|(name, _)| {
        let name = String::from_utf8_lossy(name).into_owned();
        let beside = folder.join(&name);
        let below = folder.join(".debug").join(&name);
        let apart = Path::new(DEBUG_FOLDER).join(folder.strip_prefix("/").unwrap_or(folder)).join(&name);
        [beside, below, apart]
    });
    let places = by_id.into_iter().chain(by_link.into_iter().flatten());
    places.filter(|place| place != path).find_map(|place| read(&place))
}
