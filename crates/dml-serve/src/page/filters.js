// The filter, from the attributes of the collection: choices of values, ranges of numbers, and an expression.

const SHOWN_VALUES = 50;
/** From here on whole numbers are a range, and not a list of choices. */
const MOST_CHOICES = 12;

const quoted = (text, quote) => quote + text.replace(/[\\"`]/g, (letter) => (letter === "\\" || letter === quote ? "\\" + letter : letter)) + quote;
const attributeName = (name) => quoted(name, "`");

/** A value as the text form of filters writes it; a real number never as a whole one. */
function filterValue(value, kind) {
  if (kind === "text") return quoted(value, '"');
  if (kind === "float") return Number.isInteger(value) ? value.toFixed(1) : String(value);
  return String(value);
}

/** Each returns its part of the filter, or null where nothing is chosen. */
let parts = [];

function buildFacets(attributes) {
  parts = [];
  const facets = attributes.filter((own) => own.name !== collection.picture_attribute).map(facet);
  byId("facets").replaceChildren(...facets.filter((own) => own !== null));
  const example = exampleExpression(attributes);
  byId("expression-hint").textContent = example ? `Such as ${example}` : "The collection has no attributes.";
  byId("expression").disabled = !example;
}

function exampleExpression(attributes) {
  const own = attributes.find((attribute) => attribute.values.length > 0) || attributes.find((attribute) => attribute.range);
  if (!own) return null;
  const name = /^[A-Za-z_]\w*$/.test(own.name) ? own.name : attributeName(own.name);
  if (own.values.length > 0) return `${name} = ${filterValue(own.values[0].value, own.kind)}`;
  return `${name} <= ${filterValue(own.range[1], own.kind)}`;
}

function facet(attribute) {
  const isNumber = attribute.kind === "integer" || attribute.kind === "float";
  const isFew = attribute.is_complete && attribute.values.length <= MOST_CHOICES;
  if (isNumber && !isFew && attribute.range) return rangeFacet(attribute);
  if (attribute.values.length > 1 || (attribute.values.length === 1 && attribute.count < collection.items)) return choiceFacet(attribute);
  return null;
}

function choiceFacet(attribute) {
  const boxes = attribute.values.slice(0, SHOWN_VALUES).map(({ value, count }) => {
    const box = make("input", { type: "checkbox" });
    box.addEventListener("change", countFilters);
    const label = make(
      "label",
      {},
      box,
      make("span", { class: "value" }, shownValue(value)),
      make("span", { class: "number" }, grouped(count)),
    );
    return { box, value, label };
  });
  parts.push(() => {
    const chosen = boxes.filter(({ box }) => box.checked).map(({ value }) => filterValue(value, attribute.kind));
    return chosen.length ? `${attributeName(attribute.name)} in (${chosen.join(", ")})` : null;
  });
  const values = make("div", { class: "values" }, ...boxes.map(({ label }) => label));
  const more = attribute.is_complete ? null : make("p", { class: "small soft" }, "The most frequent values; others by the filter as text.");
  return make("fieldset", {}, make("legend", {}, attribute.name), values, more);
}

function rangeFacet(attribute) {
  const [low, high] = attribute.range;
  const bound = (what, limit) => {
    const input = make("input", { type: "number", step: attribute.kind === "integer" ? "1" : "any", placeholder: String(limit), "aria-label": `${attribute.name}, ${what}` });
    input.addEventListener("change", countFilters);
    return input;
  };
  const [from, to] = [bound("at least", low), bound("at most", high)];
  parts.push(() => {
    const name = attributeName(attribute.name);
    const side = (input, sign) => (input.value === "" ? null : `${name} ${sign} ${filterValue(Number(input.value), attribute.kind)}`);
    return [side(from, ">="), side(to, "<=")].filter((own) => own !== null).join(" and ") || null;
  });
  return make("fieldset", {}, make("legend", {}, attribute.name), make("div", { class: "range" }, from, "to", to));
}

function chosenParts() {
  const chosen = parts.map((part) => part()).filter((own) => own !== null);
  const expression = byId("expression").value.trim();
  if (expression) chosen.push(chosen.length ? `(${expression})` : expression);
  return chosen;
}

/** The filter as text; empty for none. */
const chosenFilter = () => chosenParts().join(" and ");

function countFilters() {
  const count = chosenParts().length;
  byId("filter-count").textContent = String(count);
  byId("filter-count").setAttribute("aria-label", `${count} in use`);
  byId("filter-count").hidden = count === 0;
}
