// The code of two runs: the files that differ, and the lines of one of them.
import { useEffect } from "preact/hooks";
import { useAnswer } from "../../api/answer";
import { ErrorMessage } from "../../common/message";
import { plural } from "../../common/values";
import { setQuery, word } from "../../state/address";
import { visibleText } from "../../run/visible";
import { PairChoice } from "../pair";
import { type NamedRun, pair } from "../state";
import { DiffView } from "./diff";

export interface ChangedFile {
  file: number;
  kind: "added" | "deleted" | "renamed" | "changed";
  old_path: string | null;
  new_path: string | null;
  added: number;
  removed: number;
  remark: string;
}

interface CodeAnswer {
  runs: NamedRun[];
  is_known: boolean;
  remarks: string[];
  files: ChangedFile[];
}

const SIGNS = { added: "A", deleted: "D", renamed: "R", changed: "M" } as const;
const TONES: Partial<Record<ChangedFile["kind"], string>> = { added: "good", deleted: "bad" };
const fileWord = word("file");

export function nameOf(file: ChangedFile): string {
  if (file.kind === "renamed") return visibleText(`${file.old_path} → ${file.new_path}`);
  return visibleText(file.new_path ?? file.old_path ?? "");
}

export default function CodeTab() {
  const [first, second] = pair.value!;
  const { answer, error, isWaiting, retry } = useAnswer<CodeAnswer>("diff/code", { a: first, b: second });
  if (error) return <ErrorMessage error={error} retry={retry} />;
  const chosen = answer?.files.find((file) => nameOf(file) === fileWord.value) ?? answer?.files[0];
  return (
    <div class="view">
      <div class="plot-tools bar">
        <PairChoice />
        {answer && (
          <span class="plot-count bar soft" role="status">
            {answer.files.length ? `${plural(answer.files.length, "file")} ${answer.files.length === 1 ? "differs" : "differ"}` : ""}
          </span>
        )}
      </div>
      {isWaiting && <div class="loading" role="status" aria-label="Loading" />}
      {answer?.remarks.map((text) => (
        <p key={text} class="code-remark soft">
          {text}
        </p>
      ))}
      {answer && !answer.files.length && (
        <div class="message">
          <h2>{answer.is_known ? "The code is the same" : "The code cannot be compared"}</h2>
          {!answer.is_known && (
            <p>
              Runs that start within a git repository record their commit, uncommitted changes and new files. Start{" "}
              <code>runstore ui</code> in a clone of the repository that has both commits.
            </p>
          )}
        </div>
      )}
      {answer && chosen && (
        <div class="code-split">
          <FileList files={answer.files} chosen={chosen} />
          <DiffView key={`${first} ${second} ${chosen.file}`} a={first} b={second} file={chosen} />
        </div>
      )}
    </div>
  );
}

function FileList({ files, chosen }: { files: ChangedFile[]; chosen: ChangedFile }) {
  useEffect(() => {
    document.querySelector(".code-files [aria-current]")?.scrollIntoView({ block: "nearest" });
  }, [chosen]);
  return (
    <nav class="code-files" aria-label="Files">
      <ul>
        {files.map((file) => (
          <li key={file.file}>
            <button
              type="button"
              aria-current={file === chosen ? "true" : undefined}
              title={nameOf(file)}
              onClick={() => setQuery({ file: nameOf(file) }, { replace: true })}
            >
              <span class={`code-kind ${TONES[file.kind] ?? "soft"}`} title={file.kind}>
                {SIGNS[file.kind]}
                <span class="visually-hidden"> {file.kind}</span>
              </span>
              <span class="code-path cut">
                <bdi>{nameOf(file)}</bdi>
              </span>
              {file.added + file.removed > 0 && (
                <span class="code-counts">
                  <ins class="good">+{file.added}</ins> <del class="bad">−{file.removed}</del>
                </span>
              )}
            </button>
          </li>
        ))}
      </ul>
    </nav>
  );
}
