//! The rows against the kernel's own prototypes.

use super::*;

/// One argument of a prototype.
struct Argument {
    /// Its type, as `const struct iovec *`.
    kind: &'static str,
    name: &'static str,
}

impl Argument {
    fn parse(text: &'static str) -> Argument {
        let name = text.rfind([' ', '*']).map_or(0, |at| at + 1);
        Argument { kind: text[..name].trim_end(), name: &text[name..] }
    }

    fn is_pointer(&self) -> bool {
        self.kind.contains('*') || self.pointee().starts_with("cap_user_")
    }

    /// By its name; the descriptor that `pidfd_getfd` takes is another process's.
    fn is_descriptor(&self, call: &str) -> bool {
        let named = self.name.contains("fd") || self.name == "fildes";
        named
            && !self.is_pointer()
            && !self.name.contains("nfds")
            && (call, self.name) != ("pidfd_getfd", "fd")
    }

    /// The kernel promises not to write there.
    fn is_const(&self) -> bool {
        self.kind.starts_with("const ")
    }

    /// What is pointed at, without qualifiers: `struct iovec`.
    fn pointee(&self) -> &'static str {
        let kind = self.kind.trim_start_matches("const ");
        kind.strip_suffix('*').unwrap_or(kind).trim_end()
    }
}

/// The calls whose prototype this kernel tells.
fn prototypes() -> impl Iterator<Item = (&'static Row, Vec<Argument>)> {
    include_str!("../fixtures/prototypes.txt").lines().filter(|line| !line.starts_with('#')).map(|line| {
        let (number, rest) = line.split_once(' ').expect("number and prototype");
        let (name, arguments) =
            rest.strip_suffix(')').and_then(|rest| rest.split_once('(')).expect("a prototype");
        let row = row(number.parse().expect("a number")).expect("a row");
        assert_eq!(row.name, name);
        (row, arguments.split(", ").filter(|text| !text.is_empty()).map(Argument::parse).collect())
    })
}

/// Pointers by type of which the kernel touches nothing: call, argument, why.
const UNTOUCHED: &[(&str, u8, &str)] = &[
    ("getcpu", 2, "the cache is unused since Linux 2.6.24"),
    ("futex", 3, "told by the row's one pointer with the shape Futex"),
    ("futex", 4, "told by the row's one pointer with the shape Futex"),
];

/// Integers by type that are pointers after all: call, argument, why.
const HIDDEN: &[(&str, u8, &str)] = &[
    ("ioctl", 2, "by request"),
    ("fcntl", 2, "by command"),
    ("prctl", 1, "by option"),
    ("arch_prctl", 1, "by code"),
    ("ptrace", 3, "by request"),
    ("semctl", 3, "a union that is passed by value"),
    ("sysfs", 1, "by option"),
    ("sysfs", 2, "by option"),
    ("keyctl", 0, "the row's pointer stands for all arguments, by operation"),
    ("get_mempolicy", 3, "by flags: the word whose node is asked for"),
];

/// Arrays: call, argument, number of elements.
const ARRAYS: &[(&str, u8, u32)] = &[
    ("pipe", 0, 2),
    ("pipe2", 0, 2),
    ("socketpair", 3, 2),
    ("utimes", 1, 2),
    ("futimesat", 2, 2),
    ("utimensat", 2, 2),
];

/// Pointers whose type does not tell what they point at: call, argument, bytes, why.
const UNTYPED: &[(&str, u8, u32, &str)] = &[
    ("sysfs", 2, 4096, "a name of a file system, at most a page"),
    ("name_to_handle_at", 3, 8, "a 64-bit mount number with AT_HANDLE_MNT_ID_UNIQUE"),
    ("landlock_add_rule", 2, 16, "the larger of the two rules, landlock_net_port_attr"),
    ("seccomp", 2, 16, "a sock_fprog, the longest of what its operations take"),
    ("futex_wake", 0, 4, "a word, FUTEX2_SIZE_U32 being all there is"),
    ("futex_wait", 0, 4, "a word, FUTEX2_SIZE_U32 being all there is"),
];

