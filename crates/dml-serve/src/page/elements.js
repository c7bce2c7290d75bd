// Elements of the page. Everything that comes from the service becomes text, never markup.

const byId = (id) => document.getElementById(id);

/** An element with properties and children; a child that is no element is text, and null is none. */
function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "class") element.className = value;
    else if (name.startsWith("aria-") || name === "role" || name === "for") element.setAttribute(name, value);
    else element[name] = value;
  }
  for (const child of children) {
    if (child !== null && child !== undefined) element.append(child);
  }
  return element;
}

/** Words of an element's name that the eye finds elsewhere. */
const spoken = (words) => make("span", { class: "spoken" }, words);

const grouped = (number) => number.toLocaleString("en");

/** A distance with enough digits to distinguish neighbours. */
function shownDistance(distance) {
  const size = Math.abs(distance);
  if (size !== 0 && (size < 1e-3 || size >= 1e6)) return distance.toExponential(3);
  return distance.toFixed(size < 100 ? 4 : 1);
}

const shownValue = (value) => (typeof value === "number" ? String(value) : value === true ? "yes" : value === false ? "no" : value);

function showProblem(element, problem) {
  element.textContent = problem ? problem.message : "";
  element.hidden = !problem;
}
