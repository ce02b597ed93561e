import { StillpointError } from "@stillpoint/contracts/errors";

const COMPONENT = /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}$/;

/** The names that every storage takes as they are: ASCII, no empty component, none that begins with a dot. */
export function assertObjectName(name: string): void {
  if (name.length <= 900 && name.split("/").every((component) => COMPONENT.test(component))) return;
  throw new StillpointError("INVALID_REQUEST", {
    what: "Not the name of an object",
    where: name.slice(0, 200),
    why: "components are 1–200 of A-Z, a-z, 0-9, dot, _ and -, none begins with a dot",
  });
}
