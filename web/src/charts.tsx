// Line charts and scatter plots by uPlot, each with a table of its figures behind it.
import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";

export interface Series {
  label: string;
  points: { x: number; y: number; name?: string }[];
  dashed?: boolean;
  marksOnly?: boolean;
  lineOnly?: boolean;
  colour?: number;
}

/** A point that can be picked, by a click or by the arrow keys. */
export interface Mark {
  key: string;
  x: number;
  y: number;
  label: string;
}

interface MarksProps {
  marks: Mark[];
  picked: string;
  onPick: (key: string) => void;
}

interface ChartProps {
  title: string;
  series: Series[];
  picking?: MarksProps;
  xLabel: string;
  yLabel: string;
  height?: number;
  formatX?: (value: number) => string;
  formatY?: (value: number) => string;
  children?: ComponentChildren;
}

const COLOURS = ["--chart-1", "--chart-2", "--chart-3", "--chart-4", "--chart-5", "--chart-6", "--chart-7", "--chart-8"];

export function Chart({ title, series, picking, xLabel, yLabel, height = 240, formatX, formatY, children }: ChartProps) {
  const id = useId();
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const theme = useThemeCount();
  const data = aligned(series);
  const shape = series.map((each) => `${each.label}${each.dashed}`).join("|") + xLabel;
  const drawn = useRef(series);
  drawn.current = series;
  const [drawings, setDrawings] = useState(0);

  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const options = plotOptions(element, series, { height, xLabel, yLabel, formatX, formatY });
    const names = (made: uPlot) => drawNames(made, drawn.current, options.inks.ink, options.inks.family);
    options.hooks = { draw: [names, () => setDrawings((before) => before + 1)] };
    const made = new uPlot(options, data, element);
    plot.current = made;
    const observer = new ResizeObserver(() => {
      if (element.clientWidth) made.setSize({ width: element.clientWidth, height });
    });
    observer.observe(element);
    return () => {
      observer.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [shape, theme]);

  useEffect(() => {
    plot.current?.setData(data);
  }, [JSON.stringify(data)]);

  return (
    <figure aria-labelledby={id} class="chart">
      <figcaption id={id}>{title}</figcaption>
      <ul class="legend" aria-hidden="true">
        {series.map((each, index) => (
          <li key={each.label} class={`key-${(each.colour ?? index) % COLOURS.length} ${each.dashed ? "dashed" : ""}`}>{each.label}</li>
        ))}
      </ul>
      <div class="plotted">
        <div ref={box} class="plot" aria-hidden="true" />
        {picking && plot.current && drawings > 0 && <Marks plot={plot.current} title={title} {...picking} />}
      </div>
      {children && <details class="behind"><summary>The figures as a table</summary>{children}</details>}
    </figure>
  );
}

/** The points as radio buttons that lie over what is drawn: one stop of the tab key for all. */
function Marks({ plot, title, marks, picked, onPick }: MarksProps & { plot: uPlot; title: string }) {
  const name = useId();
  return (
    <div role="radiogroup" aria-label={title} class="marks">
      {marks.map((mark) => (
        <input key={mark.key} type="radio" name={name} aria-label={mark.label} title={mark.label} checked={mark.key === picked} onChange={() => onPick(mark.key)}
          style={{ left: `${plot.over.offsetLeft + plot.valToPos(mark.x, "x")}px`, top: `${plot.over.offsetTop + plot.valToPos(mark.y, "y")}px` }} />
      ))}
    </div>
  );
}

function useThemeCount(): number {
  const [counted, setCounted] = useState(0);
  useEffect(() => {
    const again = () => setCounted((before) => before + 1);
    const system = matchMedia("(prefers-color-scheme: dark)");
    system.addEventListener("change", again);
    addEventListener("themechange", again);
    return () => {
      system.removeEventListener("change", again);
      removeEventListener("themechange", again);
    };
  }, []);
  return counted;
}

