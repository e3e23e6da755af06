// The one owner of the address: every view reads its state from here and writes it here.
import { computed, type ReadonlySignal, signal } from "@preact/signals";
import { joinNames, splitNames } from "../api/client";

export type Words = Readonly<Record<string, string>>;

interface Address {
  path: string;
  query: Words;
}

function read(): Address {
  return { path: location.pathname, query: Object.fromEntries(new URLSearchParams(location.search)) };
}

export const address = signal<Address>(read());
export const path = computed(() => address.value.path);

addEventListener("popstate", () => {
  address.value = read();
});

/** Return the text of an address within the page; commas, slashes and the like stay readable. */
export function href(path: string, query: Words = {}): string {
  const words = Object.entries(query).filter(([, value]) => value !== "");
  const text = words.map(([name, value]) => `${name}=${encode(value)}`).join("&");
  return path + (text && `?${text}`);
}

function encode(value: string): string {
  return encodeURIComponent(value)
    .replace(/%20/g, "+")
    .replace(/%(2C|2F|3A|40|3D|5B|5D)/gi, (code) => decodeURIComponent(code));
}

/** Go to a view; `replace` leaves no entry in the browser's history. */
export function go(path: string, query: Words = {}, options: { replace?: boolean } = {}): void {
  const target = href(path, query);
  if (target === location.pathname + location.search) return;
  if (options.replace) history.replaceState(null, "", target);
  else history.pushState(null, "", target);
  address.value = read();
}

/** Change some words of the query; an empty text or null removes the word. */
export function setQuery(
  changes: Record<string, string | null>,
  options: { replace?: boolean } = {},
): void {
  const query: Record<string, string> = { ...address.value.query };
  for (const [name, value] of Object.entries(changes)) {
    if (value) query[name] = value;
    else delete query[name];
  }
  go(address.value.path, query, options);
}

const words = new Map<string, ReadonlySignal<string>>();
const lists = new Map<string, ReadonlySignal<string[]>>();

/** Return a word of the query, "" when it is missing. */
export function word(name: string): ReadonlySignal<string> {
  let found = words.get(name);
  if (!found) words.set(name, (found = computed(() => address.value.query[name] ?? "")));
  return found;
}

/** Return a comma list of the query; the same array as long as the text is the same. */
export function list(name: string): ReadonlySignal<string[]> {
  const text = word(name);
  let found = lists.get(name);
  if (!found) lists.set(name, (found = computed(() => splitNames(text.value))));
  return found;
}

export function setList(
  name: string,
  values: Iterable<string>,
  options: { replace?: boolean } = {},
): void {
  setQuery({ [name]: joinNames(values) }, options);
}

/** Add a value to a list of the query, or remove it. */
export function toggleInList(name: string, value: string, options: { replace?: boolean } = {}): void {
  setList(name, toggled(list(name).value, value), options);
}

/** Return values with another one, or without it if they have it. */
export function toggled(values: string[], value: string): string[] {
  return values.includes(value) ? values.filter((other) => other !== value) : [...values, value];
}

/** Follow links within the page without loading it again. */
export function followLinks(): void {
  document.addEventListener("click", (event) => {
    if (event.defaultPrevented || event.button !== 0) return;
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    const link = (event.target as Element).closest?.("a");
    if (!link || link.target || link.origin !== location.origin) return;
    if (link.hasAttribute("download") || link.pathname.startsWith("/api/")) return;
    event.preventDefault();
    go(link.pathname, Object.fromEntries(new URLSearchParams(link.search)));
  });
}
