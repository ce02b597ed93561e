import type { DriverContext, SandboxInput } from "@stillpoint/driver/driver";
import { plainTar } from "@stillpoint/driver/plain-tar";
import type { PortableFile } from "@stillpoint/driver/portable";

export async function* exportFiles({ directory }: SandboxInput, _: DriverContext): AsyncGenerator<PortableFile> {
  yield {
    part: "",
    extension: "tar",
    format: "tree, for tar",
    madeBy: "Stillpoint",
    content: () => plainTar(directory),
  };
}
