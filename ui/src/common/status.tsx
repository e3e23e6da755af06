// The status of a run: a sign, a colour and a word.
import type { Status } from "../api/types";
import { Icon, type IconName } from "./icons";

const SIGNS: Record<Status, IconName> = {
  queued: "clock",
  running: "play",
  live: "dot",
  complete: "check",
  error: "cross",
  interrupted: "stop",
  pruned: "scissors",
  lost: "question",
  damaged: "question",
};

/** Return whether a run has ended, also if nobody knows when. */
export function isFinal(status: Status): boolean {
  return !["queued", "running", "live"].includes(status);
}

export function StatusMark({ status, text }: { status: Status; text?: string | null }) {
  return (
    <span class={`status status-${status}`} title={text ?? undefined}>
      <Icon name={SIGNS[status] ?? "question"} size={14} />
      {status}
    </span>
  );
}
