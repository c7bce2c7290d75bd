//! What requests and answers hold, as JSON.

use bytes::Bytes;
use dml_eval::{Attributes, Filter, Id, IdKind};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize, Serializer};

use crate::limits::Limits;
use crate::problem::{Problem, quoted};
use crate::reading::Form;

/// Neighbours of a search that does not say how many.
const DEFAULT_K: usize = 10;
/// The largest whole number that every reader of JSON keeps exactly.
const EXACT: u64 = (1 << 53) - 1;

/// An id in an answer. Numbers above 2⁵³ − 1 are written as text: JavaScript would round them.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct WireId(pub(crate) Id);

impl Serialize for WireId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            Id::Number(number) if *number <= EXACT => serializer.serialize_u64(*number),
            Id::Number(number) => serializer.collect_str(number),
            Id::Text(text) => serializer.serialize_str(text),
        }
    }
}

/// An id as the collection has it: the digits of a number are a number where ids are numbers, and a text where they are texts.
pub(crate) fn resolved(id: Id, kind: Option<IdKind>) -> Id {
    match (kind, &id) {
        (Some(IdKind::Number), Id::Text(text)) => text.parse().map_or(id, Id::Number),
        (Some(IdKind::Text), Id::Number(number)) => Id::Text(number.to_string()),
        _ => id,
    }
}

/// What is looked for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Input {
    Vector(Vec<f32>),
    Text(String),
    Image(Bytes),
    /// An item of the collection.
    Item(Id),
}

impl Input {
    /// An image that is the whole body.
    pub(crate) fn of_image(image: Bytes) -> Result<Self, Problem> {
        match image.is_empty() {
            false => Ok(Self::Image(image)),
            true => Err(Problem::argument(
                "image",
                "the content of an image file",
                "0 bytes",
            )),
        }
    }
}

/// A search with all of its arguments.
#[derive(Clone, Debug)]
pub(crate) struct SearchArguments {
    pub(crate) input: Input,
    pub(crate) k: usize,
    pub(crate) within: Option<f64>,
    pub(crate) filter: Option<Filter>,
    pub(crate) with_attributes: bool,
}

/// The body of a search.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SearchBody {
    vector: Option<Vec<f32>>,
    text: Option<String>,
    id: Option<Id>,
    k: Option<usize>,
    within: Option<f64>,
    filter: Option<serde_json::Value>,
    attributes: Option<bool>,
}

/// The arguments of a search for an image that is the whole body.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SearchQuery {
    k: Option<usize>,
    within: Option<f64>,
    filter: Option<String>,
    attributes: Option<bool>,
}

impl SearchBody {
    pub(crate) fn arguments(self, limits: &Limits) -> Result<SearchArguments, Problem> {
        let input = one_input(Given {
            vector: self.vector,
            text: self.text,
            item: self.id,
            image: None,
        })?;
        let filter = self.filter.map(filter_of_json).transpose()?;
        SearchArguments::new(input, self.k, self.within, filter, self.attributes, limits)
    }
}

impl SearchQuery {
    pub(crate) fn arguments(
        self,
        image: Bytes,
        limits: &Limits,
    ) -> Result<SearchArguments, Problem> {
        let filter = self.filter.as_deref().map(filter_of_text).transpose()?;
        let input = Input::Image(image);
        SearchArguments::new(
            input,
            self.k,
            self.within,
            filter.flatten(),
            self.attributes,
            limits,
        )
    }
}

impl SearchArguments {
    /// The arguments of a form.
    pub(crate) fn of_form(mut form: Form, limits: &Limits) -> Result<Self, Problem> {
        let input = one_input(Given::of_form(&mut form, true)?)?;
        let k = form.parsed("k")?;
        let within = form.parsed("within")?;
        let with_attributes = form.parsed("attributes")?;
        let filter = form
            .text("filter")?
            .as_deref()
            .map(filter_of_text)
            .transpose()?;
        form.finish()?;
        Self::new(input, k, within, filter.flatten(), with_attributes, limits)
    }

