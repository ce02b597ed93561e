import { describe, expect, test } from "vitest";
import { formatBaseUrl, parseBaseUrl } from "../src/base-url.ts";
import { formatJson, parseJson } from "../src/json.ts";
import { parseLocator, valuesAt } from "../src/locator.ts";
import { type Neighbours, sameNeighbours } from "../src/neighbours.ts";
import { stillRunning } from "../src/optimizations.ts";
import { idFromText } from "../src/point-id.ts";
import { runtimeOf } from "../src/server-version.ts";
import { collectionFolder } from "../src/tree-layout.ts";

test("numbers that a double does not hold keep their digits in JSON", () => {
  const text =
    '{"id":18446744073709551615,"small":7,"float":1.5,"far":-9007199254740993,"text":"18446744073709551615"}';
  expect(parseJson(text)).toEqual({
    id: 18446744073709551615n,
    small: 7,
    float: 1.5,
    far: -9007199254740993n,
    text: "18446744073709551615",
  });
  expect(formatJson(parseJson(text))).toBe(text);
  expect([
    idFromText("18446744073709551615"),
    idFromText("12"),
    idFromText("0a1b2c3d-0000-4000-8000-000000000148"),
  ]).toEqual([18446744073709551615n, 12, "0a1b2c3d-0000-4000-8000-000000000148"]);
});

test("a URL without a port means Qdrant's own, and one that is written stays", () => {
  const read = (text: string) => formatBaseUrl(parseBaseUrl(text));
  expect(read("http://qdrant")).toBe("http://qdrant:6333");
  expect(read("https://qdrant.example/")).toBe("https://qdrant.example:6333");
  expect(read("http://qdrant:80")).toBe("http://qdrant:80");
  expect(read("https://qdrant.example:443/vectors/")).toBe("https://qdrant.example:443/vectors");
  expect(read("http://[::1]:7000")).toBe("http://[::1]:7000");
});

test("a locator means the longest collection that is there", () => {
  const known = ["shop", "shop.products", "notes"];
  expect(parseLocator("shop.products.payload.id", known)).toEqual({ collection: "shop.products", field: "id" });
  expect(parseLocator("shop.id", known)).toEqual({ collection: "shop", field: undefined });
  expect(parseLocator("notes.payload.a.b", known)).toEqual({ collection: "notes", field: "a.b" });
  for (const wrong of ["shop", "shop.vector", "none.id", "notes.payload."]) {
    expect(() => parseLocator(wrong, known)).toThrow(expect.objectContaining({ code: "INVALID_REQUEST" }));
  }
});

test("values of a payload are found in objects and arrays, and what is missing is none", () => {
  const payload = { id: 7, tags: ["a", null, "b"], parts: [{ no: 1 }, { no: 2 }, {}], empty: null };
  const found = (field: string) => [...valuesAt(payload, field)];
  expect(found("id")).toEqual([7]);
  expect(found("tags")).toEqual(["a", "b"]);
  expect(found("parts[].no")).toEqual([1, 2]);
  expect([...found("empty"), ...found("absent.deeper")]).toEqual([]);
});

test("only optimizations that were there at first are waited for", () => {
  expect(stillRunning(new Set(["a", "b"]), new Set(["b", "c"]))).toEqual(new Set(["b"]));
});

test("a runtime is a minor version that is known to have what is needed", () => {
  expect(runtimeOf("1.17.1")).toBe("qdrant-1.17");
  expect(runtimeOf("qdrant 1.19.0")).toBe("qdrant-1.19");
  expect([runtimeOf("1.13.6"), runtimeOf("2.0.0"), runtimeOf("dev")]).toEqual([undefined, undefined, undefined]);
});

test("a collection's folder is one plain component, and another for every name", () => {
  const names = ["products", "a b", "..", ".", "a.b", "ünïcode", "100%", "a\\b"];
  const folders = names.map(collectionFolder);
  for (const folder of folders) expect(folder).toMatch(/^collections\/[A-Za-z0-9%_~!'()*-]+$/);
  expect(new Set(folders).size).toBe(names.length);
});

describe("neighbours", () => {
  const of = (...found: [string, number][]): Neighbours => ({
    collection: "c",
    point: "1",
    found: found.map(([id, score]) => ({ id, score })),
  });
  const ten = (last: string) =>
    of(...Array.from({ length: 9 }, (_, at): [string, number] => [`${at}`, 1 - at / 10]), [last, 0.2]);

  test("are the same with scores that differ in the last digit", () => {
    expect(sameNeighbours(of(["2", 0.912345], ["3", 0.5]), of(["2", 0.912346], ["3", 0.5]))).toBe(true);
  });
  test("are others with another point, another score, or one missing", () => {
    expect(sameNeighbours(of(["2", 0.9]), of(["4", 0.9]))).toBe(false);
    expect(sameNeighbours(of(["2", 0.9]), of(["2", 0.8]))).toBe(false);
    expect(sameNeighbours(of(["2", 0.9], ["3", 0.1]), of(["2", 0.9]))).toBe(false);
  });
  test("may differ at the limit in points that tie there", () => {
    const tied = (last: string) =>
      of(
        ...ten("9")
          .found.slice(0, 8)
          .map(({ id, score }): [string, number] => [id, score]),
        ["8", 0.2],
        [last, 0.2],
      );
    expect(sameNeighbours(tied("9"), tied("77"))).toBe(true);
  });
});
