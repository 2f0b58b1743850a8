/**
 * The thread of a pacer. The system wakes a sleeper some microseconds late, always by about as much, so it sleeps shorter by
 * what it was late before, and looks at the clock for the rest.
 */
import { workerData } from "node:worker_threads"
import { monotonicMillis } from "./monotonic-clock.ts"
import type { PacerJob } from "./pacer.ts"

const { beganMillis, everyMillis, ticks } = workerData as PacerJob
const asleep = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT))

/** The part of a new lateness that is believed. */
const gain = 1 / 16
let latenessMillis = 0

while (true) {
  // Ticks that passed while the thread was not scheduled come as one.
  const dueMillis = beganMillis + everyMillis * (1 + Math.floor((monotonicMillis() - beganMillis) / everyMillis))
  const leftMillis = dueMillis - latenessMillis - monotonicMillis()
  if (leftMillis > 0) {
    Atomics.wait(asleep, 0, 0, leftMillis)
    const lateMillis = monotonicMillis() - dueMillis
    latenessMillis = Math.min(everyMillis / 2, Math.max(0, latenessMillis + gain * lateMillis))
  }
  while (monotonicMillis() < dueMillis);
  Atomics.add(ticks, 0, 1)
  Atomics.notify(ticks, 0)
}
