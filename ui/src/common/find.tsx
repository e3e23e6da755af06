// The field that filters what a view lists.
import { setQuery, word } from "../state/address";

/** The words in the field; they are in the address. */
export const findText = word("find");

/** Return a check whether a text has each of some words. */
export function matcher(words: string): (text: string) => boolean {
  const parts = words.toLowerCase().split(/\s+/).filter(Boolean);
  return (text) => parts.every((one) => text.toLowerCase().includes(one));
}

export function FindInput({ placeholder, label = placeholder }: { placeholder: string; label?: string }) {
  return (
    <input
      id="filter"
      class="input"
      type="search"
      placeholder={placeholder}
      aria-label={label}
      value={findText.value}
      onInput={(event) => setQuery({ find: event.currentTarget.value }, { replace: true })}
    />
  );
}
