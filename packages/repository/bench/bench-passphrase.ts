import { Secret } from "@stillpoint/contracts/secret";

/** Protects nothing: the repositories of a benchmark are deleted with it. */
export const BENCH_PASSPHRASE = new Secret("a passphrase of the benchmark");
