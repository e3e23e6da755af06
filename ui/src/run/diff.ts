// A patch as files and lines.
export type Kind = "add" | "remove" | "same" | "hunk" | "note";

export interface DiffLine {
  kind: Kind;
  text: string;
  before: number | null;
  after: number | null;
}

export interface DiffFile {
  name: string;
  lines: DiffLine[];
  added: number;
  removed: number;
}

/** Take a patch of git apart; what is none of it is kept as notes. */
export function readDiff(text: string): DiffFile[] {
  const files: DiffFile[] = [];
  let file: DiffFile | null = null;
  let before = 0;
  let after = 0;
  // How many lines of the hunk are still to come: within it `--- a` is a removed line.
  let left = 0;
  let right = 0;
  const open = (name: string): DiffFile => {
    const made: DiffFile = { name, lines: [], added: 0, removed: 0 };
    files.push(made);
    return made;
  };
  for (const line of text.replace(/\n$/, "").split("\n")) {
    const hunk = /^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@(.*)/.exec(line);
    if (hunk) {
      file ??= open("");
      before = Number(hunk[1]);
      left = Number(hunk[2] ?? 1);
      after = Number(hunk[3]);
      right = Number(hunk[4] ?? 1);
      file.lines.push({ kind: "hunk", text: line, before: null, after: null });
    } else if (left > 0 || right > 0) {
      file ??= open("");
      const sign = line[0];
      if (sign === "+") {
        file.lines.push({ kind: "add", text: line.slice(1), before: null, after: after++ });
        file.added++;
        right--;
      } else if (sign === "-") {
        file.lines.push({ kind: "remove", text: line.slice(1), before: before++, after: null });
        file.removed++;
        left--;
      } else if (sign === "\\") {
        file.lines.push({ kind: "note", text: line, before: null, after: null });
      } else {
        file.lines.push({ kind: "same", text: line.slice(1), before: before++, after: after++ });
        left--;
        right--;
      }
    } else if (line.startsWith("diff --git ")) {
      file = open(nameIn(line.slice("diff --git ".length)));
    } else if (line.startsWith("+++ ") && file && !line.startsWith("+++ /dev/null")) {
      file.name = line.slice(4).replace(/^b\//, "").replace(/\t.*$/, "") || file.name;
    } else if (!/^(index |--- |\+\+\+ )/.test(line)) {
      if (line || file) {
        file ??= open("");
        file.lines.push({ kind: "note", text: line, before: null, after: null });
      }
    }
  }
  return files.filter((one) => one.name || one.lines.some((line) => line.text));
}

function nameIn(names: string): string {
  // Both names are the same but for their first letter, unless a file was renamed.
  const half = (names.length - 1) / 2;
  if (Number.isInteger(half) && names.slice(2, half) === names.slice(half + 3)) return names.slice(2, half);
  return names.replace(/^a\//, "").replace(/ b\//, " → ");
}