#[test]
fn rows_take_as_many_arguments_as_the_kernel() {
    let mut seen = 0;
    for (row, arguments) in prototypes() {
        assert_eq!(usize::from(row.arguments), arguments.len(), "{}", row.name);
        seen += 1;
    }
    assert!(seen >= 360, "{seen} prototypes");
}

#[test]
fn pointers_of_rows_are_those_of_the_kernel() {
    let mut wrong = Vec::new();
    for (row, arguments) in prototypes() {
        if matches!(row.route, Route::Managed(_) | Route::Virtual(_) | Route::Refused(_))
            && row.pointers.is_empty()
        {
            continue;
        }
        for (at, argument) in (0_u8..).zip(&arguments) {
            let listed =
                |list: &[(&str, u8, &str)]| list.iter().any(|&(name, nth, _)| (name, nth) == (row.name, at));
            let expected = (argument.is_pointer() && !listed(UNTOUCHED)) || listed(HIDDEN);
            let found = row.pointers.iter().any(|pointer| pointer.argument == at);
            if expected != found {
                wrong.push(std::format!(
                    "{} argument {at} ({}): the row says {found}",
                    row.name,
                    argument.kind
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_the_kernel_calls_const_is_only_read() {
    let mut wrong = Vec::new();
    let mut seen = 0;
    for (row, arguments) in prototypes() {
        for pointer in row.pointers {
            let Shape::Buffer(direction, _) = pointer.shape else { continue };
            let argument = &arguments[usize::from(pointer.argument)];
            seen += 1;
            if argument.is_const() && direction.writes() {
                wrong.push(std::format!(
                    "{} argument {} ({}) is written",
                    row.name,
                    pointer.argument,
                    argument.kind
                ));
            }
        }
    }
    assert!(seen > 150, "{seen} buffers");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Bytes of what an argument of a call points at, as the C compiler and the lists above say.
fn pointed_bytes(row: &Row, at: u8, argument: &Argument, sizes: &BTreeMap<&str, u32>) -> Option<u32> {
    if let Some(&(_, _, bytes, _)) = UNTYPED.iter().find(|&&(name, nth, ..)| (name, nth) == (row.name, at)) {
        return Some(bytes);
    }
    let elements =
        ARRAYS.iter().find(|&&(name, nth, _)| (name, nth) == (row.name, at)).map_or(1, |array| array.2);
    let kind = argument.pointee();
    let bytes = if kind.ends_with('*') { Some(8) } else { sizes.get(kind).copied() };
    bytes.map(|bytes| bytes * elements)
}

#[test]
fn fixed_lengths_are_the_sizes_of_the_kernels_structures() {
    let sizes: BTreeMap<&str, u32> = include_str!("../fixtures/sizes.txt")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.rsplit_once(' ').expect("type and size"))
        .map(|(kind, size)| (kind, size.parse().expect("a size")))
        .collect();
    let mut wrong = Vec::new();
    let mut seen = 0;
    for (row, arguments) in prototypes() {
        for pointer in row.pointers {
            let Shape::Buffer(_, Length::Fixed(length)) = pointer.shape else { continue };
            let argument = &arguments[usize::from(pointer.argument)];
            let bytes = pointed_bytes(row, pointer.argument, argument, &sizes);
            seen += 1;
            if bytes != Some(length) {
                let (name, at, kind) = (row.name, pointer.argument, argument.kind);
                wrong.push(std::format!("{name} argument {at} ({kind}): {length}, the kernel's {bytes:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(seen > 100, "{seen} structures");
}

#[test]
fn descriptors_are_the_prototypes() {
    let mut seen = 0;
    for (row, arguments) in prototypes() {
        if matches!(row.name, "close" | "close_range" | "dup2" | "dup3") {
            continue;
        }
        let told = arguments.iter().enumerate().filter(|(_, argument)| argument.is_descriptor(row.name));
        let told: Vec<usize> = told.map(|(index, _)| index).collect();
        assert_eq!(descriptors(row.number.into()), told, "{}", row.name);
        seen += told.len();
    }
    assert!(seen > 120, "{seen}");
}
