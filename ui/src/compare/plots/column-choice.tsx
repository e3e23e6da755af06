// Choose one column among any number; of a metric also which of its values.
import { useRef, useState } from "preact/hooks";
import { useAnswer, useRested } from "../../api/answer";
import type { ColumnInfo, ColumnsAnswer } from "../../api/types";
import { SearchInput } from "../../common/find";
import { closePopover, MenuButton, MenuItem } from "../../common/popover";
import { plural } from "../../common/values";
import { AGGREGATES, columnOf, KINDS, metricName } from "../../state/columns";

const SHOWN = 60;

/** Say what a column is called: its title, and in a few words which value of it. */
export function columnTitle(name: string): string {
  const column = columnOf(name);
  const { title, detail } = column;
  if (column.kind === "metric" && detail === "last") return title;
  return detail ? `${title} (${detail})` : title;
}

interface ListProps {
  value: string;
  none: string | null;
  onlyMetrics: boolean;
  onChoose: (name: string | null) => void;
}

function ColumnList({ value, none, onlyMetrics, onChoose }: ListProps) {
  const [search, setSearch] = useState("");
  const current = value ? columnOf(value).metric : null;
  const [of, setOf] = useState<string>(current?.of ?? "last");
  const words = useRested(onlyMetrics ? `metrics. ${search}`.trim() : search);
  const { answer, error } = useAnswer<ColumnsAnswer>("columns", { search: words, limit: SHOWN });
  const columns = error ? [] : answer?.columns;
  const total = answer?.total ?? 0;
  const shown = columns?.filter((one) => !onlyMetrics || one.kind === "metric");
  const choose = (info: ColumnInfo): void => {
    const { metric } = columnOf(info.name);
    onChoose(info.kind === "metric" && metric ? metricName(metric.key, of) : info.name);
  };
  const list = useRef<HTMLDivElement>(null);
  const onKeyDown = (event: KeyboardEvent): void => {
    const first = shown?.[0];
    if (event.key === "ArrowDown") list.current?.querySelector("button")?.focus();
    else if (event.key === "Enter" && search && first) {
      closePopover();
      choose(first);
    } else return;
    event.preventDefault();
    event.stopPropagation();
  };
  return (
    <div class="column-choice">
      <SearchInput
        label={onlyMetrics ? "Search metrics" : "Search columns"}
        value={search}
        onSearch={setSearch}
        onKeyDown={onKeyDown}
      />
      <label class="column-choice-of">
        Value of metrics
        <select
          class="input"
          value={of}
          onChange={(event) => {
            setOf(event.currentTarget.value);
            if (current) onChoose(metricName(current.key, event.currentTarget.value));
          }}
        >
          {AGGREGATES.map((one) => (
            <option key={one}>{one}</option>
          ))}
        </select>
      </label>
      <div ref={list} class="column-choice-list">
        {none !== null && !search && (
          <MenuItem checked={!value} onClick={() => onChoose(null)}>
            {none}
          </MenuItem>
        )}
        {shown?.map((info) => (
          <button key={info.name} type="button" class="menu-item" aria-pressed={info.name === value} onClick={() => { closePopover(); choose(info); }}>
            <span>{columnOf(info.name).title}</span>
            <span class="fine soft">{KINDS[info.kind]}</span>
          </button>
        ))}
      </div>
      <p class="picker-count fine soft" role="status">
        {!columns
          ? "Searching…"
          : !shown?.length
            ? "No column has this name."
            : total > SHOWN
              ? `The first ${SHOWN} of ${plural(total, "column")}; search for more.`
              : ""}
      </p>
    </div>
  );
}

interface ChoiceProps {
  label: string;
  value: string;
  /** What choosing nothing is called; null if something has to be chosen. */
  none?: string | null;
  onlyMetrics?: boolean;
  onChange: (name: string | null) => void;
}

/** A button with a column's name that opens a list of all columns. */
export function ColumnChoice({ label, value, none = null, onlyMetrics = false, onChange }: ChoiceProps) {
  const shown = value ? columnTitle(value) : (none ?? "choose…");
  return (
    <MenuButton
      label={`${label}: ${shown}`}
      menu={() => <ColumnList value={value} none={none} onlyMetrics={onlyMetrics} onChoose={onChange} />}
    >
      <span class="soft">{label}</span>
      <span class="choice-value cut">{shown}</span>
    </MenuButton>
  );
}