/** All series over the union of their x values, in order. */
function aligned(series: Series[]): uPlot.AlignedData {
  const xs = [...new Set(series.flatMap((each) => each.points.map((point) => point.x)))].sort((a, b) => a - b);
  const columns = series.map((each) => {
    const ys = new Map(each.points.map((point) => [point.x, point.y]));
    return xs.map((x) => ys.get(x) ?? null);
  });
  return [xs, ...columns];
}

interface Drawing {
  height: number;
  xLabel: string;
  yLabel: string;
  formatX?: (value: number) => string;
  formatY?: (value: number) => string;
}

interface Inks {
  inks: { ink: string; family: string };
}

function plotOptions(element: HTMLElement, series: Series[], drawing: Drawing): uPlot.Options & Inks {
  const style = getComputedStyle(element);
  const colour = (name: string) => style.getPropertyValue(name).trim();
  const axis = (label: string, format?: (value: number) => string): uPlot.Axis => ({
    space: 60,
    label: label || undefined,
    labelSize: label ? 20 : 0,
    labelFont: `12px ${style.fontFamily}`,
    font: `12px ${style.fontFamily}`,
    stroke: colour("--soft"),
    grid: { stroke: colour("--line"), width: 1 },
    ticks: { show: false },
    values: format && ((_, splits) => splits.map(format)),
  });
  return {
    width: element.clientWidth || 300,
    height: drawing.height,
    legend: { show: false },
    cursor: { show: false },
    scales: { x: { time: false, range: padded }, y: { range: padded } },
    axes: [{ ...axis(drawing.xLabel, drawing.formatX), size: 30 }, { ...axis(drawing.yLabel, drawing.formatY), size: 52 }],
    series: [
      {},
      ...series.map((each, index): uPlot.Series => {
        const line = colour(COLOURS[(each.colour ?? index) % COLOURS.length]!);
        return {
          label: each.label,
          stroke: line,
          width: each.marksOnly ? 0 : 2,
          dash: each.dashed ? [5, 5] : undefined,
          spanGaps: true,
          points: { show: !each.lineOnly && (each.marksOnly || each.points.length < 30), size: each.marksOnly ? 9 : 5, fill: line, stroke: line },
        };
      }),
    ],
    inks: { ink: colour("--ink"), family: style.fontFamily },
  };
}

function padded(_: uPlot, low: number, high: number): [number, number] {
  if (low == null || high == null) return [0, 1];
  const room = (high - low || Math.abs(high) || 1) * 0.08;
  return [low - room < 0 && low >= 0 ? Math.min(0, low) : low - room, high + room];
}

/** Write the names of points beside them, inside of the plot, and none over another. */
function drawNames(plot: uPlot, series: Series[], ink: string, family: string): void {
  const { ctx, bbox } = plot;
  ctx.save();
  ctx.font = `${12 * devicePixelRatio}px ${family}`;
  ctx.fillStyle = ink;
  ctx.textAlign = "left";
  ctx.textBaseline = "alphabetic";
  const written: { left: number; right: number; y: number }[] = [];
  for (const point of series.flatMap((each) => each.points)) {
    if (!point.name) continue;
    const x = plot.valToPos(point.x, "x", true);
    const y = plot.valToPos(point.y, "y", true);
    const toTheLeft = x + ctx.measureText(point.name).width + 16 > bbox.left + bbox.width;
    const below = y - bbox.top < 24 * devicePixelRatio;
    const width = ctx.measureText(point.name).width;
    // Beside the ring around a point that is picked.
    const left = x + (toTheLeft ? -14 * devicePixelRatio - width : 14 * devicePixelRatio);
    const box = { left, right: left + width, y: y + (below ? 18 : -8) * devicePixelRatio };
    if (written.some((other) => box.left < other.right && other.left < box.right && Math.abs(box.y - other.y) < 13 * devicePixelRatio)) continue;
    ctx.fillText(point.name, box.left, box.y);
    written.push(box);
  }
  ctx.restore();
}
