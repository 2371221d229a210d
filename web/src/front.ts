// The files of a result as points: each model in each runtime, with what was measured of it.
import type { Report, SweepRow } from "./api";

export interface FrontPoint {
  key: string;
  row: SweepRow;
  runtime: string;
  bytes: number;
  kept: number;
  ms: number | null;
  /** What of a target it does not reach; null where it was not judged. */
  misses: string[] | null;
}

export const BASELINE = "torch";

/** Return the points of a metric, from the smallest file to the largest. */
export function frontOf(report: Report, metric: string): FrontPoint[] {
  const batch = report.target?.batch_size ?? 1;
  const points = (report.sweep ?? []).flatMap((row) => {
    const files = [{ runtime: BASELINE, bytes: row.bytes, quality: row.quality }, ...(row.exports ?? [])];
    return files.flatMap(({ runtime, bytes, quality }): FrontPoint[] => {
      const kept = quality.find((each) => each.metric === metric)?.retention;
      if (kept === undefined) return [];
      const timed = row.latency.find((each) => each.runtime.split(" ")[0] === runtime && each.batch_size === batch);
      const judged = report.target?.front?.find((each) => each.runtime === runtime && each.vocab_size === row.vocab_size && (each.layers ?? null) === (row.layers ?? null));
      return [{ key: `${row.path} ${runtime}`, row, runtime, bytes, kept, ms: timed?.after_ms ?? null, misses: judged?.misses ?? null }];
    });
  });
  return points.sort((a, b) => a.bytes - b.bytes);
}

/** Return the points than which none is both lower and better, from the lowest cost up. */
export function best(points: FrontPoint[], cost: (point: FrontPoint) => number): FrontPoint[] {
  const found: FrontPoint[] = [];
  for (const point of [...points].sort((a, b) => cost(a) - cost(b) || b.kept - a.kept)) {
    if (found.length === 0 || point.kept > found.at(-1)!.kept) found.push(point);
  }
  return found;
}

/** Return the point at the root of the result: the one that was picked, else the model there. */
export function pickedOf(report: Report, points: FrontPoint[]): FrontPoint | undefined {
  const runtime = (report.target?.picked ?? report.target?.nearest)?.runtime ?? BASELINE;
  const atRoot = points.filter((point) => point.row.path === ".");
  return atRoot.find((point) => point.runtime === runtime) ?? atRoot[0] ?? points[0];
}
