import { StillpointError } from "@stillpoint/contracts/errors";

/** A name in Cypher, whatever characters it has. */
export function quoted(name: string): string {
  return `\`${name.replaceAll("\\u0060", "`").replaceAll("`", "``")}\``;
}

/** `Label.property`; the label ends at the first dot, for properties with dots are more common than labels with them. */
export function parseLocator(locator: string): { label: string; property: string } {
  const dot = locator.indexOf(".");
  if (dot <= 0 || dot === locator.length - 1) {
    throw new StillpointError("INVALID_REQUEST", {
      what: "Cannot look values up in a Neo4j source",
      where: locator,
      why: "it must be Label.property, such as Person.id",
    });
  }
  return { label: locator.slice(0, dot), property: locator.slice(dot + 1) };
}
