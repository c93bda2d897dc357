//! Devices by name, and where their figures come from. They are typical, not of one model measured here.

/// A named device.
#[derive(Debug, Clone, Copy)]
pub struct Profile {
    /// Its name in a rule.
    pub name: &'static str,
    /// What it stands for, in the rule language.
    pub settings: &'static str,
    /// Where the figures come from.
    pub source: &'static str,
}

/// All profiles.
pub const PROFILES: [Profile; 8] = [
    Profile {
        name: "floppy",
        settings: "bw=31250, latency=seek(115ms,340ms), queue-depth=1",
        source: "3.5\" HD drive: 500 kbit/s at the interface, 300 rpm (200 ms a turn), 3 ms a track of 80, 15 ms settling",
    },
    Profile {
        name: "hdd-5400",
        settings: "bw=100MB, latency=seek(7ms,26ms), queue-depth=1",
        source: "class figures of 5400 rpm desktop disks: half a turn 5.6 ms, track to track 1.5 ms, full stroke 20 ms",
    },
    Profile {
        name: "hdd-7200",
        settings: "bw=160MB, latency=seek(5ms,20ms), queue-depth=1",
        source: "class figures of 7200 rpm desktop disks: half a turn 4.2 ms, track to track 0.8 ms, full stroke 16 ms",
    },
    Profile {
        name: "sata-ssd",
        settings: "bw=530MB, read-latency=lognormal(90us,0.2), write-latency=lognormal(40us,0.3), iops=90000, queue-depth=32",
        source: "SATA 3 carries 600 MB/s less framing, NCQ has 32 entries; latencies of TLC flash with a write cache",
    },
    Profile {
        name: "nvme",
        settings: "read-bw=3GB, write-bw=2GB, read-latency=lognormal(80us,0.15), write-latency=lognormal(20us,0.2), iops=500000, queue-depth=256",
        source: "class figures of PCIe 3.0 x4 TLC drives (the link carries 3.9 GB/s)",
    },
    Profile {
        name: "nfs-lan",
        settings: "bw=117MB, latency=lognormal(400us,0.4)",
        source: "1 Gbit/s Ethernet less Ethernet, IP and TCP headers is 117 MB/s; a round trip and a cached read at the server",
    },
    Profile {
        name: "s3",
        settings: "bw=90MB, latency=lognormal(60ms,0.5), queue-depth=64",
        source: "Amazon S3 user guide, performance guidelines: small objects 100-200 ms, 85-90 MB/s for each request",
    },
    Profile {
        name: "sd-card",
        settings: "read-bw=20MB, write-bw=10MB, read-iops=1500, write-iops=500, latency=lognormal(600us,0.4), queue-depth=1",
        source: "SD Physical Layer Specification: speed class 10 is 10 MB/s written, A1 is 1500 reads and 500 writes a second",
    },
];

/// The profile of this name.
pub fn find(name: &str) -> Option<&'static Profile> {
    PROFILES.iter().find(|profile| profile.name == name)
}
