/**
 * Libraries without which data cannot be replayed or read: they bring WAL of a kind of their own or hook into every
 * query of their tables. All others, those above all that run jobs or send data away, have no place in a copy.
 */
const NEEDED_BY_DATA = ["timescaledb", "citus", "orioledb", "pg_search", "rum"];

/** Settings that keep a needed library from working by itself. */
const QUIETED: Record<string, Record<string, string>> = {
  timescaledb: { "timescaledb.max_background_workers": "0", "timescaledb.telemetry_level": "off" },
};

export function neededPreload(sharedPreloadLibraries: string | undefined): string[] {
  const loaded = (sharedPreloadLibraries ?? "").split(",").map((entry) => entry.trim().replace(/^"|"$/g, ""));
  return loaded.filter((entry) => NEEDED_BY_DATA.includes(entry.replace(/^\$libdir\//, "")));
}

export function quietingSettings(libraries: readonly string[]): Record<string, string> {
  return Object.assign({}, ...libraries.map((library) => QUIETED[library.replace(/^\$libdir\//, "")]));
}
