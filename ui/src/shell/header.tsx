// The head of every view: where one is, where one can go, and whether changes arrive live.
import { reachable } from "../api/client";
import { live, trouble } from "../api/live";
import { Icon, IconButton } from "../common/icons";
import { MenuButton, MenuItem } from "../common/popover";
import { href, path } from "../state/address";
import { filter } from "../state/order";
import { store } from "../state/store";
import { chooseTheme, wantedTheme, type Wanted } from "../state/theme";
import { showKeys } from "./keys";

const PLACES = [
  { path: "/", name: "Runs" },
  { path: "/experiments", name: "Experiments" },
  { path: "/compare", name: "Compare" },
  { path: "/pivot", name: "Pivot" },
];

const THEMES: { wanted: Wanted; name: string }[] = [
  { wanted: "system", name: "System" },
  { wanted: "light", name: "Light" },
  { wanted: "dark", name: "Dark" },
];
const THEME_ICONS = { system: "system", light: "sun", dark: "moon" } as const;

/** Views of many runs keep the filter. */
function hrefOf(place: string): string {
  return place === "/experiments" ? place : href(place, { filter: filter.value });
}

function isHere(place: string): boolean {
  const at = path.value;
  return place === "/" ? at === "/" || at.startsWith("/runs/") : at === place;
}

export function Header() {
  const info = store.value;
  return (
    <header class="top">
      <a class="brand" href="/" aria-label="runstore: all runs">
        <svg width="22" height="22" viewBox="0 0 32 32" aria-hidden="true">
          <rect width="32" height="32" rx="7" class="brand-ground" />
          <path class="brand-line" d="M8 22l6-8 4 5 6-10" />
        </svg>
        <span class="brand-name">runstore</span>
      </a>
      {info && (
        <span class="store-name cut" title={info.path}>
          {info.name}
        </span>
      )}
      {info?.read_only && <span class="badge">read-only</span>}
      <nav aria-label="Views">
        {PLACES.map((place) => (
          <a
            key={place.path}
            href={hrefOf(place.path)}
            aria-current={isHere(place.path) ? "page" : undefined}
          >
            {place.name}
          </a>
        ))}
      </nav>
      <Connection />
      <MenuButton
        label="Colours"
        class="icon-button"
        menu={() => (
          <div class="menu">
            {THEMES.map(({ wanted, name }) => (
              <MenuItem
                key={wanted}
                checked={wantedTheme.value === wanted}
                onClick={() => chooseTheme(wanted)}
              >
                {name}
              </MenuItem>
            ))}
          </div>
        )}
      >
        <Icon name={THEME_ICONS[wantedTheme.value]} />
      </MenuButton>
      <IconButton icon="keyboard" label="Keyboard" title="Keyboard (?)" onClick={showKeys} />
    </header>
  );
}

function Connection() {
  const problem = trouble.value;
  const [kind, text, title] = problem
    ? ["off", "Trouble", [problem.message, problem.hint].filter(Boolean).join(" ")]
    : !reachable.value
    ? ["off", "Offline", "The server is not responding. Start it again with: runstore ui"]
    : live.value
      ? ["on", "Live", "Changes appear as they happen."]
      : ["wait", "Connecting", "Connecting to the server"];
  return (
    <span class={`connection connection-${kind}`} title={title} role="status">
      {text}
    </span>
  );
}
