// Views that are loaded when they are opened.
import type { ComponentType } from "preact";
import { useEffect, useState } from "preact/hooks";
import { ErrorMessage } from "../common/message";

type Loaded = { default: ComponentType };

/** Return a component that loads itself at its first use. */
export function lazy(load: () => Promise<Loaded>): ComponentType {
  let found: ComponentType | null = null;
  return function Lazy() {
    const [, drawAgain] = useState(0);
    const [error, setError] = useState<unknown>(null);
    useEffect(() => {
      if (found || error) return;
      load().then(
        (module) => {
          found = module.default;
          drawAgain((count) => count + 1);
        },
        (reason: unknown) => setError(reason),
      );
    }, [error]);
    if (error) return <ErrorMessage error={error} retry={() => setError(null)} />;
    const View = found;
    return View ? <View /> : <div class="loading" role="status" aria-label="Loading" />;
  };
}
