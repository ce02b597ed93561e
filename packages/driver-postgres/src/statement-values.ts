import { types } from "pg";

const { builtins } = types;

/**
 * How a value of a statement's answer crosses to whoever compares it: numbers as numbers where none of their digits is
 * lost by it, booleans and JSON as what they are, all else as PostgreSQL writes it.
 */
export const statementTypes = { getTypeParser: (oid: number) => parserOf(oid) };

function parserOf(oid: number): (text: string) => unknown {
  switch (oid) {
    case builtins.INT2:
    case builtins.INT4:
    case builtins.INT8:
    case builtins.OID:
    case builtins.FLOAT4:
    case builtins.FLOAT8:
    case builtins.NUMERIC:
      return numberOrText;
    case builtins.BOOL:
      return (text) => text === "t";
    case builtins.JSON:
    case builtins.JSONB:
      return (text) => JSON.parse(text);
    default:
      return (text) => text;
  }
}

function numberOrText(text: string): number | string {
  const number = Number(text);
  return Number.isFinite(number) && String(number) === text ? number : text;
}
