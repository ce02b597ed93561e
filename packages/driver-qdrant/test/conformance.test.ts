import { qdrantSource } from "@stillpoint/contracts/source";
import { driverConformance } from "@stillpoint/driver/test/conformance";
import { qdrantDriver } from "../src/qdrant-driver.ts";
import { point, seedCollection, startDouble } from "./double.ts";

driverConformance("Qdrant", async () => {
  const double = await startDouble();
  await seedCollection(double, "written", 0);
  return {
    driver: qdrantDriver,
    source: double.source,
    unreachable: qdrantSource.parse({ kind: "qdrant", url: "http://127.0.0.1:1" }),
    context: (directory, signal) => double.context(directory, { signal }),
    write: async (sequence) => {
      await double.call("PUT", "/collections/written/points?wait=true", { points: [point(sequence)] });
    },
    highest: "written.payload.seq",
    traces: async () => {
      const snapshots = await double.call("GET", "/collections/written/snapshots");
      const { status } = Object(await double.call("GET", "/collections/written"));
      return [JSON.stringify(snapshots), `status ${status}`];
    },
    readOnce: true,
    [Symbol.asyncDispose]: () => double[Symbol.asyncDispose](),
  };
});
