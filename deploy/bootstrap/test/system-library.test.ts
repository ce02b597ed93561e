import { expect, test } from "vitest";
import { missingLibrary } from "../system-library.mjs";

test("the library that a program lacks is read from what the loader says", () => {
  const said =
    "node: error while loading shared libraries: libatomic.so.1: cannot open shared object file: No such file or directory\n";
  expect(missingLibrary(said)).toBe("libatomic.so.1");
  expect(missingLibrary("")).toBeUndefined();
});
