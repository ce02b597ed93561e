import type { DriverContext } from "@stillpoint/driver/driver";
import type { BoltSource, CaptureSteps } from "./bolt-source.ts";
import { exportTree } from "./export-tree.ts";
import type { LogicalDetail } from "./mark-detail.ts";
import { lastCommitted } from "./server-facts.ts";

const WHY_FUZZY =
  "it is exported over Bolt after the cut, and the export reads what is committed at the moment it comes to it: " +
  "give the agent the server's data directory for a copy that is at one moment";

/** Everything that can be read over Bolt, where the server's files are out of reach. */
export function openLogical(source: BoltSource, context: DriverContext): CaptureSteps {
  const { driver, database, where, facts, description } = source;
  return {
    description,
    async base() {
      throw new TypeError("an export has no base");
    },
    async settle() {
      await lastCommitted(driver, database, where);
    },
    async mark({ cutId }) {
      const txId = await lastCommitted(driver, database, where);
      const detail: LogicalDetail = { format: "logical", database, databaseId: facts.databaseId, txId };
      return { cutId, position: `tx ${txId}, or later`, detail, fuzzy: WHY_FUZZY, notes: [] };
    },
    async finish(tree) {
      await exportTree(source, tree, context);
    },
  };
}
