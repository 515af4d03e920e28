//! What the system says of a process: CPU time, memory; and what a flush costs on a disk.

use super::report::median;
use std::{
    fs,
    io::Write as _,
    path::Path,
    time::{Duration, Instant},
};

/// A process, by number.
#[derive(Clone, Copy, Debug)]
pub struct Process(pub u32);

impl Process {
    /// CPU time in user and system mode so far.
    pub fn cpu(self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0)).unwrap();
        // The name in parentheses may hold spaces; times are the 14th and 15th fields.
        let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
        // A clock tick is 10 ms on every Linux that this runs on.
        Duration::from_millis(ticks * 10)
    }

    /// Resident memory, in MiB.
    pub fn memory_mib(self) -> f64 {
        self.status("VmRSS:")
    }

    /// The most memory that was ever resident, in MiB.
    pub fn peak_memory_mib(self) -> f64 {
        self.status("VmHWM:")
    }

    /// Lets the peak begin anew.
    pub fn reset_peak(self) {
        fs::write(format!("/proc/{}/clear_refs", self.0), "5").unwrap();
    }

    fn status(self, name: &str) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0)).unwrap();
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
    }
}

/// Median time of an fdatasync after appending `size` bytes in `dir`, in milliseconds: what no durable write can beat.
pub fn flush_ms(dir: &Path, size: usize) -> f64 {
    const TIMES: usize = 200;
    let path = dir.join("flush-probe");
    let mut file = fs::File::create(&path).unwrap();
    let block = vec![7_u8; size];
    let mut times = Vec::with_capacity(TIMES);
    for _ in 0..TIMES {
        file.write_all(&block).unwrap();
        let started = Instant::now();
        file.sync_data().unwrap();
        times.push(started.elapsed().as_secs_f64() * 1e3);
    }
    fs::remove_file(path).unwrap();
    median(&times)
}

/// Bytes of every file below `dir`.
pub fn disk_bytes(dir: &Path) -> u64 {
    fs::read_dir(dir)
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let kind = entry.metadata().unwrap();
            if kind.is_dir() { disk_bytes(&entry.path()) } else { kind.len() }
        })
        .sum()
}
