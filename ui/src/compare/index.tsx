// Several runs side by side.
import { CopyAs, pythonText, shellWord } from "../common/copy";
import { EmptyMessage } from "../common/message";
import { RunList } from "../common/run-list";
import { list } from "../state/address";
import { store } from "../state/store";

const runs = list("runs");

export default function CompareView() {
  const uids = runs.value;
  if (uids.length < 2) {
    return (
      <EmptyMessage title="Choose the runs to compare">
        <p>
          Select two or more <a href="/">runs</a>, then press <kbd>C</kbd> or Compare.
        </p>
      </EmptyMessage>
    );
  }
  const copied = () => ({
    command: `runstore compare ${uids.map(shellWord).join(" ")}`,
    python: `import runstore\n\nstore = runstore.Store.open(${pythonText(store.value?.path ?? ".")})\ncomparison = store.compare(${JSON.stringify(uids)})`,
  });
  return (
    <div class="page">
      <div class="page-head">
        <a href="/">Runs</a>
        <h1>Compare {uids.length} runs</h1>
        <CopyAs texts={copied} />
      </div>
      <RunList uids={uids} />
    </div>
  );
}
