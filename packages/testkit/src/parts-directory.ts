import { fileURLToPath } from "node:url";

/** Where the parts of this checkout lie: the same place for tests, demo and start, so each is fetched once. */
export const PARTS_DIRECTORY = fileURLToPath(new URL("../../../.stillpoint/parts", import.meta.url));

/** The folder of the Qdrant test double. */
export const QDRANT_DOUBLE_DIRECTORY = fileURLToPath(new URL("../qdrant-double", import.meta.url));
