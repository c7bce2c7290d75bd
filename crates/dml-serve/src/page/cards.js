// Items as cards: a picture, a distance, an id, attributes. A card is a button that searches from its item.

const SHOWN_ATTRIBUTES = 4;

let collection = null;

/** Name and value of the attributes that a card shows: not the path of its picture. */
function shownAttributes(item) {
  const all = Object.entries(item.attributes || {}).filter(([name]) => name !== collection.picture_attribute);
  // Long texts are what a collection of texts is about: they come first.
  all.sort((a, b) => Number(String(b[1]).length > 40) - Number(String(a[1]).length > 40));
  return all;
}

function attributeLine([name, value]) {
  return make("span", { class: "attribute" }, make("b", {}, `${name} `), shownValue(value));
}

/** A list element for an item; `rank` is its place among neighbours, from 1, or null in a list of items. */
function card(item, rank, choose) {
  const attributes = shownAttributes(item);
  const frame = collection.has_pictures ? picture(`${itemPath(item.id)}/thumbnail?size=320`, "No picture") : null;
  const top =
    rank === null
      ? null
      : make(
          "span",
          { class: "top" },
          make("span", { class: "distance" }, spoken(`${collection.distance || "distance"} `), shownDistance(item.distance)),
          make("span", { class: "rank" }, spoken("neighbour "), `#${rank}`),
        );
  const words = make(
    "span",
    { class: "words" },
    spoken("Search from "),
    top,
    make("span", { class: "id" }, String(item.id)),
    ...attributes.slice(0, SHOWN_ATTRIBUTES).map(attributeLine),
  );
  const button = make("button", { type: "button", class: "card" }, frame, words);
  button.addEventListener("click", () => choose(item.id));
  return make("li", {}, button);
}
