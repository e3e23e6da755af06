// A table of names and what is known of each.
import type { ComponentChildren } from "preact";

interface FactTableProps {
  label?: string;
  class?: string;
  facts: [name: string, value: ComponentChildren][];
}

export function FactTable({ label, class: name = "tree", facts }: FactTableProps) {
  return (
    <table class={name} aria-label={label}>
      <tbody>
        {facts.map(([name, value], place) => (
          <tr key={place}>
            <th scope="row" dir="auto">
              {name}
            </th>
            <td>{value}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
