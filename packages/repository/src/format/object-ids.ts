/** What follows the folder in the names of the kinds that have several parts. Numbers are padded, so that names sort by them. */
export const OBJECT_IDS = {
  /** Each part is a token; positions are counted in what `stream` names. */
  tail: (at: { source: string; stream: string; from: string; to: string; fenceToken: number }) =>
    `${at.source}/${at.stream}/${at.from}-${at.to}-${at.fenceToken}`,
  proof: (pointId: string, proofId: string) => `${pointId}/${proofId}`,
  hold: (pointId: string, holdId: string) => `${pointId}/${holdId}`,
  change: (sequence: number, changeId: string) => `${padded(sequence, 16)}-${changeId}`,
  lease: (holder: string, sequence: number) => `${holder}-${padded(sequence, 8)}`,
  /** What is bound into the seal; the object's name has the SHA-256 of its bytes behind it. */
  condemned: (generation: number) => padded(generation, 8),
} as const;

function padded(value: number, digits: number): string {
  return String(value).padStart(digits, "0");
}
