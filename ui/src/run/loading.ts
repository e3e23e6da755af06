// What is loaded of a run, read again when the run changes.
import { useEffect, useState } from "preact/hooks";
import { isAbort } from "../api/client";
import { onPoints, onRunsChanged } from "../api/live";
import { rowsByUid } from "../state/rows";
import { onTouched } from "../state/undo";

interface LoadedText {
  value: string | null;
  error: unknown;
}

/** Return a text, not JSON, that the server has; at most its first bytes, if so many are given. */
export function useText(address: string | null, most?: number): LoadedText {
  const [state, setState] = useState<LoadedText>({ value: null, error: null });
  useEffect(() => {
    setState({ value: null, error: null });
    if (address === null) return undefined;
    const running = new AbortController();
    const headers: HeadersInit = most ? { Range: `bytes=0-${most - 1}` } : {};
    fetch(address, { signal: running.signal, credentials: "same-origin", headers })
      .then(async (answer) => {
        if (!answer.ok) throw new Error(`The server answered ${answer.status}.`);
        setState({ value: await answer.text(), error: null });
      })
      .catch((error: unknown) => {
        if (!isAbort(error)) setState({ value: null, error });
      });
    return () => running.abort();
  }, [address, most]);
  return state;
}

const SETTLE_MS = 400;

/** Return a number that grows whenever the run changes, points and edits included. */
export function useVersion(uid: string | null): { version: number; id: number | null } {
  const [version, setVersion] = useState(0);
  const [id, setId] = useState<number | null>(null);
  useEffect(() => {
    if (uid === null) return undefined;
    const running = new AbortController();
    let row: number | null = null;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const changed = () => {
      timer ??= setTimeout(() => {
        timer = undefined;
        setVersion((before) => before + 1);
      }, SETTLE_MS);
    };
    rowsByUid([uid], [], running.signal).then(
      ([found]) => {
        row = found?.id ?? null;
        setId(row);
      },
      () => undefined, // the record itself says what is wrong
    );
    const stops = [
      onRunsChanged((event) => {
        if (event.many || (row !== null && event.ids.includes(row))) changed();
      }),
      onPoints((event) => {
        if (event.runs.some((run) => run.uid === uid)) changed();
      }),
      onTouched((uids) => {
        if (uids.includes(uid)) setVersion((before) => before + 1);
      }),
    ];
    return () => {
      running.abort();
      clearTimeout(timer);
      for (const stop of stops) stop();
    };
  }, [uid]);
  return { version, id };
}
