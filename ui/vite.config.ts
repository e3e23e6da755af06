import { defineConfig } from "vite";

// The built page is packaged with the Python code that serves it.
export default defineConfig({
  base: "/",
  plugins: [
    {
      // An error of marked asks to report it; the page names no other host, as a test checks.
      name: "no-foreign-addresses",
      transform: (code, id) =>
        id.includes("/marked/") ? code.replace(/\s*Please report this to https:\/\/[\w./]+/, "") : null,
    },
  ],
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  build: {
    outDir: "../src/runstore/web/static",
    emptyOutDir: true,
    target: "es2022",
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0, // the content security policy allows no data: scripts or styles
    reportCompressedSize: false,
  },
  server: {
    // `npm run dev` beside `runstore ui --port 8765`.
    proxy: { "/api": "http://127.0.0.1:8765" },
  },
});
