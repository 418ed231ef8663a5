//! Names for stacks: from the addresses on them to the calls that Go's own dump would show.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use crate::{
    inspect::{
        Binary, Call, CodePlace,
        address::{LoadBias, ProcessAddress},
    },
    model::dump::{Frame, Place, Stack},
    read::{Code, Spot, Step, Traceback, release::Minor},
};

/// Addresses that are remembered; a program has few in use, but who knows which program it is.
const MAX_KNOWN: usize = 1 << 18;
/// Frames of different stacks that one dump holds; each takes about 80 bytes.
const MAX_FRAMES: usize = 4 << 20;

/// What walks over stacks ask of the code, each address once.
pub(super) struct Spots {
    binary: Arc<Binary>,
    bias: LoadBias,
    known: HashMap<ProcessAddress, Option<Spot>>,
}

impl Spots {
    pub(super) fn new(binary: Arc<Binary>, bias: LoadBias) -> Self {
        Self { binary, bias, known: HashMap::new() }
    }
}

impl Code for Spots {
    fn at(&mut self, pc: ProcessAddress) -> Option<Spot> {
        if let Some(known) = self.known.get(&pc) {
            return *known;
        }
        let activation = pc.in_file(self.bias).and_then(|at| self.binary.symbols.activation(at));
        let spot = activation.and_then(|activation| Spot::of(&activation, self.bias));
        if self.known.len() < MAX_KNOWN {
            self.known.insert(pc, spot);
        }
        spot
    }
}

/// A call by name, and what decides whether it is shown.
struct Named {
    frame: Frame,
    /// The function's name as the table has it.
    name: Arc<str>,
    is_wrapper: bool,
}

/// Names for the addresses of one process.
pub(super) struct CallNames {
    binary: Arc<Binary>,
    bias: LoadBias,
    minor: Minor,
    texts: HashSet<Arc<str>>,
    calls: HashMap<Step, Arc<[Named]>>,
    creators: HashMap<(ProcessAddress, bool), Option<Place>>,
    starts: HashMap<ProcessAddress, Option<Place>>,
    stacks: HashMap<Box<[Step]>, Stack>,
    /// Frames of the stacks that were handed out and are kept.
    frames: usize,
}

impl CallNames {
    pub(super) fn new(binary: Arc<Binary>, bias: LoadBias, minor: Minor) -> Self {
        Self {
            binary,
            bias,
            minor,
            texts: HashSet::new(),
            calls: HashMap::new(),
            creators: HashMap::new(),
            starts: HashMap::new(),
            stacks: HashMap::new(),
            frames: 0,
        }
    }

    /// Forgets the stacks: they belong to one dump.
    pub(super) fn forget_stacks(&mut self) {
        self.stacks = HashMap::new();
        self.frames = 0;
    }

    /// The calls of a stack as Go's dump shows them; goroutines with the same stack share it. `None`
    /// where the dump has grown too large for another one.
    pub(super) fn stack(&mut self, steps: &[Step]) -> Option<Stack> {
        if let Some(known) = self.stacks.get(steps) {
            return Some(Arc::clone(known));
        }
        if self.frames.saturating_add(steps.len()) > MAX_FRAMES {
            return None;
        }
        let calls: Vec<Arc<[Named]>> = steps.iter().map(|step| self.calls(*step)).collect();
        let mut rules = Traceback::new(self.minor);
        let mut frames: Vec<Frame> = calls
            .iter()
            .flat_map(|calls| calls.iter())
            .filter(|call| rules.shows(&call.name, call.is_wrapper))
            .map(|call| call.frame.clone())
            .collect();
        // Where that leaves nothing, Go shows all.
        if frames.is_empty() {
            frames = calls.iter().flat_map(|calls| calls.iter()).map(|c| c.frame.clone()).collect();
        }
        self.frames = self.frames.saturating_add(frames.len().max(steps.len()));
        let stack: Stack = frames.into();
        self.stacks.insert(steps.into(), Arc::clone(&stack));
        Some(stack)
    }

    /// The `go` statement that a goroutine was created by; `hides` leaves out those that Go's dump
    /// leaves out, of functions within the runtime.
    pub(super) fn created_by(&mut self, at: ProcessAddress, hides: bool) -> Option<Place> {
        if let Some(known) = self.creators.get(&(at, hides)) {
            return known.clone();
        }
        let file = at.in_file(self.bias);
        let place = file.and_then(|at| self.binary.symbols.created_by(at));
        let shown = |place: &CodePlace| Traceback::shows_creator(self.minor, &place.function);
        let place = place.filter(|place| !hides || shown(place)).map(|place| self.place(&place));
        if self.creators.len() < MAX_KNOWN {
            self.creators.insert((at, hides), place.clone());
        }
        place
    }

    /// The function that begins at an address.
    pub(super) fn start(&mut self, at: ProcessAddress) -> Option<Place> {
        if let Some(known) = self.starts.get(&at) {
            return known.clone();
        }
        let place = at.in_file(self.bias).and_then(|at| self.binary.symbols.place(at));
        let place = place.map(|place| self.place(&place));
        if self.starts.len() < MAX_KNOWN {
            self.starts.insert(at, place.clone());
        }
        place
    }

    fn calls(&mut self, step: Step) -> Arc<[Named]> {
        if let Some(known) = self.calls.get(&step) {
            return Arc::clone(known);
        }
        let at = step.symbol_pc().in_file(self.bias);
        let calls = at.map(|at| self.binary.symbols.calls(at)).unwrap_or_default();
        let named: Arc<[Named]> = calls.iter().map(|call| self.named(step, call)).collect();
        if self.calls.len() < MAX_KNOWN {
            self.calls.insert(step, Arc::clone(&named));
        }
        named
    }

    fn named(&mut self, step: Step, call: &Call) -> Named {
        let shown = Traceback::shown_name(call);
        Named {
            frame: Frame {
                place: Place {
                    function: self.text(shown),
                    file: self.text(&call.place.file),
                    line: call.place.line,
                },
                pc: step.pc.0,
                entry: step.entry.0,
                inlined: call.place.inlined,
            },
            name: self.text(&call.name),
            is_wrapper: call.is_wrapper,
        }
    }

    fn place(&mut self, place: &CodePlace) -> Place {
        Place {
            function: self.text(&place.function),
            file: self.text(&place.file),
            line: place.line,
        }
    }

    /// One text for all that are the same.
    fn text(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.texts.get(text) {
            return Arc::clone(known);
        }
        let text: Arc<str> = text.into();
        if self.texts.len() < MAX_KNOWN {
            self.texts.insert(Arc::clone(&text));
        }
        text
    }
}
