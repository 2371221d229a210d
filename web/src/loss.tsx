// The loss curves of a job's recovery, a colour for each size.
import type { LossPoint } from "./api";
import { Chart, type Series } from "./charts";
import { count, fixed } from "./format";
import { Figures } from "./ui";

interface LossChartProps {
  losses: Map<string, LossPoint[]>;
  small?: boolean;
}

export function LossChart({ losses, small = false }: LossChartProps) {
  const several = losses.size > 1;
  const series = [...losses].flatMap(([model, points], index): Series[] => {
    const name = several ? model : "";
    const heldOut = points.filter((point) => point.held_out != null);
    const lines = [{ label: name || "training texts", colour: index, points: points.map((point) => ({ x: point.step, y: point.train })) }];
    if (small || heldOut.length === 0) return lines;
    return [...lines, { label: `${name ? `${name}, ` : ""}held-out texts`, colour: index, dashed: true, points: heldOut.map((point) => ({ x: point.step, y: point.held_out! })) } as Series];
  });
  return (
    <Chart title={small ? "Loss" : "Loss by step of the training"} series={series} xLabel={small ? "" : "step"} yLabel={small ? "" : "loss"} height={small ? 96 : 240}>
      {!small && (
        <Figures
          caption="Loss"
          head={["Step", ...(several ? ["Model"] : []), "Training texts", "Held-out texts"]}
          rows={[...losses].flatMap(([model, points]) => points.map((point) => ({
            key: `${model} ${point.step}`,
            cells: [count(point.step), ...(several ? [model] : []), fixed(point.train, 4), point.held_out == null ? "" : fixed(point.held_out, 4)],
          })))}
        />
      )}
    </Chart>
  );
}
