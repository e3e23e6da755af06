// Code in colours, line by line: each line stands for itself, so that windows of a file can be shown.
import type { ComponentChildren } from "preact";
import "./highlight.css";

interface Language {
  comment: RegExp;
  keywords: ReadonlySet<string>;
  strings: RegExp;
}

function wordsOf(text: string): ReadonlySet<string> {
  return new Set(text.split(" "));
}

const HASH = /^#.*/;
const SLASHES = /^(\/\/.*|\/\*.*?(\*\/|$))/;
const QUOTED = /^("(?:[^"\\]|\\.)*("|$)|'(?:[^'\\]|\\.)*('|$))/;
const TRIPLE = /^([rbfuRBFU]{0,2})("""[^]*?("""|$)|'''[^]*?('''|$)|"(?:[^"\\]|\\.)*("|$)|'(?:[^'\\]|\\.)*('|$))/;
const BACKTICK = /^("(?:[^"\\]|\\.)*("|$)|'(?:[^'\\]|\\.)*('|$)|`(?:[^`\\]|\\.)*(`|$))/;

const LANGUAGES: Record<string, Language> = {
  python: {
    comment: HASH,
    strings: TRIPLE,
    keywords: wordsOf(
      "and as assert async await break case class continue def del elif else except False finally for from global if import in is lambda match None nonlocal not or pass raise return self True try while with yield",
    ),
  },
  script: {
    comment: SLASHES,
    strings: BACKTICK,
    keywords: wordsOf(
      "abstract async await break case catch class const continue default delete do else enum export extends false finally for from function if implements import in instanceof interface let new null of private public return static super switch this throw true try type typeof undefined var void while yield",
    ),
  },
  compiled: {
    comment: SLASHES,
    strings: QUOTED,
    keywords: wordsOf(
      "auto bool break case char class const constexpr continue default delete do double else enum extern false float fn for func go if impl import include inline int let long match mod mut namespace new nullptr package private pub public return short signed sizeof static struct switch template this true type typedef union unsigned use using var virtual void while",
    ),
  },
  shell: {
    comment: HASH,
    strings: QUOTED,
    keywords: wordsOf("case do done elif else esac export fi for function if in local return set then until while"),
  },
  data: { comment: HASH, strings: QUOTED, keywords: wordsOf("true false null yes no on off") },
};

const BY_ENDING: Record<string, keyof typeof LANGUAGES> = {
  py: "python", pyi: "python", pyx: "python", ipynb: "data",
  js: "script", jsx: "script", ts: "script", tsx: "script", mjs: "script",
  c: "compiled", h: "compiled", cc: "compiled", cpp: "compiled", hpp: "compiled", cu: "compiled",
  cuh: "compiled", rs: "compiled", go: "compiled", java: "compiled", jl: "data",
  sh: "shell", bash: "shell", zsh: "shell", sbatch: "shell",
  yaml: "data", yml: "data", toml: "data", ini: "data", cfg: "data", conf: "data", json: "data", r: "data",
};

/** Return the language of a file by its ending; null for one that is not known. */
export function languageOf(path: string): string | null {
  const name = path.slice(path.lastIndexOf("/") + 1).toLowerCase();
  if (name === "makefile" || name === "dockerfile") return "shell";
  return BY_ENDING[name.slice(name.lastIndexOf(".") + 1)] ?? null;
}

const NUMBER = /^(0[xXbBoO][\da-fA-F_]+|(\d[\d_]*\.?[\d_]*|\.\d[\d_]*)([eE][+-]?\d+)?)[jLlfFuU]?/;
const WORD = /^[\p{L}_$][\p{L}\p{N}_$]*/u;
const DECORATOR = /^@[\w.]+/;
const PLAIN = /^[^\p{L}\p{N}_$"'`#/@.]+/u;
/** Longer lines are data rather than code. */
const LONGEST = 600;

/** Return a line of code with the parts of it marked. */
export function highlight(line: string, language: string | null): ComponentChildren {
  const rules = language === null ? undefined : LANGUAGES[language];
  if (!rules || line.length > LONGEST) return line;
  const kinds = [
    ["plain", PLAIN],
    ["comment", rules.comment],
    ["string", rules.strings],
    ["decorator", DECORATOR],
    ["number", NUMBER],
    ["word", WORD],
  ] as const;
  const parts: ComponentChildren[] = [];
  let rest = line;
  while (rest) {
    let kind = "plain";
    let text = "";
    for (const [name, begin] of kinds) {
      text = begin.exec(rest)?.[0] ?? "";
      kind = name;
      if (text) break;
    }
    if (!text) [kind, text] = ["plain", rest[0]!];
    if (kind === "word") kind = rules.keywords.has(text) ? "keyword" : "plain";
    parts.push(kind === "plain" ? text : <span class={`code-${kind}`}>{text}</span>);
    rest = rest.slice(text.length);
  }
  return parts;
}
