/**
 * The memory of a process: its resident memory by the system's count, its JavaScript heap, and external memory.
 */
import * as Schema from "effect/Schema"
import { readFileSync } from "node:fs"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"

export const MemoryUsage = Schema.Struct({
  residentBytes: Schema.Number,
  /**
   * Resident bytes of this process alone, without pages of a region or a file. 0 if the system does not report them.
   */
  anonymousBytes: Schema.Number,
  /** Resident bytes in pages of regions that this process has touched. */
  sharedBytes: Schema.Number,
  heapBytes: Schema.Number,
  externalBytes: Schema.Number,
  arrayBufferBytes: Schema.Number
})
export type MemoryUsage = typeof MemoryUsage.Type

export const memoryUsage = (): MemoryUsage => {
  const { arrayBuffers, external, heapUsed, rss } = process.memoryUsage()
  const status = ownStatus()
  return {
    residentBytes: rss,
    anonymousBytes: bytesIn(status, "RssAnon"),
    sharedBytes: bytesIn(status, "RssShmem"),
    heapBytes: heapUsed,
    externalBytes: external,
    arrayBufferBytes: arrayBuffers
  }
}

/** The memory still in use after a full garbage collection. */
export const memoryInUse = (): MemoryUsage => {
  collectGarbage()
  return memoryUsage()
}

// --- internal ---

const ownStatus = (): string => {
  try {
    return readFileSync("/proc/self/status", "utf8")
  } catch {
    return ""
  }
}

const bytesIn = (status: string, field: string): number =>
  Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, "m").exec(status)?.[1] ?? 0) * 1024

// The flag applies only to contexts created afterwards, hence the new context.
const collectGarbage = (): void => {
  setFlagsFromString("--expose-gc")
  const collect: () => void = runInNewContext("gc")
  // V8 frees dead array buffers concurrently, and the next collection waits for that.
  for (let i = 0; i < 3; i += 1) collect()
}
