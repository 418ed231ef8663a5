//! Opens real Go programs for reading.

use std::{
    fs,
    fs::File,
    path::Path,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use goroscope::{
    discover::identity::Pid,
    inspect::{
        Binary, Mapping,
        address::{FileOffset, LoadBias, ProcessAddress},
        inspect,
    },
    read::{ReadError, RuntimeFacts, RuntimeReader, process_memory::ProcessMemory},
};

/// The runtime of a program, and what is needed to name things in it.
pub(crate) struct Opened {
    pub(crate) reader: RuntimeReader<ProcessMemory>,
    pub(crate) binary: Arc<Binary>,
    pub(crate) bias: LoadBias,
}

pub(crate) fn bias(binary: &Binary, pid: Pid, program: &Path) -> LoadBias {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let mappings = maps.lines().filter(|line| line.ends_with(program.to_str().unwrap()));
    let mappings = mappings.map(|line| {
        let mut fields = line.split_whitespace();
        let (start, end) = fields.next().unwrap().split_once('-').unwrap();
        let executable = fields.next().unwrap().contains('x');
        let number = |text| u64::from_str_radix(text, 16).unwrap();
        Mapping {
            start: ProcessAddress(number(start)),
            end: ProcessAddress(number(end)),
            offset: FileOffset(number(fields.next().unwrap())),
            executable,
        }
    });
    binary.load_bias(mappings).unwrap()
}

pub(crate) fn open(program: &Path, pid: Pid) -> Result<Opened, ReadError> {
    let binary = Arc::new(inspect(File::open(program).unwrap()).unwrap());
    let facts = Arc::new(RuntimeFacts::of(&binary)?);
    let bias = bias(&binary, pid, program);
    let names = Arc::clone(&binary);
    let names = Arc::new(move |at| names.function_at(at));
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        let memory = ProcessMemory::new(pid, "/proc").unwrap();
        let facts = Arc::clone(&facts);
        let names: Arc<goroscope::read::FunctionNames> = names.clone();
        match RuntimeReader::open(facts, memory, bias, names) {
            Ok(reader) => return Ok(Opened { reader, binary, bias }),
            Err(ReadError::NotStarted) if Instant::now() < deadline => {
                thread::sleep(Duration::from_millis(5));
            }
            Err(error) => return Err(error),
        }
    }
}
