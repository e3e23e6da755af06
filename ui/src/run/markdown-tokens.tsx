// Tokens of marked as elements; HTML within a text stays text.
import { Lexer, type Token, type Tokens } from "marked";
import type { ComponentChildren } from "preact";

export type MarkdownRenderer = (
  text: string,
  pictureOf: (path: string) => string | null,
  keepsLines: boolean,
) => ComponentChildren;

type PictureOf = (path: string) => string | null;

export const render: MarkdownRenderer = (text, pictureOf, keepsLines) =>
  blocks(bounded(new Lexer({ gfm: true, breaks: keepsLines }).lex(text)), pictureOf);

/** Quotes in quotes in lists: deeper than this nobody reads, and a browser may not draw. */
const DEEPEST = 24;

/** Return tokens of which those too deep are their text. */
function bounded(tokens: Token[], depth = 0): Token[] {
  return tokens.map((token) => {
    if (depth >= DEEPEST) return { type: "text", raw: token.raw, text: token.raw } as Token;
    const found = { ...token } as Token & { tokens?: Token[]; items?: Tokens.ListItem[] };
    if (found.tokens) found.tokens = bounded(found.tokens, depth + 1);
    if (found.items) {
      found.items = found.items.map((item) => ({ ...item, tokens: bounded(item.tokens, depth + 1) }));
    }
    return found;
  });
}

function blocks(tokens: Token[], pictureOf: PictureOf): ComponentChildren {
  return tokens.map((token, place) => <Block key={place} token={token} pictureOf={pictureOf} />);
}

function Block({ token, pictureOf }: { token: Token; pictureOf: PictureOf }) {
  const inside = (tokens: Token[] | undefined) => inline(tokens ?? [], pictureOf);
  switch (token.type) {
    case "heading": {
      // A text is part of a page that has a title and headings of its own.
      const { depth, tokens } = token as Tokens.Heading;
      const Head = (["h3", "h4", "h5", "h6", "h6", "h6"] as const)[depth - 1] ?? "h6";
      return <Head class={`heading-${depth}`}>{inside(tokens)}</Head>;
    }
    case "paragraph":
      return <p>{inside(token.tokens)}</p>;
    case "code": {
      const { text, lang } = token as Tokens.Code;
      return (
        <pre tabIndex={0} dir="ltr" data-language={lang || undefined}>
          {text}
        </pre>
      );
    }
    case "blockquote":
      return <blockquote>{blocks(token.tokens ?? [], pictureOf)}</blockquote>;
    case "list":
      return <List list={token as Tokens.List} pictureOf={pictureOf} />;
    case "table":
      return <Table table={token as Tokens.Table} pictureOf={pictureOf} />;
    case "hr":
      return <hr />;
    case "space":
    case "def":
      return null;
    case "html":
      return <HtmlText text={token.raw} isBlock />;
    case "text":
      return <>{"tokens" in token && token.tokens ? inside(token.tokens) : plain(token)}</>;
    default:
      return <p>{token.raw}</p>;
  }
}

function List({ list, pictureOf }: { list: Tokens.List; pictureOf: PictureOf }) {
  const items = list.items.map((item, place) => (
    <li key={place} class={item.task ? "task" : undefined}>
      {item.task && (
        <input type="checkbox" checked={item.checked ?? false} disabled aria-label={item.checked ? "done" : "to do"} />
      )}
      {blocks(
        item.tokens.filter((token) => token.type !== "checkbox"),
        pictureOf,
      )}
    </li>
  ));
  return list.ordered ? <ol start={Number(list.start) || 1}>{items}</ol> : <ul>{items}</ul>;
}

function Table({ table, pictureOf }: { table: Tokens.Table; pictureOf: PictureOf }) {
  const classOf = (place: number) => table.align[place] && `align-${table.align[place]}`;
  return (
    <div class="wide" tabIndex={0} role="region" aria-label="Table">
      <table class="table">
        <thead>
          <tr>
            {table.header.map((cell, place) => (
              <th key={place} scope="col" class={classOf(place) || undefined}>
                {inline(cell.tokens, pictureOf)}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {table.rows.map((row, number) => (
            <tr key={number}>
              {row.map((cell, place) => (
                <td key={place} class={classOf(place) || undefined}>
                  {inline(cell.tokens, pictureOf)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function inline(tokens: Token[], pictureOf: PictureOf): ComponentChildren {
  return tokens.map((token, place) => <Inline key={place} token={token} pictureOf={pictureOf} />);
}

function Inline({ token, pictureOf }: { token: Token; pictureOf: PictureOf }) {
  const inside = () => inline(("tokens" in token && token.tokens) || [], pictureOf);
  switch (token.type) {
    case "strong":
      return <strong>{inside()}</strong>;
    case "em":
      return <em>{inside()}</em>;
    case "del":
      return <del>{inside()}</del>;
    case "codespan":
      return <code>{plain(token)}</code>;
    case "br":
      return <br />;
    case "link":
      return <Link href={(token as Tokens.Link).href}>{inside()}</Link>;
    case "image": {
      const { href, text } = token as Tokens.Image;
      const source = /^[a-z][a-z0-9+.-]*:|^\//i.test(href) ? null : pictureOf(href);
      // Pictures of other hosts are not loaded: nobody learns that a text is read.
      if (source) return <img src={source} alt={text} loading="lazy" />;
      return <Link href={href}>{text || href}</Link>;
    }
    case "html":
      return <HtmlText text={token.raw} />;
    case "text":
    case "escape":
      return <>{"tokens" in token && token.tokens ? inside() : plain(token)}</>;
    default:
      return <>{token.raw}</>;
  }
}

/** A link to another page; one that would execute something is its text. */
function Link({ href, children }: { href: string; children: ComponentChildren }) {
  if (!/^(https?:|mailto:)/i.test(href)) return <span title={href}>{children}</span>;
  return (
    <a href={href} target="_blank" rel="noopener noreferrer" title={href}>
      {children}
    </a>
  );
}

function HtmlText({ text, isBlock }: { text: string; isBlock?: boolean }) {
  if (/^\s*<br\s*\/?>\s*$/i.test(text)) return <br />;
  if (/^\s*<!--[^]*-->\s*$/.test(text)) return null;
  return isBlock ? <p class="as-text mono soft">{text.trimEnd()}</p> : <>{text}</>;
}

const ENTITIES: Record<string, string> = { amp: "&", lt: "<", gt: ">", quot: '"', "#39": "'", nbsp: "\u00a0" };

/** The text of a token: entities in it are the letters that they mean. */
function plain(token: Token): string {
  const text = "text" in token ? String(token.text) : token.raw;
  return token.type === "codespan"
    ? text
    : text.replace(/&(amp|lt|gt|quot|#39|nbsp);/g, (_, name: string) => ENTITIES[name] ?? "");
}
