/** Where the shipped log lies in a tree, one file for each closed stretch or tail, named after the position it begins at. */
export const SHIPPED_DIRECTORY = ".stillpoint/wal";
/** What a point that rests on the log has beyond its place: of each database a log, below its name. */
export const SINCE_DIRECTORY = ".stillpoint/since";
/** What a base says of where it stands in the logs. */
export const BASE_PATH = ".stillpoint/sqlite-base.json";
