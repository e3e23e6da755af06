// A few lines of code to copy.
import { copyText } from "./copy";
import { IconButton } from "./icons";

export function CopyCode({ text }: { text: string }) {
  return (
    <div class="copy-code">
      <pre tabIndex={0}>{text}</pre>
      <IconButton icon="copy" label="Copy the code" title="Copy" onClick={() => void copyText(text)} />
    </div>
  );
}
