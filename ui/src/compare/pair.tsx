// Which two of several runs a tab is about.
import { setQuery } from "../state/address";
import { rowByUid, rowsVersion } from "../state/rows";
import { pair, runs } from "./state";

function nameOf(uid: string): string {
  void rowsVersion.value; // read where it is shown: components draw again for what they read themselves
  const row = rowByUid(uid);
  return row ? row.name : uid.slice(0, 13);
}

export function PairChoice() {
  const now = pair.value;
  if (!now) return null;
  const [first, second] = now;
  return (
    <div class="pair bar">
      <Choice label="From" value={first} other={second} word="a" />
      <button
        type="button"
        class="button"
        title="Swap the runs"
        aria-label="Swap the runs"
        onClick={() => setQuery({ a: second, b: first })}
      >
        ⇄
      </button>
      <Choice label="To" value={second} other={first} word="b" />
    </div>
  );
}

function Choice({ label, value, other, word }: { label: string; value: string; other: string; word: "a" | "b" }) {
  return (
    <label class="pair-choice">
      {label}
      <select class="input" value={value} onChange={(event) => setQuery({ [word]: event.currentTarget.value, [word === "a" ? "b" : "a"]: other })}>
        {runs.value
          .filter((uid) => uid !== other)
          .map((uid) => (
            <option key={uid} value={uid}>
              {nameOf(uid)}
            </option>
          ))}
      </select>
    </label>
  );
}
