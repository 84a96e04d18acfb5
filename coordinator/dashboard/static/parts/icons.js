// Icons: strokes on a square of 16, decoration only. What they mean stands beside them, or in the label of the button.

import { html } from "../core/view.js";

const PATHS = {
  overview: "M2.5 13.5v-5M6.2 13.5v-11M9.8 13.5v-7M13.5 13.5v-4",
  jobs: "M2.5 4h11M2.5 8h11M2.5 12h7",
  queues: "M2.5 3.5h11v3h-11zM2.5 9.5h11v3h-11z",
  schedules: "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12zM8 4.8V8l2.2 1.6",
  workers: "M5 13.5a3.2 3.2 0 0 1-.4-6.4 3.8 3.8 0 0 1 7.3 1A2.7 2.7 0 0 1 11.5 13.500z",
  dead: "M8 2.200 14.300 13.500H1.700zM8 6.500v3.200M8 11.600v.1",
  tokens: "M9.500 6.500a3.500 3.500 0 1 1-2-2l6 6v3h-3v-2h-2z",
  audit: "M4 2.500h8v11H4zM6.300 5.500h3.400M6.300 8h3.400M6.300 10.500h1.800",
  plus: "M8 3v10M3 8h10",
  search: "M7 11.500a4.500 4.500 0 1 0 0-9 4.500 4.500 0 0 0 0 9zM10.300 10.300l3.200 3.200",
  copy: "M5.500 5.500h8v8h-8zM10.500 5.500v-3h-8v8h3",
  check: "M3 8.500l3.200 3.200L13 4.800",
  close: "M4 4l8 8M12 4l-8 8",
  right: "M6 3.500 10.500 8 6 12.500",
  down: "M3.500 6 8 10.500 12.500 6",
  play: "M5 3.500v9l7-4.500z",
  pause: "M5.500 3.500v9M10.500 3.500v9",
  retry: "M13 8a5 5 0 1 1-1.500-3.600M13 2.500v3h-3",
  trash: "M3 4.500h10M6.500 4.500v-2h3v2M4.500 4.500l.6 9h5.800l.6-9",
  edit: "M3 13l.6-3L10.500 3l2.500 2.500L6 12.400z",
  stop: "M4 4h8v8H4z",
  menu: "M2.500 4.500h11M2.500 8h11M2.500 11.500h11",
  sun: "M8 10.800a2.800 2.800 0 1 0 0-5.600 2.800 2.800 0 0 0 0 5.600zM8 1.500v1.500M8 13v1.500M1.500 8H3M13 8h1.500M3.400 3.400l1 1M11.600 11.600l1 1M3.400 12.600l1-1M11.600 4.400l1-1",
  moon: "M13 9.500A5.500 5.500 0 0 1 6.500 3 5.500 5.500 0 1 0 13 9.500z",
  system: "M2.500 3.500h11v7h-11zM6 13h4",
  help: "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12zM6.200 6.400a1.800 1.800 0 1 1 2.600 1.600c-.6.3-.8.600-.8 1.200M8 11.300v.1",
  out: "M6.500 13.500h-4v-11h4M10 5l3 3-3 3M13 8H6",
  bolt: "M9 1.800 3.500 9H7.500L7 14.200 12.500 7H8.500z",
  filter: "M2.500 3.500h11L9.500 8.500v4l-3 1.200V8.500z",
  key: "M6 10.500a3 3 0 1 1 2.500-1.300M8.300 9.300h5.200v2M11.500 9.300v1.600",
};

export const Icon = ({ name }) => html`
  <svg class="icon" viewBox="0 0 16 16" aria-hidden="true" focusable="false"><path d=${PATHS[name]} /></svg>
`;
