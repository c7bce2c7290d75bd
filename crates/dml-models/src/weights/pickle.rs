//! The part of Python's pickle format that state dicts are written in.
//!
//! The values of a pickle are nodes of one list and refer to each other by number, so that values that refer to
//! themselves and deep nesting need no recursion. Calls are recorded and never made.

use std::collections::HashMap;
use std::io::{Error, ErrorKind, Read};

/// Most bytes of one pickle: names, shapes and whatever is beside the tensors.
pub(super) const MOST_BYTES: u64 = 256 << 20;
/// Most values of one pickle.
const MOST_NODES: usize = 1 << 22;

/// Number of a value.
pub(super) type Id = usize;

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    /// Nothing, a truth value, a real number, bytes, or a whole number of more than 64 bits: nothing that tensors need.
    Other,
    Int(i64),
    Text(String),
    Tuple(Vec<Id>),
    List(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    Class {
        module: String,
        name: String,
    },
    Call {
        callable: Id,
        args: Id,
    },
    /// A value that stands elsewhere in the file, described by another value.
    Persistent(Id),
}

/// A pickle that has been read.
#[derive(Debug)]
pub(super) struct Pickle {
    nodes: Vec<Node>,
    pub(super) root: Id,
}

impl Pickle {
    /// Reads one pickle, and no byte behind it.
    pub(super) fn read(bytes: impl Read) -> Result<Self, Error> {
        let mut reader = Reader {
            bytes: bytes.take(MOST_BYTES),
            nodes: Vec::new(),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
        };
        while !reader.step()? {}
        let root = reader.pop()?;
        Ok(Self {
            nodes: reader.nodes,
            root,
        })
    }

    pub(super) fn node(&self, id: Id) -> &Node {
        &self.nodes[id]
    }

    pub(super) fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    pub(super) fn text(&self, id: Id) -> Option<&str> {
        match self.node(id) {
            Node::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn count(&self, id: Id) -> Option<usize> {
        match self.node(id) {
            Node::Int(number) => usize::try_from(*number).ok(),
            _ => None,
        }
    }

    pub(super) fn tuple(&self, id: Id) -> Option<&[Id]> {
        match self.node(id) {
            Node::Tuple(items) => Some(items),
            _ => None,
        }
    }

    pub(super) fn class(&self, id: Id) -> Option<(&str, &str)> {
        match self.node(id) {
            Node::Class { module, name } => Some((module, name)),
            _ => None,
        }
    }
}

struct Reader<R> {
    bytes: std::io::Take<R>,
    nodes: Vec<Node>,
    stack: Vec<Id>,
    /// Heights of the stack at which lists of arguments begin.
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
}

fn wrong(problem: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidData, problem.into())
}

impl<R: Read> Reader<R> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let mut bytes = [0; N];
        self.bytes.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn byte(&mut self) -> Result<u8, Error> {
        Ok(self.array::<1>()?[0])
    }

    /// `length` bytes; memory grows with what is there, not with what is announced.
    fn run(&mut self, length: u64) -> Result<Vec<u8>, Error> {
        let mut run = Vec::new();
        (&mut self.bytes).take(length).read_to_end(&mut run)?;
        if run.len() as u64 == length {
            Ok(run)
        } else {
            Err(ErrorKind::UnexpectedEof.into())
        }
    }

    fn text(&mut self, length: u64) -> Result<(), Error> {
        let text =
            String::from_utf8(self.run(length)?).map_err(|_| wrong("a text not in UTF-8"))?;
        self.push(Node::Text(text))
    }

    fn other(&mut self, length: u64) -> Result<(), Error> {
        self.run(length)?;
        self.push(Node::Other)
    }

    fn line(&mut self) -> Result<String, Error> {
        let mut line = Vec::new();
        loop {
            match self.byte()? {
                b'\n' => break,
                byte if line.len() < 1024 => line.push(byte),
                _ => return Err(wrong("a name of more than 1,024 bytes")),
            }
        }
        String::from_utf8(line).map_err(|_| wrong("a name not in UTF-8"))
    }

    fn push(&mut self, node: Node) -> Result<(), Error> {
        if self.nodes.len() == MOST_NODES {
            return Err(wrong(format!("more than {MOST_NODES} values")));
        }
        self.stack.push(self.nodes.len());
        self.nodes.push(node);
        Ok(())
    }

    fn pop(&mut self) -> Result<Id, Error> {
        let floor = self.marks.last().copied().unwrap_or(0);
        let id = (self.stack.len() > floor).then(|| self.stack.pop());
        id.flatten().ok_or_else(|| wrong("a value that is missing"))
    }

