/**
 * The environment of a process of ours that a test starts, before the test's own settings: programs are found, and what
 * Node compiled for one process serves the next, which is most of what a start takes.
 */
export const PROCESS_ENVIRONMENT: Readonly<Record<string, string>> = Object.fromEntries(
  ["PATH", "NODE_COMPILE_CACHE"].flatMap((name) => {
    const value = process.env[name];
    return value === undefined ? [] : [[name, value]];
  }),
);
