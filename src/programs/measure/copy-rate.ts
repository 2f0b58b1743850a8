/**
 * How fast this machine copies memory: the limit of whatever carries bytes by copying them once.
 */
import { monotonicMillis } from "./monotonic-clock.ts"

/** Much more than the processor's caches hold. */
const bufferBytes = 64 * 1024 * 1024
const copies = 3

/** Decimal gigabytes a second, of one thread: the best of a few copies. Takes about a tenth of a second. */
export const copyGigabytesPerSecond = (): number => {
  const from = new Uint8Array(bufferBytes).fill(1)
  const to = new Uint8Array(bufferBytes).fill(2)
  let millisMin = Infinity
  for (let i = 0; i < copies; i += 1) {
    const began = monotonicMillis()
    to.set(from)
    millisMin = Math.min(millisMin, monotonicMillis() - began)
  }
  return bufferBytes / 1e6 / millisMin
}
