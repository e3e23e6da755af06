// Small pictures, drawn in the colour of the text around them.
const PATHS = {
  check: "M3 8.5l3.2 3.2L13 5",
  cross: "M4 4l8 8M12 4l-8 8",
  play: "M5 3.5v9l7-4.5z",
  clock: "M8 2.5a5.5 5.5 0 1 1 0 11 5.5 5.5 0 0 1 0-11M8 5v3.2l2.2 1.4",
  stop: "M4.5 4.5h7v7h-7z",
  question: "M6 6.2a2 2 0 1 1 2.8 1.9c-.6.3-.8.6-.8 1.4M8 12.2v.3",
  scissors: "M4.5 3l6 8M11.5 3l-6 8M4.2 13a1.6 1.6 0 1 0 0-3.2 1.6 1.6 0 0 0 0 3.2M11.8 13a1.6 1.6 0 1 0 0-3.2 1.6 1.6 0 0 0 0 3.2",
  dot: "M8 6.2a1.8 1.8 0 1 1 0 3.6 1.8 1.8 0 0 1 0-3.6M8 2.5a5.5 5.5 0 1 1 0 11 5.5 5.5 0 0 1 0-11",
  eye: "M1.5 8s2.4-4.2 6.5-4.2S14.5 8 14.5 8 12.1 12.2 8 12.2 1.5 8 1.5 8zM8 6.2a1.8 1.8 0 1 1 0 3.6 1.8 1.8 0 0 1 0-3.6",
  hidden: "M2.5 2.5l11 11M6.3 4a7 7 0 0 1 1.7-.2c4.1 0 6.5 4.2 6.5 4.2a11 11 0 0 1-1.9 2.3M4.3 5.1A10.8 10.8 0 0 0 1.5 8s2.4 4.2 6.5 4.200a6.6 6.6 0 0 0 2.9-.7",
  solo: "M8 1.800v2.600M8 11.600v2.600M1.8 8h2.600M11.6 8h2.600M8 4.400a3.6 3.6 0 1 1 0 7.2 3.6 3.6 0 0 1 0-7.2",
  up: "M8 12.500v-9M4.2 7.200L8 3.400l3.8 3.8",
  down: "M8 3.500v9M4.2 8.800L8 12.600l3.8-3.8",
  left: "M12.5 8h-9M7.2 4.200L3.4 8l3.8 3.8",
  chevron: "M4.5 6.200L8 9.800l3.5-3.6",
  previous: "M9.8 4.500L6.200 8l3.600 3.500",
  download: "M8 2.500v7.300M4.800 6.800L8 10l3.200-3.200M3 13h10",
  right: "M6.2 4.500L9.8 8l-3.6 3.5",
  columns: "M2.5 3.500h11v9h-11zM6.2 3.500v9M9.8 3.500v9",
  group: "M2.5 4h11M4.5 8h9M4.5 12h9",
  bookmark: "M4.5 2.800h7v10.400L8 10.600l-3.5 2.600z",
  copy: "M5.8 5.800h7.400v7.400H5.800zM10.2 5.800V2.800H2.800v7.400h3",
  chart: "M2.5 2.500v11h11M5 10l2.6-3.6 2.2 2L13 4.5",
  trash: "M3 4.500h10M6.2 4.500V2.800h3.600v1.700M4.2 4.500l.6 8.700h6.400l.6-8.7",
  tag: "M2.5 2.800h5l6 6-4.8 4.8-6.2-6.200zM5.2 5.500v.1",
  note: "M3 2.500h10v8l-3 3H3zM5.5 5.500h5M5.5 8h3.5",
  compare: "M5.5 2.500v11M10.5 2.500v11M2.5 5.500h3M2.5 10.500h3M10.5 5.500h3M10.5 10.500h3",
  restore: "M3 8a5 5 0 1 1 1.6 3.700M3 12.500V9h3.5",
  pin: "M6 2.500h4l-.5 4 2.5 2.500H4l2.5-2.500zM8 9v4.5",
  flag: "M4 13.500v-11M4 3h8l-2 2.7 2 2.700H4",
  search: "M7 2.800a4.2 4.2 0 1 1 0 8.4 4.2 4.2 0 0 1 0-8.400M10.2 10.200l3.3 3.3",
  sun: "M8 5.200a2.8 2.8 0 1 1 0 5.6 2.8 2.8 0 0 1 0-5.600M8 1.500v1.600M8 12.900v1.600M1.5 8h1.600M12.9 8h1.600M3.4 3.400l1.1 1.100M11.5 11.500l1.1 1.100M3.4 12.600l1.1-1.100M11.5 4.500l1.1-1.1",
  moon: "M13 9.700A5.5 5.5 0 0 1 6.3 3 5.5 5.5 0 1 0 13 9.700z",
  system: "M2.5 3.500h11v7h-11zM6 13h4M8 10.500V13",
  keyboard: "M1.8 4.500h12.400v7H1.800zM4.2 7h.1M6.7 7h.1M9.2 7h.1M11.7 7h.1M5 9.300h6",
  menu: "M3 4.500h10M3 8h10M3 11.500h10",
  more: "M4 8h.1M8 8h.1M12 8h.1",
  plus: "M8 3v10M3 8h10",
  axes: "M3 2.500v10.500h10.500M1.500 4L3 2.500 4.500 4M12 11.500l1.500 1.500-1.500 1.500",
  expand: "M9.500 2.500h4v4M13.500 2.500L9.200 6.800M6.500 13.500h-4v-4M2.500 13.500l4.300-4.300",
} as const;

export type IconName = keyof typeof PATHS;

/** A picture of 16 pixels; it adds nothing that a screen reader would have to read. */
export function Icon({ name, size = 16 }: { name: IconName; size?: number }) {
  return (
    <svg class="icon" width={size} height={size} viewBox="0 0 16 16" aria-hidden="true">
      <path d={PATHS[name]} />
    </svg>
  );
}

interface IconButtonProps {
  icon: IconName;
  label: string;
  title?: string;
  disabled?: boolean;
  onClick?: () => void;
  size?: number;
}

/** A button that is a picture. */
export function IconButton({ icon, label, title, disabled, onClick, size }: IconButtonProps) {
  return (
    <button type="button" class="icon-button" aria-label={label} title={title} disabled={disabled} onClick={onClick}>
      <Icon name={icon} size={size} />
    </button>
  );
}
