//! Filters from text.
//!
//! ```text
//! filter   = and { "or" and }
//! and      = not { "and" not }
//! not      = "not" not | single
//! single   = "(" filter ")" | "all" | "has" "(" name ")" | subject test
//! subject  = "id" | name
//! test     = ( "=" | "==" | "!=" | "<" | "<=" | ">" | ">=" ) scalar
//!          | [ "not" ] "in" ( "(" [ scalar { "," scalar } ] ")" | scalar ( ".." | "..=" ) scalar )
//! scalar   = text in quotes | number | "true" | "false"
//! name     = letters, digits and underscores, not beginning with a digit | text in backquotes
//! ```

use std::str::FromStr;

use super::Filter;
use crate::index::collection::id::Id;
use crate::index::collection::value::Value;

/// Parentheses and `not` within each other at most.
const DEEPEST: usize = 64;
/// Words that are no names.
const WORDS: [&str; 8] = ["and", "or", "not", "in", "has", "all", "true", "false"];
/// The word for ids.
const ID: &str = "id";

/// A text that is no filter.
///
/// ```
/// use dml_eval::Filter;
///
/// let error = "price < red".parse::<Filter>().unwrap_err();
/// assert_eq!((error.position, &*error.found), (8, "red"));
/// assert_eq!(
///     error.to_string(),
///     "filter, at byte 8: expected a text in quotes, a number, true or false, got red"
/// );
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("filter, at byte {position}: expected {expected}, got {found}")]
#[non_exhaustive]
pub struct FilterSyntaxError {
    /// Byte of the text at which something else was expected.
    pub position: usize,
    /// What was expected.
    pub expected: &'static str,
    /// What stands there.
    pub found: String,
}

