//! The machine that a pickle is a program of.

use std::collections::HashMap;
use std::io::{self, Read, Take};

use crate::{Node, NodeId, PickleError};

/// Most values of one pickle, entries of the stack, and marks.
const MOST_NODES: usize = 1 << 22;
/// Longest name of a module or class.
const LONGEST_NAME: usize = 1024;

/// What is on the stack, and the values so far.
pub(crate) struct Machine<R> {
    bytes: Take<R>,
    limit: u64,
    nodes: Vec<Node>,
    stack: Vec<NodeId>,
    /// Heights of the stack at which lists of arguments begin.
    marks: Vec<usize>,
    memo: HashMap<u32, NodeId>,
}

/// Why an operation failed; the machine knows where.
enum Fault {
    Found(String),
    Io(io::Error),
}

impl From<&str> for Fault {
    fn from(found: &str) -> Self {
        Self::Found(found.to_owned())
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

type Step<T> = Result<T, Fault>;

impl<R: Read> Machine<R> {
    pub(crate) fn new(bytes: R, limit: u64) -> Self {
        Self {
            bytes: bytes.take(limit),
            limit,
            nodes: Vec::new(),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
        }
    }

    /// Runs the program: all values, and the one that it ends with.
    pub(crate) fn run(mut self) -> Result<(Vec<Node>, NodeId), PickleError> {
        match self.until_the_end() {
            Ok(root) => Ok((self.nodes, root)),
            Err(fault) => Err(self.error(fault)),
        }
    }

    fn until_the_end(&mut self) -> Step<NodeId> {
        while !self.step()? {}
        self.pop()
    }

    fn error(&self, fault: Fault) -> PickleError {
        let byte = self.limit - self.bytes.limit();
        match fault {
            Fault::Found(found) => PickleError::Malformed { byte, found },
            Fault::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                PickleError::Ended { byte }
            }
            Fault::Io(source) => PickleError::Io { byte, source },
        }
    }

    fn array<const N: usize>(&mut self) -> Step<[u8; N]> {
        let mut bytes = [0; N];
        self.bytes.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn byte(&mut self) -> Step<u8> {
        Ok(self.array::<1>()?[0])
    }

    /// The next `length` bytes; memory grows with what is there, not with what is announced.
    fn run_of(&mut self, length: u64) -> Step<Vec<u8>> {
        let mut run = Vec::new();
        self.bytes.by_ref().take(length).read_to_end(&mut run)?;
        match run.len() as u64 == length {
            true => Ok(run),
            false => Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
        }
    }

    fn text(&mut self, length: u64) -> Step<()> {
        let text = String::from_utf8(self.run_of(length)?);
        self.push(Node::Text(text.map_err(|_| "a text not in UTF-8")?))
    }

    fn bytes(&mut self, length: u64) -> Step<()> {
        let run = self.run_of(length)?;
        self.push(Node::Bytes(run))
    }

    fn line(&mut self) -> Step<String> {
        let mut line = Vec::new();
        loop {
            match self.byte()? {
                b'\n' => break,
                byte if line.len() < LONGEST_NAME => line.push(byte),
                _ => return Err("a name of more than 1,024 bytes".into()),
            }
        }
        Ok(String::from_utf8(line).map_err(|_| "a name not in UTF-8")?)
    }

    fn push(&mut self, node: Node) -> Step<()> {
        let id = NodeId(self.nodes.len());
        Self::check_size(id.0)?;
        self.push_reference(id)?;
        self.nodes.push(node);
        Ok(())
    }

    /// References cost memory, too.
    fn push_reference(&mut self, id: NodeId) -> Step<()> {
        Self::check_size(self.stack.len())?;
        self.stack.push(id);
        Ok(())
    }

    fn check_size(size: usize) -> Step<()> {
        match size < MOST_NODES {
            true => Ok(()),
            false => Err(Fault::Found(format!("more than {MOST_NODES} values"))),
        }
    }

    fn pop(&mut self) -> Step<NodeId> {
        let floor = self.marks.last().copied().unwrap_or(0);
        let id = match self.stack.len() > floor {
            true => self.stack.pop(),
            false => None,
        };
        Ok(id.ok_or("a missing value")?)
    }

    fn top(&self) -> Step<NodeId> {
        Ok(self.stack.last().copied().ok_or("a missing value")?)
    }

    /// The values since the last mark.
    fn marked(&mut self) -> Step<Vec<NodeId>> {
        let mark = self.marks.pop().ok_or("a missing mark")?;
        Ok(self.stack.split_off(mark))
    }

    fn tuple(&mut self, length: usize) -> Step<()> {
        let items = (0..length).map(|_| self.pop());
        let mut items = items.collect::<Step<Vec<_>>>()?;
        items.reverse();
        self.push(Node::Tuple(items))
    }

    fn remember(&mut self, key: u32) -> Step<()> {
        let top = self.top()?;
        self.memo.insert(key, top);
        Ok(())
    }

    fn recall(&mut self, key: u32) -> Step<()> {
        let id = self.memo.get(&key).copied();
        self.push_reference(id.ok_or("a reference to a missing value")?)
    }

    fn append(&mut self, items: Vec<NodeId>) -> Step<()> {
        let top = self.top()?;
        match &mut self.nodes[top.0] {
            Node::List(list) => list.extend(items),
            // A set, or an object that is called like a list.
            Node::Other | Node::Call { .. } => {}
            _ => return Err("items for something that is no list".into()),
        }
        Ok(())
    }

    fn set(&mut self, items: &[NodeId]) -> Step<()> {
        let top = self.top()?;
        let pairs = items.chunks_exact(2).map(|pair| (pair[0], pair[1]));
        match &mut self.nodes[top.0] {
            _ if !items.len().is_multiple_of(2) => return Err("a key without a value".into()),
            Node::Dict(dict) => dict.extend(pairs),
            Node::Call { .. } => {}
            _ => return Err("keys for something that is no dictionary".into()),
        }
        Ok(())
    }

    fn call(&mut self) -> Step<()> {
        let (args, callable) = (self.pop()?, self.pop()?);
        let is_dictionary = matches!(
            &self.nodes[callable.0],
            Node::Class { module, name } if module == "collections" && matches!(name.as_str(), "OrderedDict" | "defaultdict")
        );
        let state = None;
        self.push(match is_dictionary {
            true => Node::Dict(Vec::new()),
            false => Node::Call {
                callable,
                args,
                state,
            },
        })
    }

    /// Gives an object its state; that of a dictionary is not its contents.
    fn build(&mut self) -> Step<()> {
        let own = self.pop()?;
        let top = self.top()?;
        if let Node::Call { state, .. } = &mut self.nodes[top.0] {
            *state = Some(own);
        }
        Ok(())
    }

    fn named_class(&mut self) -> Step<()> {
        let (name, module) = (self.pop()?, self.pop()?);
        let text = |id: NodeId| match &self.nodes[id.0] {
            Node::Text(text) if text.len() <= LONGEST_NAME => Ok(text.clone()),
            _ => Err("a class without a name"),
        };
        let (module, name) = (text(module)?, text(name)?);
        self.push(Node::Class { module, name })
    }

    /// One operation; whether it is the last.
    fn step(&mut self) -> Step<bool> {
        match self.byte()? {
            b'.' => return Ok(true),
            // The protocol's number, and the length of a frame, which is read by operations anyway.
            0x80 => {
                self.byte()?;
            }
            0x95 => {
                self.array::<8>()?;
            }
            b'(' => {
                Self::check_size(self.marks.len())?;
                self.marks.push(self.stack.len());
            }
            b'0' => {
                self.pop()?;
            }
            b'1' => {
                self.marked()?;
            }
            b'2' => {
                let top = self.top()?;
                self.push_reference(top)?;
            }
            b'N' | 0x8f => self.push(Node::Other)?,
            operation @ 0x88..=0x89 => self.push(Node::Bool(operation == 0x88))?,
            b'K' => {
                let number = self.byte()?;
                self.push(Node::Int(number.into()))?;
            }
            b'M' => {
                let number = u16::from_le_bytes(self.array()?);
                self.push(Node::Int(number.into()))?;
            }
            b'J' => {
                let number = i32::from_le_bytes(self.array()?);
                self.push(Node::Int(number.into()))?;
            }
            0x8a => {
                let length = self.byte()?;
                let digits = self.run_of(length.into())?;
                self.push(long(&digits))?;
            }
            b'G' => {
                self.array::<8>()?;
                self.push(Node::Other)?;
            }
            b'X' => {
                let length = u32::from_le_bytes(self.array()?);
                self.text(length.into())?;
            }
            0x8c => {
                let length = self.byte()?;
                self.text(length.into())?;
            }
            0x8d => {
                let length = u64::from_le_bytes(self.array()?);
                self.text(length)?;
            }
            b'T' => {
                let length = i32::from_le_bytes(self.array()?);
                self.bytes(u64::try_from(length).map_err(|_| "a negative length")?)?;
            }
            b'B' => {
                let length = u32::from_le_bytes(self.array()?);
                self.bytes(length.into())?;
            }
            b'U' | b'C' => {
                let length = self.byte()?;
                self.bytes(length.into())?;
            }
            0x8e | 0x96 => {
                let length = u64::from_le_bytes(self.array()?);
                self.bytes(length)?;
            }
            b')' => self.push(Node::Tuple(Vec::new()))?,
            b't' => {
                let items = self.marked()?;
                self.push(Node::Tuple(items))?;
            }
            count @ 0x85..=0x87 => self.tuple(usize::from(count - 0x84))?,
            b']' => self.push(Node::List(Vec::new()))?,
            b'l' => {
                let items = self.marked()?;
                self.push(Node::List(items))?;
            }
            b'a' => {
                let item = self.pop()?;
                self.append(vec![item])?;
            }
            b'e' | 0x90 => {
                let items = self.marked()?;
                self.append(items)?;
            }
            b'}' => self.push(Node::Dict(Vec::new()))?,
            b'd' => {
                let items = self.marked()?;
                self.push(Node::Dict(Vec::new()))?;
                self.set(&items)?;
            }
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.set(&[key, value])?;
            }
            b'u' => {
                let items = self.marked()?;
                self.set(&items)?;
            }
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.push(Node::Class { module, name })?;
            }
            0x93 => self.named_class()?,
            b'R' | 0x81 => self.call()?,
            b'b' => self.build()?,
            b'Q' => {
                let id = self.pop()?;
                self.push(Node::Persistent(id))?;
            }
            b'q' => {
                let key = self.byte()?;
                self.remember(key.into())?;
            }
            b'r' => {
                let key = u32::from_le_bytes(self.array()?);
                self.remember(key)?;
            }
            0x94 => self.remember(self.memo.len() as u32)?,
            b'h' => {
                let key = self.byte()?;
                self.recall(key.into())?;
            }
            b'j' => {
                let key = u32::from_le_bytes(self.array()?);
                self.recall(key)?;
            }
            other => return Err(Fault::Found(format!("the operation {other:#04x}"))),
        }
        Ok(false)
    }
}

/// A whole number of any length, with its sign in the highest bit.
fn long(digits: &[u8]) -> Node {
    if digits.len() > 8 {
        return Node::Other;
    }
    let is_negative = digits.last().is_some_and(|last| last & 0x80 != 0);
    let mut bytes = [if is_negative { 0xff } else { 0 }; 8];
    bytes[..digits.len()].copy_from_slice(digits);
    Node::Int(i64::from_le_bytes(bytes))
}
