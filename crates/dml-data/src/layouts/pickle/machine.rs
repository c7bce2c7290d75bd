//! The machine that a pickle is a program of.

use std::collections::HashMap;
use std::ops::Range;

use super::Id;

/// Most values of one pickle.
const MOST_NODES: usize = 1 << 22;
/// Longest name of a module or class.
const LONGEST_NAME: usize = 1024;

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    /// Nothing, a real number, a whole number of more than 64 bits, or a set.
    Other,
    Bool(bool),
    Int(i64),
    /// Bytes of the file that are a text in UTF-8.
    Text(Range<usize>),
    Bytes(Range<usize>),
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
        /// What the object was given afterwards.
        state: Option<Id>,
    },
}

/// What is on the stack, and the values so far.
#[derive(Debug)]
pub(super) struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    nodes: Vec<Node>,
    stack: Vec<Id>,
    /// Heights of the stack at which lists of arguments begin.
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
}

type Step<T> = Result<T, String>;

impl<'a> Machine<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            at: 0,
            nodes: Vec::new(),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
        }
    }

    /// The values, and the position that was reached.
    pub(super) fn finish(self) -> (Vec<Node>, usize) {
        (self.nodes, self.at)
    }

    /// Runs the program; the value that it ends with.
    pub(super) fn run(&mut self) -> Step<Id> {
        while !self.step()? {}
        self.pop()
    }

    /// The next `length` bytes.
    fn run_of(&mut self, length: usize) -> Step<Range<usize>> {
        let end = self
            .at
            .checked_add(length)
            .filter(|end| *end <= self.bytes.len());
        let end = end.ok_or("the end of the file")?;
        let run = self.at..end;
        self.at = end;
        Ok(run)
    }

    fn array<const N: usize>(&mut self) -> Step<[u8; N]> {
        let run = self.run_of(N)?;
        self.bytes[run]
            .try_into()
            .map_err(|_| "the end of the file".to_owned())
    }

    fn byte(&mut self) -> Step<u8> {
        Ok(self.array::<1>()?[0])
    }

    fn length_32(&mut self) -> Step<usize> {
        let length = i32::from_le_bytes(self.array()?);
        usize::try_from(length).map_err(|_| "a negative length".to_owned())
    }

    fn length_64(&mut self) -> Step<usize> {
        let length = u64::from_le_bytes(self.array()?);
        usize::try_from(length).map_err(|_| "the end of the file".to_owned())
    }

    fn line(&mut self) -> Step<String> {
        let rest = &self.bytes[self.at..];
        let rest = &rest[..rest.len().min(LONGEST_NAME)];
        let length = rest.iter().position(|byte| *byte == b'\n');
        let run = self.run_of(length.ok_or("a name that does not end")?)?;
        self.at += 1;
        let name = std::str::from_utf8(&self.bytes[run]);
        name.map(str::to_owned)
            .map_err(|_| "a name not in UTF-8".to_owned())
    }

    fn push(&mut self, node: Node) -> Step<()> {
        self.check_size(self.nodes.len())?;
        self.stack.push(self.nodes.len());
        self.nodes.push(node);
        Ok(())
    }

    fn check_size(&self, size: usize) -> Step<()> {
        match size < MOST_NODES {
            true => Ok(()),
            false => Err(format!("more than {MOST_NODES} values")),
        }
    }

    fn pop(&mut self) -> Step<Id> {
        let floor = self.marks.last().copied().unwrap_or(0);
        let id = (self.stack.len() > floor)
            .then(|| self.stack.pop())
            .flatten();
        id.ok_or_else(|| "a missing value".to_owned())
    }

    fn top(&self) -> Step<Id> {
        self.stack
            .last()
            .copied()
            .ok_or_else(|| "a missing value".to_owned())
    }

    /// The values since the last mark.
    fn marked(&mut self) -> Step<Vec<Id>> {
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
        self.check_size(self.stack.len())?;
        self.stack.push(id.ok_or("a reference to a missing value")?);
        Ok(())
    }

    fn append(&mut self, items: Vec<Id>) -> Step<()> {
        let top = self.top()?;
        match &mut self.nodes[top] {
            Node::List(list) => list.extend(items),
            Node::Other => {}
            _ => return Err("items for something that is no list".to_owned()),
        }
        Ok(())
    }

    fn set(&mut self, items: &[Id]) -> Step<()> {
        let top = self.top()?;
        match &mut self.nodes[top] {
            Node::Dict(dict) if items.len().is_multiple_of(2) => {
                dict.extend(items.chunks_exact(2).map(|pair| (pair[0], pair[1])));
                Ok(())
            }
            _ => Err("keys for something that is no dictionary".to_owned()),
        }
    }

    fn call(&mut self) -> Step<()> {
        let (args, callable) = (self.pop()?, self.pop()?);
        self.push(Node::Call {
            callable,
            args,
            state: None,
        })
    }

    fn build(&mut self) -> Step<()> {
        let own = self.pop()?;
        let top = self.top()?;
        match &mut self.nodes[top] {
            Node::Call { state, .. } => {
                *state = Some(own);
                Ok(())
            }
            _ => Err("a state for something that was not called".to_owned()),
        }
    }

    fn named_class(&mut self) -> Step<()> {
        let (name, module) = (self.pop()?, self.pop()?);
        let text = |id: Id| match &self.nodes[id] {
            Node::Text(run) if run.len() <= LONGEST_NAME => {
                std::str::from_utf8(&self.bytes[run.clone()])
                    .ok()
                    .map(str::to_owned)
            }
            _ => None,
        };
        let (module, name) = text(module)
            .zip(text(name))
            .ok_or("a class without a name")?;
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
                self.check_size(self.marks.len())?;
                self.marks.push(self.stack.len());
            }
            b'0' => {
                self.pop()?;
            }
            b'1' => {
                self.marked()?;
            }
            b'N' | 0x8f => self.push(Node::Other)?,
            own @ 0x88..=0x89 => self.push(Node::Bool(own == 0x88))?,
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
                let run = self.run_of(length.into())?;
                self.push(long(&self.bytes[run]))?;
            }
            b'G' => {
                self.array::<8>()?;
                self.push(Node::Other)?;
            }
            own @ (b'X' | b'T' | b'B') => {
                let length = self.length_32()?;
                self.run_node(own == b'X', length)?;
            }
            own @ (0x8c | b'U' | b'C') => {
                let length = self.byte()?;
                self.run_node(own == 0x8c, length.into())?;
            }
            own @ (0x8d | 0x8e) => {
                let length = self.length_64()?;
                self.run_node(own == 0x8d, length)?;
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
            other => return Err(format!("the operation {other:#04x}")),
        }
        Ok(false)
    }

    fn run_node(&mut self, is_text: bool, length: usize) -> Step<()> {
        let run = self.run_of(length)?;
        self.push(match is_text {
            true => Node::Text(run),
            false => Node::Bytes(run),
        })
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
