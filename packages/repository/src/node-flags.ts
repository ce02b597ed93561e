/**
 * For processes that take in or give out backups. Bytes lie outside of the language's heap. With its default limit every few
 * MiB of them start a collection of all of it: 90 collections and 2.4 s of CPU for a backup of 256 MB on two cores, 42 and
 * 1.9 s with a limit of 64 MiB; for one of 1.5 GB through the vault, 256 saved 1.3 of the 15 s that were left. Buffers of a
 * socket live until the young generation is collected, and a small one is collected often: the vault's peak for 1.5 GB is
 * 448 MiB with the default, 406 with 4, 379 with 2 and 394 with 1.
 * Code that runs once in a few seconds is thrown away by each collection and compiled anew, unless it is kept: shipping WAL takes
 * 5 ms of an agent for each MB so, 9 without any of these.
 */
export const NODE_FLAGS: readonly string[] = [
  "--initial-old-space-size=256",
  "--max-semi-space-size=2",
  "--no-flush-bytecode",
];
