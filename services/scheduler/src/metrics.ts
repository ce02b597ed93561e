import { Counter, Gauge, type Registry } from "prom-client";

export function schedulerMetrics(registry: Registry) {
  return {
    ticks: new Counter({
      name: "stillpoint_ticks_total",
      help: "Runs asked for by the schedule, by what became of the question",
      labelNames: ["plan", "outcome"],
      registers: [registry],
    }),
    /** Silence shows here: a schedule that nobody publishes lets it stand still. */
    lastTick: new Gauge({
      name: "stillpoint_last_tick_timestamp_seconds",
      help: "When a run of the plan was last asked for by the schedule",
      labelNames: ["plan"],
      registers: [registry],
    }),
  };
}