    fn new(
        input: Input,
        k: Option<usize>,
        within: Option<f64>,
        filter: Option<Filter>,
        with_attributes: Option<bool>,
        limits: &Limits,
    ) -> Result<Self, Problem> {
        check_input(&input, limits)?;
        let k = k.unwrap_or(DEFAULT_K.min(limits.k));
        if !(1..=limits.k).contains(&k) {
            return Err(Problem::argument("k", format!("1 to {}", limits.k), k));
        }
        if within.is_some_and(f64::is_nan) {
            return Err(Problem::argument("within", "a number", "NaN"));
        }
        Ok(Self {
            input,
            k,
            within,
            filter,
            with_attributes: with_attributes.unwrap_or(true),
        })
    }
}

/// The inputs of a request, of which exactly one has to be there.
#[derive(Default)]
struct Given {
    vector: Option<Vec<f32>>,
    text: Option<String>,
    item: Option<Id>,
    image: Option<Bytes>,
}

impl Given {
    /// Those of a form; an id is an input of a search, and the name of an item that is stored.
    fn of_form(form: &mut Form, with_id: bool) -> Result<Self, Problem> {
        let vector = form.text("vector")?;
        let vector = vector
            .map(|text| parse("vector", text.as_bytes()))
            .transpose()?;
        let item = if with_id {
            form.text("id")?.map(Id::Text)
        } else {
            None
        };
        Ok(Self {
            vector,
            text: form.text("text")?,
            item,
            image: form.bytes("image"),
        })
    }
}

fn one_input(given: Given) -> Result<Input, Problem> {
    let inputs = [
        given.vector.map(Input::Vector),
        given.text.map(Input::Text),
        given.image.map(Input::Image),
        given.item.map(Input::Item),
    ];
    let mut inputs = inputs.into_iter().flatten();
    match (inputs.next(), inputs.next()) {
        (Some(input), None) => Ok(input),
        (None, _) => Err(Problem::invalid(
            "expected one of image, text, vector and id, got none",
        )),
        (Some(_), Some(_)) => Err(Problem::invalid(
            "expected one of image, text, vector and id, got several",
        )),
    }
}

fn check_input(input: &Input, limits: &Limits) -> Result<(), Problem> {
    match input {
        Input::Vector(vector) => {
            let odd = vector.iter().position(|number| !number.is_finite());
            match odd {
                None => Ok(()),
                Some(place) => {
                    let got = format!("another at position {place}");
                    Err(Problem::argument(
                        "vector",
                        "finite numbers in single precision",
                        got,
                    ))
                }
            }
        }
        Input::Text(text) if text.len() > limits.text_bytes => {
            Err(Problem::too_large("text", limits.text_bytes))
        }
        Input::Text(text) if text.trim().is_empty() => {
            Err(Problem::argument("text", "a text", "nothing but spaces"))
        }
        Input::Image(image) if image.is_empty() => Input::of_image(image.clone()).map(drop),
        _ => Ok(()),
    }
}

/// A filter in JSON; a string is the text form.
fn filter_of_json(value: serde_json::Value) -> Result<Filter, Problem> {
    match value {
        serde_json::Value::String(text) => {
            let filter = filter_of_text(&text)?;
            filter.ok_or_else(|| Problem::argument("filter", "a filter", "an empty text"))
        }
        value => serde_path_to_error::deserialize(value)
            .map_err(|error| Problem::invalid(format!("filter: {}", located(&error)))),
    }
}

/// A filter in its text form or, from an opening brace on, in JSON; an empty text is none.
pub(crate) fn filter_of_text(text: &str) -> Result<Option<Filter>, Problem> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    if text.starts_with('{') {
        return parse("filter", text.as_bytes()).map(Some);
    }
    // The error names the filter and the place in it.
    let filter = text.parse::<Filter>();
    filter
        .map(Some)
        .map_err(|error| Problem::invalid(error.to_string()))
}

/// Reads JSON; `name` is for messages.
pub(crate) fn parse<T: DeserializeOwned>(name: &str, bytes: &[u8]) -> Result<T, Problem> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut reader)
        .map_err(|error| Problem::invalid(format!("{name}: {}", located(&error))))?;
    let rest = reader.end();
    rest.map_err(|error| Problem::invalid(format!("{name}: {error}")))?;
    Ok(value)
}

