// The pairs that training found hardest.

const PAIRS_AT_ONCE = 30;

let shownPairs = 0;

const pairKind = () => document.querySelector("input[name='pair-kind']:checked").value;

async function showPairs(isMore) {
  if (!isMore) {
    shownPairs = 0;
    byId("pairs").replaceChildren();
  }
  const kind = pairKind();
  const query = new URLSearchParams({ offset: String(shownPairs), limit: String(Math.min(PAIRS_AT_ONCE, collection.largest_list)) });
  if (kind) query.set("kind", kind);
  try {
    const answer = await askJson(`/pairs?${query}`);
    if (kind !== pairKind()) return;
    showProblem(byId("pairs-problem"), null);
    byId("pairs").append(...answer.pairs.map((own) => pairCard(own, answer.distance)));
    shownPairs += answer.pairs.length;
    byId("pairs-status").textContent = `${grouped(shownPairs)} of ${grouped(answer.total)}`;
    byId("more-pairs").hidden = shownPairs >= answer.total;
  } catch (problem) {
    showProblem(byId("pairs-problem"), problem);
  }
}

function pairCard(pair, distance) {
  const isNegative = pair.kind === "negative";
  const kind = isNegative ? "Different classes" : "One class";
  const head = make(
    "div",
    { class: "head" },
    make("span", { class: "kind" }, kind),
    make("span", { class: "soft" }, `${distance || "distance"} ${shownDistance(pair.distance)}`),
  );
  const sides = make("div", { class: "sides" }, pairSide(pair, "a"), pairSide(pair, "b"));
  return make("li", { class: "pair" }, head, sides);
}

function pairSide(pair, which) {
  const side = pair[which];
  const isItem = side.id !== undefined;
  const frame = side.has_picture ? picture(`/pairs/${pair.number}/${which}/thumbnail?size=320`, "No picture") : null;
  const words = make(
    "span",
    { class: "words" },
    spoken(isItem ? "Search from " : "Not in the collection: "),
    side.label === undefined ? null : make("span", { class: "id" }, side.label),
    side.text === undefined ? null : make("span", { class: "attribute" }, side.text),
    side.name === undefined ? null : make("span", { class: "attribute" }, make("b", {}, side.name)),
  );
  const button = make(
    "button",
    { type: "button", class: "card side", disabled: !isItem },
    frame,
    words,
  );
  if (isItem) {
    button.addEventListener("click", () => {
      selectTab("search");
      searchItem(side.id);
    });
  }
  return button;
}
