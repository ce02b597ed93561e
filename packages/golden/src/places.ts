import { fileURLToPath } from "node:url";

const inRoot = (path: string) => fileURLToPath(new URL(`../../../${path}`, import.meta.url));

/** The repository that every later version must restore byte by byte, and what it holds. */
export const GOLDEN = inRoot("fixtures/golden-v1");
export const VECTORS = inRoot("packages/repository/test/vectors/format-1.json");
/** What a shipped log adds to the format, and how it is read and laid. */
export const LOG_VECTORS = inRoot("packages/repository/test/vectors/format-1-log.json");

/** Below a golden directory. */
export const IN_GOLDEN = {
  repository: "repository",
  expected: "expected.json",
  sums: "SHA256SUMS",
  /** One line each, in the clear: nothing but this fixture is sealed with them. */
  passphrase: "passphrase",
  secondPassphrase: "passphrase-second",
  identity: "age-identity",
  escrowIdentity: "age-identity-of-escrow",
} as const;
