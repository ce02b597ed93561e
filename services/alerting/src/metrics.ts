import { Counter, Gauge, type Registry } from "prom-client";

export function alertingMetrics(registry: Registry, waiting: () => number) {
  new Gauge({
    name: "stillpoint_outbox_notices",
    help: "Notices that not every channel has yet",
    registers: [registry],
    collect() {
      this.set(waiting());
    },
  });
  return {
    deliveries: new Counter({
      name: "stillpoint_notice_deliveries_total",
      help: "Tries to deliver a notice to a channel",
      labelNames: ["outcome"],
      registers: [registry],
    }),
  };
}
