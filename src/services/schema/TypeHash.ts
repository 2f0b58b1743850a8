/**
 * The number that stands for a name in a frame: FNV-1a, 32 bits (Fowler, Noll, Vo).
 */
export const typeHash = (name: string): number => {
  let hash = 0x811c9dc5
  for (const byte of new TextEncoder().encode(name)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0
  return hash
}
