// Every view is also a command and a few lines of Python, to copy.
import { toast } from "../state/toasts";
import { Icon } from "./icons";
import { MenuButton } from "./popover";

export async function copyText(text: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
    toast("Copied.");
  } catch {
    toast("The browser did not allow copying.", {
      kind: "error",
      hint: "Select the text and copy it by hand.",
    });
  }
}

/** Quote a word for a shell. */
export function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replace(/'/g, "'\\''")}'`;
}

/** Write a text as Python does. */
export function pythonText(text: string): string {
  return JSON.stringify(text);
}

interface CopyAsProps {
  /** Without it the address of the page. */
  address?: string;
  command: string;
  python: string;
}

/** A button that offers the view as an address, a command and Python. */
export function CopyAs({ texts }: { texts: () => CopyAsProps }) {
  return (
    <MenuButton
      label="Copy as"
      class="button"
      menu={() => {
        const { address = location.href, command, python } = texts();
        return (
          <div class="copy-as">
            <CopyPart name="Address" text={address} />
            <CopyPart name="Command" text={command} />
            <CopyPart name="Python" text={python} />
          </div>
        );
      }}
    >
      <Icon name="copy" />
      <span class="label">Copy as</span>
    </MenuButton>
  );
}

function CopyPart({ name, text }: { name: string; text: string }) {
  return (
    <section>
      <header>
        <h2>{name}</h2>
        <button type="button" class="button small" onClick={() => void copyText(text)}>
          Copy<span class="visually-hidden"> {name}</span>
        </button>
      </header>
      <pre tabIndex={0}>{text}</pre>
    </section>
  );
}
