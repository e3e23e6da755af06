// Files of a run: a list, and a look at one of them.
import { useAnswer } from "../api/answer";
import { endpoint } from "../api/client";
import { FindInput, findText, matcher } from "../common/find";
import { Icon } from "../common/icons";
import { Ago } from "../common/time";
import { formatBytes, plural } from "../common/values";
import { href, path as here, word } from "../state/address";
import type { PartProps } from "./index";
import { LookAt } from "./look";
import type { ArtifactInfo } from "./types";
import { ofFile, ofRun } from "./types";
import { visibleText } from "./visible";

const chosen = word("file");
const DRAWN = 500;

interface InputInfo {
  name: string;
  digest: string | null;
  size_bytes: number | null;
  location: string | null;
  source_uid: string | null;
  used_at: string;
}

function isMedium(one: ArtifactInfo): boolean {
  return one.path.startsWith("media/");
}

export function Artifacts({ run, around, version }: PartProps) {
  const listed = useAnswer<{ artifacts: ArtifactInfo[]; inputs: InputInfo[] }>(
    ofRun(run.uid, "artifacts"),
    {},
    { version },
  ).answer;
  const saved = listed?.artifacts ?? run.artifacts;
  // Media have a part of their own; other files come first here.
  const artifacts = [...saved.filter((one) => !isMedium(one)), ...saved.filter(isMedium)];
  const fits = matcher(findText.value);
  const fitting = artifacts.filter((one) => fits(`${one.path} ${one.media_type}`));
  const open = artifacts.find((one) => one.path === chosen.value);
  const total = artifacts.reduce((sum, one) => sum + one.size_bytes, 0);
  const inputs = listed?.inputs ?? [];
  if (!artifacts.length && !inputs.length) {
    return (
      <p class="soft">
        This run saved no files. In a program: <code>run.save("model.pt")</code>
      </p>
    );
  }
  return (
    <div class={open ? "files has-look" : "files"}>
      <div class="files-list">
        <div class="part-tools bar">
          <FindInput placeholder="Filter files" />
          <span class="soft">
            {plural(fitting.length, "file")}, {formatBytes(total)}
          </span>
        </div>
        <ul class="file-rows" aria-label="Files">
          {fitting.slice(0, DRAWN).map((one) => (
            <FileRow key={one.path} file={one} uid={run.uid} isOpen={one === open} />
          ))}
        </ul>
        {fitting.length > DRAWN && (
          <p class="soft">{fitting.length - DRAWN} more: filter to see them.</p>
        )}
        {inputs.length > 0 && <Inputs inputs={inputs} sources={around?.sources ?? []} />}
      </div>
      {open && <LookAt key={open.path} uid={run.uid} file={open} />}
      {!open && chosen.value && listed && (
        <p class="soft">This run has no file {visibleText(chosen.value)}.</p>
      )}
    </div>
  );
}

function FileRow({ file, uid, isOpen }: { file: ArtifactInfo; uid: string; isOpen: boolean }) {
  const query: Record<string, string> = { tab: "files", file: file.path };
  if (findText.value) query.find = findText.value;
  return (
    <li class={isOpen ? "open" : undefined}>
      <a class="cut" href={href(here.value, query)} aria-current={isOpen ? "true" : undefined} dir="auto">
        {visibleText(file.path)}
      </a>
      <span class="soft file-type">{file.media_type}</span>
      <span class="file-size">{formatBytes(file.size_bytes)}</span>
      <a
        class="icon-button"
        href={endpoint(ofFile(uid, "artifacts", file.path), { save: 1 })}
        download
        aria-label={`Download ${visibleText(file.path)}`}
        title="Download"
      >
        <Icon name="download" size={14} />
      </a>
    </li>
  );
}

interface InputsProps {
  inputs: InputInfo[];
  sources: { uid: string; reference: string; is_deleted: boolean }[];
}

function Inputs({ inputs, sources }: InputsProps) {
  return (
    <section class="card">
      <h2>Input data</h2>
      <table class="tree" aria-label="Input data">
        <tbody>
          {inputs.slice(0, DRAWN).map((one) => {
            const source = sources.find((run) => run.uid === one.source_uid);
            return (
              <tr key={one.name}>
                <th scope="row">
                  <bdi>{visibleText(one.name)}</bdi>
                </th>
                <td>
                  {source && !source.is_deleted ? (
                    <a href={`/runs/${source.uid}`}>{source.reference}</a>
                  ) : (
                    <bdi class="soft">{source?.reference ?? one.location ?? ""}</bdi>
                  )}
                </td>
                <td class="number">{one.size_bytes !== null && formatBytes(one.size_bytes)}</td>
                <td class="soft">
                  <Ago at={one.used_at} />
                </td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </section>
  );
}
