import { benchLargeIndex } from "@stillpoint/repository/bench/large-index";
import type { Area } from "./area.ts";

/** Opening a large repository whose index objects were never merged, and working in it. */
export const index: Area = ({ chunks, log }) => benchLargeIndex({ chunks, kind: "small", log });
