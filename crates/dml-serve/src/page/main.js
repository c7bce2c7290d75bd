// What the page shows: items, or the neighbours of a picture, a text or an item.

const ITEMS_AT_ONCE = 24;

/** What neighbours are shown of: { kind: "item", id }, { kind: "text", text }, { kind: "image", file }, or null for none. */
let query = null;
let shownItems = 0;
/** The search in progress; a new one ends it. */
let running = null;

function neighbours() {
  const k = byId("k");
  const value = Math.round(Number(k.value));
  const inRange = Math.min(Math.max(Number.isFinite(value) ? value : ITEMS_AT_ONCE, 1), collection.largest_k);
  k.value = String(inRange);
  return inRange;
}

function request(signal) {
  const filter = chosenFilter();
  const k = neighbours();
  if (query.kind === "image") {
    const form = new FormData();
    form.set("image", query.file);
    form.set("k", String(k));
    if (filter) form.set("filter", filter);
    return askJson("/search", { method: "POST", body: form, signal });
  }
  const body = query.kind === "item" ? { id: query.id, k } : { text: query.text, k };
  if (filter) body.filter = filter;
  return postJson("/search", body, signal);
}

/** Shows the neighbours of the query, or the items where there is none. */
async function refresh() {
  showQuery();
  if (query === null) return showItems(false);
  if (running) running.abort();
  const own = (running = new AbortController());
  const hits = byId("hits");
  hits.setAttribute("aria-busy", "true");
  byId("results-title").textContent = "Neighbours";
  byId("status").textContent = "Searching…";
  byId("more").hidden = true;
  try {
    const answer = await request(own.signal);
    showProblem(byId("problem"), null);
    const distance = answer.distance ? `, by ${answer.distance}` : "";
    const count = answer.hits.length === 1 ? "1 item" : `${grouped(answer.hits.length)} items`;
    byId("status").textContent = `${count}${distance}, in ${answer.milliseconds.toFixed(1)} ms`;
    hits.replaceChildren(...answer.hits.map((hit, place) => card(hit, place + 1, searchItem)));
  } catch (problem) {
    if (problem.name === "AbortError") return;
    byId("status").textContent = "";
    hits.replaceChildren();
    showProblem(byId("problem"), problem);
  } finally {
    if (running === own) hits.removeAttribute("aria-busy");
  }
}

async function showItems(isMore) {
  if (running) running.abort();
  byId("hits").removeAttribute("aria-busy");
  if (!isMore) {
    shownItems = 0;
    byId("hits").replaceChildren();
    byId("more").hidden = true;
  }
  try {
    const address = new URLSearchParams({ offset: String(shownItems), limit: String(Math.min(ITEMS_AT_ONCE, collection.largest_list)) });
    const filter = chosenFilter();
    if (filter) address.set("filter", filter);
    const answer = await askJson(`/items?${address}`);
    if (query !== null) return;
    showProblem(byId("problem"), null);
    byId("results-title").textContent = "Items";
    const cards = answer.items.map((item) => card(item, null, searchItem));
    byId("hits").append(...cards);
    shownItems += answer.items.length;
    byId("status").textContent = answer.total === 0 ? "None" : `${grouped(shownItems)} of ${grouped(answer.total)}`;
    byId("more").hidden = answer.items.length === 0 || shownItems >= answer.total;
    // The button may have gone from under the focus.
    if (isMore && cards.length > 0) cards[0].querySelector("button").focus();
  } catch (problem) {
    showProblem(byId("problem"), problem);
  }
}

/** The query beside its neighbours. */
function showQuery() {
  byId("current").hidden = query === null;
  if (query === null) return;
  const frame = byId("current-picture");
  frame.hidden = query.kind === "text" || (query.kind === "item" && !collection.has_pictures);
  byId("current-name").textContent = query.kind === "item" ? String(query.id) : query.kind === "text" ? query.text : query.file.name || "a picture";
  if (query.kind === "image") {
    const image = make("img", { alt: "Your picture" });
    const address = URL.createObjectURL(query.file);
    image.addEventListener("load", () => URL.revokeObjectURL(address));
    image.addEventListener("error", () => frame.replaceChildren(make("span", { class: "none" }, "No preview")));
    image.src = address;
    frame.replaceChildren(image);
  } else if (query.kind === "item" && collection.has_pictures) {
    frame.replaceChildren(picture(`${itemPath(query.id)}/thumbnail?size=160`, "No picture"));
  }
}

/** Pictures can't stand in the history; items and texts do. */
function remember() {
  const address = new URLSearchParams();
  if (query?.kind === "item") address.set("id", String(query.id));
  if (query?.kind === "text") address.set("text", query.text);
  const text = address.toString();
  if (`#${text}` !== location.hash) history.pushState(null, "", text ? `#${text}` : location.pathname);
}

function fromAddress() {
  const address = new URLSearchParams(location.hash.slice(1));
  if (address.has("id")) return { kind: "item", id: address.get("id") };
  if (address.has("text") && collection.reads_texts) return { kind: "text", text: address.get("text") };
  return null;
}

