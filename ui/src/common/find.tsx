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

interface SearchProps {
  label: string;
  value: string;
  onSearch: (text: string) => void;
  onKeyDown?: (event: KeyboardEvent) => void;
}

/** The field above a list in a menu. */
export function SearchInput({ label, value, onSearch, onKeyDown }: SearchProps) {
  return (
    <input
      class="input"
      type="search"
      autofocus
      placeholder={label}
      aria-label={label}
      value={value}
      onInput={(event) => onSearch(event.currentTarget.value)}
      onKeyDown={onKeyDown}
    />
  );
}
