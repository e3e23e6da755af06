// A few lines of code to copy.
import { copyText } from "./copy";
import { Icon } from "./icons";

export function CopyCode({ text }: { text: string }) {
  return (
    <div class="copy-code">
      <pre tabIndex={0}>{text}</pre>
      <button
        type="button"
        class="icon-button"
        aria-label="Copy the code"
        title="Copy"
        onClick={() => void copyText(text)}
      >
        <Icon name="copy" />
      </button>
    </div>
  );
}
