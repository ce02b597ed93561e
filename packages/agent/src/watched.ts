/** The bytes as they come, each piece told of. */
export async function* watched(
  stream: AsyncIterable<Uint8Array>,
  progress: (bytes: number) => void,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of stream) {
    progress(chunk.byteLength);
    yield chunk;
  }
}
