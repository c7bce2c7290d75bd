// Requests to the service.

let token = sessionStorage.getItem("token") || "";

class Problem extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** The answer of the service; an error has its sentence. */
async function ask(path, options = {}) {
  const headers = new Headers(options.headers);
  if (token) headers.set("authorization", `Bearer ${token}`);
  let response;
  try {
    response = await fetch(path, { ...options, headers });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, "The service does not answer.");
  }
  if (response.ok) return response;
  const body = await response.json().catch(() => ({}));
  if (response.status === 401) askForToken(token !== "");
  throw new Problem(response.status, body.error || `The service answered with status ${response.status}.`);
}

const askJson = async (path, options) => (await ask(path, options)).json();

const postJson = (path, body, signal) =>
  askJson(path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body), signal });

function askForToken(isWrong) {
  byId("token-form").hidden = false;
  byId("token-problem").textContent = isWrong ? "This token is not the right one." : "";
  byId("summary").textContent = "";
  byId("token").focus();
}

const itemPath = (id) => `/items/${encodeURIComponent(String(id))}`;

// Pictures are loaded when they come into view.
const waiting = new WeakMap();
const observer = new IntersectionObserver(
  (entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      observer.unobserve(entry.target);
      load(entry.target, waiting.get(entry.target));
    }
  },
  { rootMargin: "400px" },
);

/** A frame for the picture at a path, or with `fallback` as text where there is none. */
function picture(path, fallback) {
  const frame = make("span", { class: "thumb" });
  if (path) {
    waiting.set(frame, { path, fallback });
    observer.observe(frame);
  } else {
    frame.append(make("span", { class: "none" }, fallback));
  }
  return frame;
}

async function load(frame, { path, fallback }) {
  try {
    // The request of an image element has no token.
    const address = token ? URL.createObjectURL(await (await ask(path)).blob()) : path;
    // Its name is that of the button around it.
    const image = make("img", { alt: "", decoding: "async" });
    const done = () => token && URL.revokeObjectURL(address);
    image.addEventListener("load", done);
    image.addEventListener("error", () => {
      done();
      frame.replaceChildren(make("span", { class: "none" }, fallback));
    });
    image.src = address;
    frame.replaceChildren(image);
  } catch {
    frame.replaceChildren(make("span", { class: "none" }, fallback));
  }
}
