// Seeded random streams for a device: a 32-bit xorshift per name.
// Kernel counterpart: none.

/** The function PciHost.random needs: the next uint32 of a named stream, the same for the same seed and name. */
export function randomStreams(seed: number): (stream: string) => number {
  const states = new Map<string, number>();
  return (stream) => {
    let state = states.get(stream) ?? firstState(seed, stream);
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    states.set(stream, state);
    return state >>> 0;
  };
}

/** FNV-1a over seed and name; never 0, where xorshift would stay. */
function firstState(seed: number, stream: string): number {
  let hash = (0x811c9dc5 ^ seed) | 0;
  for (let i = 0; i < stream.length; i++) hash = Math.imul(hash ^ stream.charCodeAt(i), 0x01000193);
  return hash === 0 ? 1 : hash;
}
