/** One measured value; with a peer's beside it where one was run on the same data in the same run. */
export type Figure = {
  name: string;
  value: number;
  unit: string;
  peer: string | null;
  peerValue: number | null;
  /** Ours to the peer's, turned so that more is better. */
  ratio: number | null;
  /** The ratio or value that is to be reached; null where none is set. */
  goal: number | null;
  met: boolean | null;
};

export function figure(name: string, value: number, unit: string): Figure {
  return { name, value, unit, peer: null, peerValue: null, ratio: null, goal: null, met: null };
}

export function against(
  own: { name: string; value: number; unit: string },
  peer: string,
  peerValue: number,
  goal: number | null = null,
): Figure {
  const ratio = own.value / peerValue;
  return { ...own, peer, peerValue, ratio, goal, met: goal === null ? null : ratio >= goal };
}

/** A value that is to stay below a goal. */
export function atMost(name: string, value: number, unit: string, goal: number): Figure {
  return { ...figure(name, value, unit), goal, met: value <= goal };
}