#[derive(Clone, Debug, PartialEq)]
enum Token<'a> {
    /// A word that is not in quotes.
    Word(&'a str),
    /// A name in backquotes.
    Name(String),
    Text(String),
    Number(&'a str),
    Sign(&'a str),
    End,
}

/// Whether a name needs no backquotes.
pub(super) fn is_plain_name(name: &str) -> bool {
    let mut letters = name.chars();
    let begins = letters
        .next()
        .is_some_and(|first| first.is_alphabetic() || first == '_');
    begins && letters.all(is_of_name) && !is_word(name) && name != ID
}

fn is_of_name(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

fn is_word(name: &str) -> bool {
    WORDS.iter().any(|word| word.eq_ignore_ascii_case(name))
}

impl FromStr for Filter {
    type Err = FilterSyntaxError;

    fn from_str(text: &str) -> Result<Self, FilterSyntaxError> {
        let mut parser = Parser {
            text,
            next: 0,
            start: 0,
            token: Token::End,
            depth: 0,
        };
        parser.advance()?;
        let filter = parser.or()?;
        match parser.token {
            Token::End => Ok(filter),
            _ => Err(parser.expected("and, or, or the end")),
        }
    }
}

struct Parser<'a> {
    text: &'a str,
    /// Where the present token begins, and where the next one may.
    start: usize,
    next: usize,
    token: Token<'a>,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn expected(&self, expected: &'static str) -> FilterSyntaxError {
        let found: String = self.text[self.start..self.next].chars().take(40).collect();
        FilterSyntaxError {
            position: self.start,
            expected,
            found: if found.is_empty() {
                "the end".to_owned()
            } else {
                found
            },
        }
    }

    /// Reads the next token.
    fn advance(&mut self) -> Result<Token<'a>, FilterSyntaxError> {
        let rest = &self.text[self.next..];
        let blank = rest.len() - rest.trim_start().len();
        self.start = self.next + blank;
        let rest = &self.text[self.start..];
        let (token, length) = self.token_of(rest)?;
        self.next = self.start + length;
        Ok(std::mem::replace(&mut self.token, token))
    }

    /// The token at the beginning, and its length.
    fn token_of(&mut self, rest: &'a str) -> Result<(Token<'a>, usize), FilterSyntaxError> {
        let Some(first) = rest.chars().next() else {
            return Ok((Token::End, 0));
        };
        let while_holds = |holds: fn(char) -> bool| rest.find(|x| !holds(x)).unwrap_or(rest.len());
        if matches!(first, '"' | '\'' | '`') {
            let Some((text, length)) = quoted(rest, first) else {
                self.next = self.text.len();
                return Err(self.expected("a closing quote"));
            };
            let token = if first == '`' {
                Token::Name(text)
            } else {
                Token::Text(text)
            };
            return Ok((token, length));
        }
        let signed = rest[first.len_utf8()..].starts_with(|x: char| x.is_ascii_digit());
        if first.is_ascii_digit() || (matches!(first, '-' | '+') && signed) {
            let length = number_length(rest);
            return Ok((Token::Number(&rest[..length]), length));
        }
        if first.is_alphabetic() || first == '_' {
            let length = while_holds(is_of_name);
            return Ok((Token::Word(&rest[..length]), length));
        }
        let signs = [
            "..=", "..", "==", "!=", "<=", ">=", "=", "<", ">", "(", ")", ",",
        ];
        let sign = signs.into_iter().find(|sign| rest.starts_with(sign));
        match sign {
            Some(sign) => Ok((Token::Sign(sign), sign.len())),
            None => {
                self.next = self.start + first.len_utf8();
                Err(self.expected("a filter"))
            }
        }
    }

    fn is_word(&self, word: &str) -> bool {
        matches!(self.token, Token::Word(own) if own.eq_ignore_ascii_case(word))
    }

    fn take_word(&mut self, word: &str) -> Result<bool, FilterSyntaxError> {
        let is_there = self.is_word(word);
        if is_there {
            self.advance()?;
        }
        Ok(is_there)
    }

    fn take_sign(&mut self, sign: &str) -> Result<bool, FilterSyntaxError> {
        let is_there = self.token == Token::Sign(sign);
        if is_there {
            self.advance()?;
        }
        Ok(is_there)
    }

    fn sign(&mut self, sign: &str, expected: &'static str) -> Result<(), FilterSyntaxError> {
        if self.take_sign(sign)? {
            return Ok(());
        }
        Err(self.expected(expected))
    }

    fn or(&mut self) -> Result<Filter, FilterSyntaxError> {
        let mut filters = vec![self.and()?];
        while self.take_word("or")? {
            filters.push(self.and()?);
        }
        Ok(match filters.len() {
            1 => filters.remove(0),
            _ => Filter::Or(filters),
        })
    }

    fn and(&mut self) -> Result<Filter, FilterSyntaxError> {
        let mut filters = vec![self.not()?];
        while self.take_word("and")? {
            filters.push(self.not()?);
        }
        Ok(match filters.len() {
            1 => filters.remove(0),
            _ => Filter::And(filters),
        })
    }

    fn not(&mut self) -> Result<Filter, FilterSyntaxError> {
        if self.is_word("not") {
            self.deeper()?;
            self.advance()?;
            let filter = self.not()?;
            self.depth -= 1;
            return Ok(!filter);
        }
        self.single()
    }

    fn deeper(&mut self) -> Result<(), FilterSyntaxError> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(self.expected("at most 64 filters within each other"));
        }
        Ok(())
    }

    fn single(&mut self) -> Result<Filter, FilterSyntaxError> {
        if self.token == Token::Sign("(") {
            self.deeper()?;
            self.advance()?;
            let filter = self.or()?;
            self.sign(")", "a closing parenthesis, and, or or")?;
            self.depth -= 1;
            return Ok(filter);
        }
        if self.take_word("all")? {
            return Ok(Filter::All);
        }
        if self.take_word("has")? {
            self.sign("(", "the name of an attribute in parentheses")?;
            let attribute = self.name()?;
            self.sign(")", "a closing parenthesis")?;
            return Ok(Filter::Has { attribute });
        }
        if self.is_word(ID) {
            self.advance()?;
            return self.ids();
        }
        let attribute = self.name()?;
        self.test(attribute)
    }

    fn name(&mut self) -> Result<String, FilterSyntaxError> {
        let name = match &self.token {
            Token::Name(name) => name.clone(),
            Token::Word(name) if !is_word(name) => (*name).to_owned(),
            _ => return Err(self.expected("the name of an attribute")),
        };
        self.advance()?;
        Ok(name)
    }

    /// What follows the name of an attribute.
    fn test(&mut self, attribute: String) -> Result<Filter, FilterSyntaxError> {
        if self.take_word("not")? {
            if !self.is_word("in") {
                return Err(self.expected("in"));
            }
            return Ok(!self.test(attribute)?);
        }
        if self.take_word("in")? {
            if self.take_sign("(")? {
                let values = self.list(Self::value)?;
                return Ok(Filter::In { attribute, values });
            }
            let start = self.value()?;
            let includes_end = self.take_sign("..=")?;
            if !includes_end {
                self.sign("..", "a range: .. or ..=")?;
            }
            let end = Some(self.value()?);
            let (at_most, below) = if includes_end {
                (end, None)
            } else {
                (None, end)
            };
            return Ok(Filter::Range {
                attribute,
                at_least: Some(start),
                above: None,
                at_most,
                below,
            });
        }
        let Token::Sign(sign) = self.token else {
            return Err(self.expected("a comparison: =, !=, <, <=, >, >= or in"));
        };
        if !matches!(sign, "=" | "==" | "!=" | "<" | "<=" | ">" | ">=") {
            return Err(self.expected("a comparison: =, !=, <, <=, >, >= or in"));
        }
        self.advance()?;
        let value = self.value()?;
        if matches!(sign, "=" | "==" | "!=") {
            let filter = Filter::Eq { attribute, value };
            return Ok(if sign == "!=" { !filter } else { filter });
        }
        let mut bounds = [None, None, None, None];
        let place = [">=", ">", "<=", "<"].iter().position(|own| *own == sign);
        bounds[place.unwrap_or(0)] = Some(value);
        let [at_least, above, at_most, below] = bounds;
        Ok(Filter::Range {
            attribute,
            at_least,
            above,
            at_most,
            below,
        })
    }

    /// What follows `id`.
    fn ids(&mut self) -> Result<Filter, FilterSyntaxError> {
        let is_not = self.take_word("not")?;
        if self.take_word("in")? {
            self.sign("(", "ids in parentheses")?;
            let ids = Filter::Ids(self.list(Self::id)?);
            return Ok(if is_not { !ids } else { ids });
        }
        let sign = self.token.clone();
        let is_equal = matches!(sign, Token::Sign("=" | "=="));
        if is_not || !(is_equal || sign == Token::Sign("!=")) {
            return Err(self.expected("=, != or in"));
        }
        self.advance()?;
        let ids = Filter::Ids(vec![self.id()?]);
        Ok(if is_equal { ids } else { !ids })
    }

    /// Entries up to the closing parenthesis.
    fn list<T>(
        &mut self,
        entry: fn(&mut Self) -> Result<T, FilterSyntaxError>,
    ) -> Result<Vec<T>, FilterSyntaxError> {
        let mut list = Vec::new();
        if self.take_sign(")")? {
            return Ok(list);
        }
        loop {
            list.push(entry(self)?);
            if self.take_sign(")")? {
                return Ok(list);
            }
            self.sign(",", "a comma or a closing parenthesis")?;
        }
    }

    fn value(&mut self) -> Result<Value, FilterSyntaxError> {
        let value = match &self.token {
            Token::Text(text) => Some(Value::Text(text.clone())),
            Token::Word(word) if word.eq_ignore_ascii_case("true") => Some(Value::Bool(true)),
            Token::Word(word) if word.eq_ignore_ascii_case("false") => Some(Value::Bool(false)),
            Token::Number(number) => {
                let whole = number.parse().map(Value::Integer);
                let real = number.parse().ok().filter(|real: &f64| real.is_finite());
                whole.ok().or(real.map(Value::Float))
            }
            _ => None,
        };
        let expected = "a text in quotes, a number, true or false";
        let value = value.ok_or_else(|| self.expected(expected))?;
        self.advance()?;
        Ok(value)
    }

    fn id(&mut self) -> Result<Id, FilterSyntaxError> {
        let id = match &self.token {
            Token::Text(text) => Some(Id::Text(text.clone())),
            Token::Number(number) => number.parse().ok().map(Id::Number),
            _ => None,
        };
        let id = id.ok_or_else(|| self.expected("an id: a whole number or a text in quotes"))?;
        self.advance()?;
        Ok(id)
    }
}

/// The text between quotes, without the backslashes before quotes and backslashes, and its length with all of these.
fn quoted(rest: &str, quote: char) -> Option<(String, usize)> {
    let mut text = String::new();
    let mut letters = rest.char_indices().skip(1);
    while let Some((at, letter)) = letters.next() {
        match letter {
            '\\' => text.push(letters.next()?.1),
            own if own == quote => return Some((text, at + quote.len_utf8())),
            own => text.push(own),
        }
    }
    None
}

/// The length of a number at the beginning, which a range may follow: `2..10` are two.
fn number_length(text: &str) -> usize {
    let bytes = text.as_bytes();
    let digits = |mut at: usize| {
        while bytes.get(at).is_some_and(u8::is_ascii_digit) {
            at += 1;
        }
        at
    };
    let mut end = digits(1);
    if bytes.get(end) == Some(&b'.') && bytes.get(end + 1).is_some_and(u8::is_ascii_digit) {
        end = digits(end + 1);
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        if bytes.get(end + 1 + sign).is_some_and(u8::is_ascii_digit) {
            end = digits(end + 1 + sign);
        }
    }
    end
}