/// An error behind the path to its place; errors of the whole value have none.
fn located(error: &serde_path_to_error::Error<serde_json::Error>) -> String {
    match error.path().to_string().as_str() {
        "." | "" | "?" => error.inner().to_string(),
        path => format!("{path}: {}", error.inner()),
    }
}

/// The body of a request for embeddings.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EmbedBody {
    text: String,
}

impl EmbedBody {
    pub(crate) fn input(self, limits: &Limits) -> Result<Input, Problem> {
        let input = Input::Text(self.text);
        check_input(&input, limits)?;
        Ok(input)
    }
}

/// The input of a form that requests an embedding.
pub(crate) fn embed_input(mut form: Form, limits: &Limits) -> Result<Input, Problem> {
    let given = Given::of_form(&mut form, false)?;
    form.finish()?;
    let input = one_input(given)?;
    if matches!(input, Input::Vector(_)) {
        return Err(Problem::argument("embed", "an image or a text", "a vector"));
    }
    check_input(&input, limits)?;
    Ok(input)
}

/// The body of a request that stores items.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpsertBody {
    items: Vec<ItemBody>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ItemBody {
    id: Id,
    vector: Option<Vec<f32>>,
    text: Option<String>,
    #[serde(default)]
    attributes: Attributes,
}

/// An item to store.
#[derive(Clone, Debug)]
pub(crate) struct NewItem {
    pub(crate) id: Id,
    pub(crate) input: Input,
    pub(crate) attributes: Attributes,
}

impl UpsertBody {
    pub(crate) fn items(self, limits: &Limits) -> Result<Vec<NewItem>, Problem> {
        let count = self.items.len();
        if !(1..=limits.items).contains(&count) {
            return Err(Problem::argument(
                "items",
                format!("1 to {}", limits.items),
                count,
            ));
        }
        let item = |(place, own): (usize, ItemBody)| {
            let named = |mut problem: Problem| {
                problem.message = format!("items[{place}]: {}", problem.message);
                problem
            };
            let given = Given {
                vector: own.vector,
                text: own.text,
                ..Given::default()
            };
            let input = one_input(given).map_err(named)?;
            check_input(&input, limits).map_err(named)?;
            Ok(NewItem {
                id: own.id,
                input,
                attributes: own.attributes,
            })
        };
        self.items.into_iter().enumerate().map(item).collect()
    }
}

/// The item of a form.
pub(crate) fn item_of_form(mut form: Form, limits: &Limits) -> Result<NewItem, Problem> {
    let id = form.text("id")?;
    let id = id.ok_or_else(|| Problem::argument("id", "an id", "none"))?;
    let attributes = form.text("attributes")?;
    let attributes = attributes
        .map(|text| parse("attributes", text.as_bytes()))
        .transpose()?;
    let given = Given::of_form(&mut form, false)?;
    form.finish()?;
    let input = one_input(given)?;
    check_input(&input, limits)?;
    Ok(NewItem {
        id: Id::Text(id),
        input,
        attributes: attributes.unwrap_or_default(),
    })
}

/// The body of a request that deletes items.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeleteBody {
    ids: Vec<Id>,
}

impl DeleteBody {
    pub(crate) fn ids(self, limits: &Limits) -> Result<Vec<Id>, Problem> {
        let count = self.ids.len();
        if !(1..=limits.items).contains(&count) {
            return Err(Problem::argument(
                "ids",
                format!("1 to {}", limits.items),
                count,
            ));
        }
        Ok(self.ids)
    }
}

/// An item in an answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct ItemAnswer {
    pub(crate) id: WireId,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) distance: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) attributes: Option<Attributes>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) vector: Option<Vec<f32>>,
}

/// The problem of an id that no item has.
pub(crate) fn unknown_id(id: &Id) -> Problem {
    Problem::not_found(format!("id: no item {}", quoted(&id.to_string())))
}

#[cfg(test)]
mod tests;
