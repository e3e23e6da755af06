// Filters that the store keeps under a name; `runstore ls @name` uses them too.
import { useEffect, useRef, useState } from "preact/hooks";
import { get, isAbort, post } from "../api/client";
import { IconButton } from "../common/icons";
import { ErrorMessage } from "../common/message";
import { closePopover } from "../common/popover";
import { setQuery } from "../state/address";
import { filter } from "../state/order";
import { store } from "../state/store";
import { showError, toast } from "../state/toasts";

interface SavedFilter {
  name: string;
  filter: string;
}

export function SavedFilters() {
  const [saved, setSaved] = useState<SavedFilter[] | null>(null);
  const [error, setError] = useState<unknown>(null);
  const [name, setName] = useState("");
  const running = useRef<AbortController | null>(null);
  const load = () => {
    running.current?.abort(); // its answer may come after this one, and be of before a change
    running.current = new AbortController();
    get<{ filters: SavedFilter[] }>("filters", {}, running.current.signal).then(
      (answer) => setSaved(answer.filters),
      (reason: unknown) => isAbort(reason) || setError(reason),
    );
  };
  useEffect(() => {
    load();
    return () => running.current?.abort();
  }, []);
  const save = async () => {
    try {
      await post("filters", { name: name.trim(), filter: filter.value });
      toast(`Saved the filter as @${name.trim()}`);
      setName("");
      load();
    } catch (reason) {
      showError(reason);
    }
  };
  const forget = async (one: SavedFilter) => {
    try {
      await post("filters", { name: one.name, filter: null });
      toast(`Removed the filter @${one.name}`, {
        action: { label: "Undo", run: () => void post("filters", one).then(load, showError) },
      });
      load();
    } catch (reason) {
      showError(reason);
    }
  };
  const isReadOnly = store.value?.read_only ?? false;
  if (error) return <ErrorMessage error={error} />;
  return (
    <div class="saved">
      <div class="menu-title fine soft cut">Saved filters</div>
      {saved?.length === 0 && (
        <p>No saved filters yet.{!filter.value && " Type a filter first, then save it here."}</p>
      )}
      <ul>
        {saved?.map((one) => (
          <li key={one.name}>
            <button
              type="button"
              class="menu-item"
              title={one.filter}
              onClick={() => {
                closePopover();
                setQuery({ filter: one.filter });
              }}
            >
              <span>@{one.name}</span>
              <span class="soft mono cut">{one.filter}</span>
            </button>
            {!isReadOnly && (
              <IconButton
                icon="cross"
                label={`Remove the filter ${one.name}`}
                onClick={() => void forget(one)}
                size={14}
              />
            )}
          </li>
        ))}
      </ul>
      {!isReadOnly && filter.value && (
        <form
          class="form-line"
          onSubmit={(event) => {
            event.preventDefault();
            if (name.trim()) void save();
          }}
        >
          <label>
            Name of this filter
            <input class="input" required value={name} onInput={(event) => setName(event.currentTarget.value)} />
          </label>
          <button type="submit" class="button primary">
            Save
          </button>
        </form>
      )}
    </div>
  );
}
