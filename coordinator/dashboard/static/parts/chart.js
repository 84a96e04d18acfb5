// Plots over time: one value a minute, by uPlot. What the pointer is at stands in the legend; without one, the last.

import { html, useEffect, useLayoutEffect, useMemo, useRef, useState } from "../core/view.js";

const HEIGHT = 168;

let uPlot = null;

/** Loaded when the first plot is drawn: no other page needs it. */
async function loaded() {
  uPlot ??= (await import("../vendor/uplot.js")).default;
  return uPlot;
}

/**
 * `times` are Unix ms; `series` are `{name, values, color}` with colours named as in the style; null is a gap.
 * `kind` is `bars`, stacked, or `lines`. `format` makes text of a value.
 */
export function Chart({ label, times, series, kind = "lines", format }) {
  const [at, setAt] = useState(null);
  const [isReady, setReady] = useState(uPlot !== null);
  const [scheme, setScheme] = useState(0);
  const box = useRef(null);
  const plot = useRef(null);
  const names = series.map(({ name }) => name).join("\n");
  const data = useMemo(() => dataOf(times, series, kind), [times, series, kind]);

  useEffect(() => {
    void loaded().then(() => setReady(true));
  }, []);
  useEffect(() => {
    const redraw = () => setScheme((before) => before + 1);
    const query = matchMedia("(prefers-color-scheme: dark)");
    query.addEventListener("change", redraw);
    addEventListener("theme", redraw);
    return () => {
      query.removeEventListener("change", redraw);
      removeEventListener("theme", redraw);
    };
  }, []);
  useLayoutEffect(() => {
    if (!isReady || !box.current) {
      return undefined;
    }
    const made = new uPlot(optionsOf({ box: box.current, series, kind, format, setAt }), data, box.current);
    plot.current = made;
    const observer = new ResizeObserver(() => made.setSize({ width: box.current.clientWidth, height: HEIGHT }));
    observer.observe(box.current);
    return () => {
      observer.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [isReady, names, kind, scheme]);
  useLayoutEffect(() => plot.current?.setData(data), [data]);

  // The present minute has only begun: the one before it tells more.
  const shown = at ?? Math.max(0, times.length - 2);
  const words = series.map(({ name, values }) => `${name} ${told(values[shown], format)}`).join(", ");
  return html`
    <figure class="chart">
      <div class="chart-box" ref=${box} role="img" aria-label=${`${label}, over ${times.length} minutes; ${words}`}></div>
      <figcaption class="legend">
        ${series.map(
          ({ name, values, color }) => html`
            <span key=${name} class="legend-item">
              <span class=${`swatch is-${color}`} aria-hidden="true"></span>${name}<b>${told(values[shown], format)}</b>
            </span>
          `,
        )}
        <span class="legend-time faint">${times.length ? clockTime(times[shown]) : ""}</span>
      </figcaption>
    </figure>
  `;
}

const told = (value, format) => (value === null || value === undefined ? "–" : format(value));
const clockTime = (ms) => new Date(ms).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });

/** Bars stand on each other: the highest is drawn first, and the others before it. */
function dataOf(times, series, kind) {
  const seconds = times.map((ms) => ms / 1000);
  if (kind === "lines") {
    return [seconds, ...series.map(({ values }) => values)];
  }
  const sums = times.map(() => 0);
  const stacked = series.map(({ values }) => values.map((value, at) => (sums[at] += value ?? 0)));
  return [seconds, ...stacked.reverse()];
}

function optionsOf({ box, series, kind, format, setAt }) {
  const color = colorsOf(box);
  const axis = { stroke: color("faint"), font: "11px sans-serif", ticks: { show: false }, gap: 6 };
  const drawn = series.map(({ color: name }) => ({
    stroke: color(name),
    width: kind === "bars" ? 0 : 1.75,
    fill: kind === "bars" ? color(name) : undefined,
    paths: kind === "bars" ? uPlot.paths.bars({ size: [0.72, 24], radius: 0.15 }) : uPlot.paths.spline(),
    points: { show: false },
    spanGaps: true,
  }));
  return {
    width: box.clientWidth,
    height: HEIGHT,
    legend: { show: false },
    padding: [8, 14, 0, 0],
    cursor: { y: false, points: { show: kind === "lines", size: 6 }, drag: { x: false, y: false } },
    scales: { x: { time: true }, y: { range: (_, __, most) => [0, Math.max(1, most * 1.08)] } },
    axes: [
      { ...axis, grid: { show: false }, size: 24, values: (_, ticks) => ticks.map((tick) => clockTime(tick * 1000)), space: 64 },
      { ...axis, grid: { stroke: color("line"), width: 1 }, size: 52, values: (_, ticks) => ticks.map((tick) => format(tick)), space: 36 },
    ],
    series: [{}, ...(kind === "bars" ? drawn.reverse() : drawn)],
    hooks: { setCursor: [(made) => setAt(made.cursor.idx ?? null)] },
  };
}

/** The canvas knows no variables of the style: an element tells what they come to. */
function colorsOf(box) {
  return (name) => {
    const probe = document.createElement("span");
    probe.className = `probe is-${name}`;
    box.append(probe);
    const found = getComputedStyle(probe).color;
    probe.remove();
    return found;
  };
}

/** A line of bars without axes, for a row of a table. */
export function Spark({ values, label, tone = "series-1" }) {
  const most = Math.max(1, ...values);
  const width = 100 / Math.max(1, values.length);
  return html`
    <svg class="spark" viewBox="0 0 100 24" preserveAspectRatio="none" role="img" aria-label=${label}>
      ${values.map((value, at) => {
        const height = value ? Math.max(1.5, (24 * value) / most) : 0.6;
        return html`<rect key=${at} class=${`is-${tone} ${value ? "" : "is-none"}`} x=${at * width} y=${24 - height} width=${width * 0.78} height=${height} />`;
      })}
    </svg>
  `;
}
