// A look at a file. What it holds is drawn by us or by a sandbox; it never becomes part of the page.
import { signal } from "@preact/signals";
import { useState } from "preact/hooks";
import { useAnswer } from "../api/answer";
import { endpoint } from "../api/client";
import { CopyAs, pythonText, shellWord } from "../common/copy";
import { Icon, IconButton } from "../common/icons";
import { ErrorMessage } from "../common/message";
import { openStore, program } from "../common/program";
import { formatBytes, formatCell, formatCount, numberOf, plural } from "../common/values";
import { setQuery } from "../state/address";
import { Markdown } from "./markdown";
import { visibleText } from "./visible";
import type { ArtifactInfo, Look } from "./types";
import { ofFile } from "./types";

/** What one sees of a file; `file.digest` says when to look again. */
export function LookAt({ uid, file }: { uid: string; file: ArtifactInfo }) {
  const look = useAnswer<Look>(ofFile(uid, "looks", file.path), {}, {
    version: Number.parseInt(file.digest.slice(0, 8), 16),
  });
  const contents = endpoint(ofFile(uid, "artifacts", file.path));
  return (
    <section class="look card" aria-label={`Preview of ${visibleText(file.path)}`}>
      <div class="card-head bar">
        <h2 dir="auto">{visibleText(file.path)}</h2>
        <span class="look-tools">
          <CopyAs
            texts={() => ({
              command: `${program()} download ${uid} ${shellWord(file.path)} --output .`,
              python: `${openStore()}run = store.get(${pythonText(uid)})\nwith run.open(${pythonText(file.path)}) as file:\n    contents = file.read()`,
            })}
          />
          <a class="button" href={`${contents}?save=1`} download>
            <Icon name="download" /> <span class="label">Download</span>
          </a>
          <IconButton
            icon="cross"
            label="Close the preview"
            title="Close"
            onClick={() => setQuery({ file: null })}
          />
        </span>
      </div>
      <p class="soft look-facts">
        {formatBytes(file.size_bytes)} · {look.answer?.media_type ?? file.media_type}
        {look.answer && look.answer.media_type !== file.media_type && <> (it says {file.media_type})</>} ·{" "}
        <code title={`SHA-256 ${file.digest}`}>{file.digest.slice(0, 12)}</code>
      </p>
      {look.error ? <ErrorMessage error={look.error} /> : null}
      {!look.answer && !look.error && <div class="loading" role="status" aria-label="Loading" />}
      {look.answer && <Contents look={look.answer} uid={uid} file={file} address={contents} />}
    </section>
  );
}

interface ContentsProps {
  look: Look;
  uid: string;
  file: ArtifactInfo;
  address: string;
}

function Contents({ look, uid, file, address }: ContentsProps) {
  switch (look.kind) {
    case "image":
      return <Picture address={address} name={file.path} />;
    case "svg":
      // As a picture it executes nothing and loads nothing.
      return <Picture address={address} name={file.path} source={look.text} />;
    case "audio":
      return <audio controls src={address} aria-label={file.path} />;
    case "video":
      return <video controls src={address} aria-label={file.path} />;
    case "html":
      return <SavedPage uid={uid} file={file} address={address} />;
    case "markdown":
      return (
        <>
          <Markdown
            text={look.text}
            pictureOf={(picture) => endpoint(ofFile(uid, "artifacts", beside(file.path, picture)))}
          />
          <Cut isCut={look.is_cut} />
        </>
      );
    case "table":
      return <Rows look={look} name={file.path} />;
    case "json":
    case "text":
      return (
        <>
          <pre class="plain-text" tabIndex={0} dir="ltr">
            {visibleText(look.text)}
          </pre>
          <Cut isCut={look.is_cut} />
        </>
      );
    default:
      return <p class="soft">{look.why}</p>;
  }
}

/** Runs whose saved pages may execute their scripts, until the tab is closed. */
const trusted = signal<ReadonlySet<string>>(new Set());

/** A saved page, such as an interactive figure: isolated from the page, its scripts after a click. */
function SavedPage({ uid, file, address }: Omit<ContentsProps, "look">) {
  const isRun = trusted.value.has(uid);
  const download = <a href={`${address}?save=1`} download>Download it</a>;
  return (
    <>
      <p class="look-note soft">
        {isRun ? (
          <>
            Scripts in this file run isolated from the page and cannot send requests. If a figure is empty, it
            needs a library from the internet: {download} to open it.
          </>
        ) : (
          <>
            <button
              type="button"
              class="button small"
              onClick={() => {
                trusted.value = new Set([...trusted.value, uid]);
              }}
            >
              Run scripts
            </button>{" "}
            Interactive figures need scripts, which run isolated from the page and cannot send requests.
          </>
        )}
      </p>
      <iframe
        key={String(isRun)}
        class="look-frame"
        sandbox={isRun ? "allow-scripts" : ""}
        src={isRun ? `${address}?figure=1` : address}
        title={`The saved page ${file.path}`}
      />
    </>
  );
}

/** The path of a picture that a text beside it names. */
function beside(path: string, name: string): string {
  const parts = path.split("/").slice(0, -1);
  for (const part of decoded(name).split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "." && part) parts.push(part);
  }
  return parts.join("/");
}

function decoded(name: string): string {
  try {
    return decodeURI(name);
  } catch {
    return name; // a percent sign that means itself
  }
}

function Cut({ isCut }: { isCut: boolean }) {
  return isCut ? <p class="soft">Only the beginning is shown. Download the file to see all of it.</p> : null;
}

function Picture({ address, name, source }: { address: string; name: string; source?: string }) {
  const [isSource, setSource] = useState(false);
  const [isBroken, setBroken] = useState(false);
  return (
    <>
      {isSource ? (
        <pre class="plain-text" tabIndex={0}>
          {source}
        </pre>
      ) : isBroken ? (
        <p class="soft">The browser cannot display this image.</p>
      ) : (
        <div class="look-picture">
          <img src={address} alt={name} onError={() => setBroken(true)} />
        </div>
      )}
      {source !== undefined && (
        <button type="button" class="button small quiet" onClick={() => setSource(!isSource)}>
          {isSource ? "Show the image" : "Show the source"}
        </button>
      )}
    </>
  );
}

function Rows({ look, name }: { look: Look; name: string }) {
  const shown = look.rows.length;
  const rows = look.row_count === null ? `first ${plural(shown, "row")}` : plural(look.row_count, "row");
  return (
    <>
      <p class="soft">
        {rows}, {plural(look.column_count, "column")}
        {look.is_cut && look.row_count !== null && `; the first ${formatCount(shown)} are shown`}
      </p>
      <div class="wide table-look" tabIndex={0} role="region" aria-label={`Rows of ${name}`}>
        <table class="table">
          <thead>
            <tr>
              {look.columns.map((column, place) => (
                <th key={place} scope="col" dir="auto">
                  {column}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {look.rows.map((row, number) => (
              <tr key={number}>
                {row.map((cell, place) => (
                  <td key={place} class={isNumber(cell) ? "number" : undefined} dir="auto">
                    {typeof cell === "string" ? visibleText(cell) : formatCell(cell)}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </>
  );
}

function isNumber(cell: Look["rows"][number][number]): boolean {
  if (numberOf(cell) !== null) return true;
  return typeof cell === "string" && /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/.test(cell);
}