function start(next) {
  query = next;
  remember();
  const done = refresh();
  const results = byId("results");
  results.focus({ preventScroll: true });
  if (results.getBoundingClientRect().top < 0) results.scrollIntoView();
  return done;
}

function searchItem(id) {
  byId("text").value = "";
  start({ kind: "item", id });
}

function searchImage(file) {
  if (!file) return;
  byId("text").value = "";
  start({ kind: "image", file });
}

function selectTab(name) {
  for (const own of ["search", "pairs"]) {
    const isChosen = own === name;
    const tab = byId(`tab-${own}`);
    tab.setAttribute("aria-selected", String(isChosen));
    tab.tabIndex = isChosen ? 0 : -1;
    byId(`view-${own}`).hidden = !isChosen;
  }
  if (name === "pairs" && shownPairs === 0) showPairs(false);
}

function listenToTabs() {
  const tabs = ["search", "pairs"];
  tabs.forEach((name, place) => {
    const tab = byId(`tab-${name}`);
    tab.addEventListener("click", () => selectTab(name));
    tab.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1, Home: -place, End: tabs.length - 1 - place }[event.key];
      if (step === undefined) return;
      event.preventDefault();
      const next = tabs[(place + step + tabs.length) % tabs.length];
      selectTab(next);
      byId(`tab-${next}`).focus();
    });
  });
}

function listen() {
  listenToTabs();
  // A jump to the results would be an entry of the history, which leads to a query.
  document.querySelector(".skip").addEventListener("click", (event) => {
    event.preventDefault();
    byId("results").focus();
  });
  const imageOf = (list) => [...(list || [])].find((file) => file.type.startsWith("image/"));
  byId("file").addEventListener("change", (event) => {
    searchImage(event.target.files[0]);
    // The same file can be chosen again.
    event.target.value = "";
  });
  // A picture may be dropped anywhere: beside the frame, a browser would leave the page for it.
  const over = (isOver) => (event) => {
    if (!collection?.reads_images || !event.dataTransfer.types.includes("Files")) return;
    event.preventDefault();
    byId("drop").classList.toggle("over", isOver);
  };
  document.addEventListener("dragover", over(true));
  document.addEventListener("dragleave", over(false));
  document.addEventListener("drop", (event) => {
    over(false)(event);
    if (!event.defaultPrevented) return;
    const file = imageOf(event.dataTransfer.files);
    if (file) searchImage(file);
    else showProblem(byId("problem"), new Problem(0, "Expected the file of a picture."));
  });
  document.addEventListener("paste", (event) => {
    const file = collection?.reads_images && imageOf(event.clipboardData?.files);
    if (file) searchImage(file);
  });
  byId("text-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const text = byId("text").value.trim();
    if (text) start({ kind: "text", text });
  });
  byId("clear").addEventListener("click", () => {
    byId("text").value = "";
    start(null);
  });
  byId("filter-form").addEventListener("submit", (event) => {
    event.preventDefault();
    countFilters();
    refresh();
  });
  byId("filter-form").addEventListener("reset", () => {
    // The fields are reset after the event.
    setTimeout(() => {
      countFilters();
      refresh();
    });
  });
  byId("expression").addEventListener("input", countFilters);
  byId("more").addEventListener("click", () => showItems(true));
  byId("more-pairs").addEventListener("click", () => showPairs(true));
  for (const radio of document.querySelectorAll("input[name='pair-kind']")) {
    radio.addEventListener("change", () => showPairs(false));
  }
  window.addEventListener("popstate", () => {
    query = fromAddress();
    if (collection) refresh();
  });
  byId("token-form").addEventListener("submit", (event) => {
    event.preventDefault();
    token = byId("token").value.trim();
    sessionStorage.setItem("token", token);
    open();
  });
}

async function open() {
  byId("title").textContent = document.title;
  try {
    collection = await askJson("/collection");
  } catch (problem) {
    if (problem.status !== 401) byId("summary").textContent = problem.message;
    return;
  }
  byId("token-form").hidden = true;
  const facts = [`${grouped(collection.items)} ${collection.items === 1 ? "item" : "items"}`];
  if (collection.dim !== undefined) facts.push(`${grouped(collection.dim)} numbers each`);
  if (collection.distance) facts.push(collection.distance);
  byId("summary").textContent = facts.join(" · ");
  byId("image-query").hidden = !collection.reads_images;
  byId("text-form").hidden = !collection.reads_texts;
  byId("no-model").hidden = collection.reads_images || collection.reads_texts;
  byId("tabs").hidden = collection.pairs === 0;
  byId("hits").classList.toggle("plain", !collection.has_pictures);
  byId("k").max = String(collection.largest_k);
  byId("k").value = String(Math.min(ITEMS_AT_ONCE, collection.largest_k));
  // Beside the results there is room for them.
  byId("filters").open = window.matchMedia("(min-width: 60rem)").matches;
  buildFacets(collection.attributes);
  countFilters();
  selectTab("search");
  query = fromAddress();
  if (query?.kind === "text") byId("text").value = query.text;
  await refresh();
}

listen();
open();
