/** Where fetched parts lie, and who hears about progress. The environment is an argument, so that a test can have its own. */
export type PartOptions = {
  /** Everything that is fetched goes below this directory, each part under its name and version. */
  readonly directory: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly log?: (line: string) => void;
};