    fn top(&self) -> Result<Id, Error> {
        let top = self.stack.last();
        top.copied().ok_or_else(|| wrong("a value that is missing"))
    }

    /// The values since the last mark.
    fn marked(&mut self) -> Result<Vec<Id>, Error> {
        let mark = self.marks.pop();
        let mark = mark.ok_or_else(|| wrong("a mark that is missing"))?;
        Ok(self.stack.split_off(mark))
    }

    fn tuple(&mut self, length: usize) -> Result<(), Error> {
        let mut items = (0..length)
            .map(|_| self.pop())
            .collect::<Result<Vec<_>, _>>()?;
        items.reverse();
        self.push(Node::Tuple(items))
    }

    fn remember(&mut self, key: u32) -> Result<(), Error> {
        let top = self.top()?;
        self.memo.insert(key, top);
        Ok(())
    }

    fn recall(&mut self, key: u32) -> Result<(), Error> {
        let id = self.memo.get(&key).copied();
        self.stack
            .push(id.ok_or_else(|| wrong("a reference to a value that is missing"))?);
        // Copies of references cost memory, too.
        if self.stack.len() > 2 * MOST_NODES {
            return Err(wrong(format!("more than {MOST_NODES} values")));
        }
        Ok(())
    }

    fn append(&mut self, items: Vec<Id>) -> Result<(), Error> {
        let top = self.top()?;
        match &mut self.nodes[top] {
            Node::List(list) => {
                list.extend(items);
                Ok(())
            }
            // A set, or an object that is called like a list.
            Node::Other | Node::Call { .. } => Ok(()),
            _ => Err(wrong("items for something that is no list")),
        }
    }

    fn set(&mut self, items: &[Id]) -> Result<(), Error> {
        let top = self.top()?;
        let pairs = items.chunks_exact(2).map(|pair| (pair[0], pair[1]));
        match &mut self.nodes[top] {
            _ if !items.len().is_multiple_of(2) => Err(wrong("a key without a value")),
            Node::Dict(dict) => {
                dict.extend(pairs);
                Ok(())
            }
            Node::Call { .. } => Ok(()),
            _ => Err(wrong("keys for something that is no dictionary")),
        }
    }

    fn call(&mut self) -> Result<(), Error> {
        let (args, callable) = (self.pop()?, self.pop()?);
        let is_dictionary = matches!(
            &self.nodes[callable],
            Node::Class { module, name } if module == "collections" && matches!(name.as_str(), "OrderedDict" | "defaultdict")
        );
        self.push(if is_dictionary {
            Node::Dict(Vec::new())
        } else {
            Node::Call { callable, args }
        })
    }

    /// One operation; whether it is the last.
    fn step(&mut self) -> Result<bool, Error> {
        match self.byte()? {
            b'.' => return Ok(true),
            // The protocol's number, and the length of a frame, which is read by operations anyway.
            0x80 => {
                self.byte()?;
            }
            0x95 => {
                self.array::<8>()?;
            }
            b'(' => self.marks.push(self.stack.len()),
            b'0' => {
                self.pop()?;
            }
            b'1' => {
                self.marked()?;
            }
            b'2' => {
                let top = self.top()?;
                self.stack.push(top);
            }
            b'N' | 0x88 | 0x89 | 0x8f => self.push(Node::Other)?,
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
                let digits = self.run(length.into())?;
                self.push(long(&digits))?;
            }
            b'G' => self.other(8)?,
            b'X' | b'T' => {
                let length = u32::from_le_bytes(self.array()?);
                self.text(length.into())?;
            }
            0x8c | b'U' => {
                let length = self.byte()?;
                self.text(length.into())?;
            }
            0x8d => {
                let length = u64::from_le_bytes(self.array()?);
                self.text(length)?;
            }
            b'B' => {
                let length = u32::from_le_bytes(self.array()?);
                self.other(length.into())?;
            }
            b'C' => {
                let length = self.byte()?;
                self.other(length.into())?;
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
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let (Node::Text(module), Node::Text(name)) =
                    (&self.nodes[module], &self.nodes[name])
                else {
                    return Err(wrong("a class without a name"));
                };
                let (module, name) = (module.clone(), name.clone());
                self.push(Node::Class { module, name })?;
            }
            b'R' | 0x81 => self.call()?,
            // The state of an object; that of a dictionary is not its contents.
            b'b' => {
                self.pop()?;
            }
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
            other => return Err(wrong(format!("the operation {other:#04x}"))),
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
